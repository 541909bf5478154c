//! From the frames of one answer to both outputs of a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, stream};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use podbay_protocol::agent::{Frame, FrameDecoder};
use podbay_protocol::{EndRecord, Offsets, StreamName};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use crate::error::chain;
use crate::transport::processes::{AttachmentEnd, Chunk, Output};

/// Bytes of one output that wait for their reader, at most. More than what an agent sends of an output that nobody has
/// acknowledged (1 MiB), so that a slow reader of one output does not hold up the other.
const QUEUE: usize = 2 << 20;

/// Both outputs, and how the connection to them ended.
pub(super) struct Outputs {
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    pub(super) end: BoxFuture<'static, AttachmentEnd>,
    /// What the readers have taken.
    pub(super) taken: Arc<Taken>,
}

/// What the readers of both outputs have taken, in bytes from the beginning of each.
#[derive(Debug)]
pub(super) struct Taken {
    stdout: AtomicU64,
    stderr: AtomicU64,
    changed: Notify,
}

impl Taken {
    const fn new(from: Offsets) -> Self {
        Self {
            stdout: AtomicU64::new(from.stdout),
            stderr: AtomicU64::new(from.stderr),
            changed: Notify::const_new(),
        }
    }

    /// How much that is now.
    pub(super) fn offsets(&self) -> Offsets {
        Offsets {
            stdout: self.stdout.load(Ordering::Acquire),
            stderr: self.stderr.load(Ordering::Acquire),
        }
    }

    /// Waits for a change since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn take(&self, stream: StreamName, until: u64) {
        match stream {
            StreamName::Stdout => &self.stdout,
            StreamName::Stderr => &self.stderr,
        }
        .store(until, Ordering::Release);
        self.changed.notify_one();
    }
}

/// Reads an answer whose outputs were asked for from these offsets on.
pub(super) fn read(answer: Incoming, from: Offsets) -> Outputs {
    let taken = Arc::new(Taken::new(from));
    let (stdout, out) = queue(StreamName::Stdout, &taken);
    let (stderr, err) = queue(StreamName::Stderr, &taken);
    let (end_sender, end) = oneshot::channel();
    let (out_read, err_read) = (out.read, err.read);
    tokio::spawn(async move {
        let end = carry(answer, from, &stdout, &stderr).await;
        // Here the queues end; now the end may be told. Nobody may be waiting for it.
        if let AttachmentEnd::Ended(record) = &end {
            stdout.is_cut.store(record.stdout.truncated, Ordering::Release);
            stderr.is_cut.store(record.stderr.truncated, Ordering::Release);
        }
        drop((stdout, stderr));
        let _ = end_sender.send(end);
    });
    let end = async move {
        let end = end.await.unwrap_or_else(|_| AttachmentEnd::Lost {
            message: "the runtime that read the outputs was shut down".to_owned(),
        });
        // Both readers have all, or have given up.
        let _ = tokio::join!(out_read, err_read);
        end
    };
    Outputs {
        stdout: out.output,
        stderr: err.output,
        end: end.boxed(),
        taken,
    }
}

/// Where the pieces of an output are put.
struct Queue {
    pieces: mpsc::UnboundedSender<Chunk>,
    room: Arc<Semaphore>,
    is_cut: Arc<AtomicBool>,
}

/// Where they come out.
struct QueueReader {
    output: Output,
    /// Resolves when the reader has taken all or was dropped.
    read: oneshot::Receiver<()>,
}

fn queue(name: StreamName, taken: &Arc<Taken>) -> (Queue, QueueReader) {
    let (sender, receiver) = mpsc::unbounded_channel::<Chunk>();
    let room = Arc::new(Semaphore::new(QUEUE));
    let is_cut = Arc::<AtomicBool>::default();
    let (done, read) = oneshot::channel();
    let state = (receiver, Arc::clone(&room), Arc::clone(taken), done);
    let chunks = stream::unfold(state, move |(mut receiver, room, taken, done)| async move {
        let chunk = receiver.recv().await?;
        let length = chunk.bytes.len();
        room.add_permits(length.min(QUEUE));
        taken.take(name, chunk.offset + length as u64);
        Some((chunk, (receiver, room, taken, done)))
    });
    let output = Output::new(chunks, Arc::clone(&is_cut));
    let queue = Queue {
        pieces: sender,
        room,
        is_cut,
    };
    (queue, QueueReader { output, read })
}

impl Queue {
    /// Puts a piece in, once there is room. One that nobody reads any longer is dropped: whoever gave an output up does not want
    /// the other one held up.
    async fn put(&self, chunk: Chunk) {
        let length = u32::try_from(chunk.bytes.len().min(QUEUE)).unwrap_or(u32::MAX);
        tokio::select! {
            biased;
            () = self.pieces.closed() => return,
            room = self.room.acquire_many(length) => {
                // Given back when the piece is read.
                if let Ok(room) = room {
                    room.forget();
                }
            }
        }
        let _ = self.pieces.send(chunk);
    }
}

type ReadEnd = fn(&[u8]) -> serde_json::Result<EndRecord>;

/// Carries frames to both queues until the end.
async fn carry<B>(answer: B, from: Offsets, stdout: &Queue, stderr: &Queue) -> AttachmentEnd
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let lost = |message: String| AttachmentEnd::Lost { message };
    let read_end: ReadEnd = |json| serde_json::from_slice(json);
    let mut decoder = FrameDecoder::new(from, read_end);
    let mut answer = answer;
    while let Some(piece) = answer.frame().await {
        let piece = match piece {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => return lost(chain(&error)),
        };
        let mut rest = piece.as_ref();
        loop {
            match decoder.next(&mut rest) {
                Ok(None) => break,
                Ok(Some(Frame::Idle)) => {}
                Ok(Some(Frame::End(record))) => return AttachmentEnd::Ended(*record),
                Ok(Some(Frame::Output {
                    stream,
                    offset,
                    bytes,
                })) => {
                    let chunk = Chunk {
                        offset,
                        bytes: piece.slice_ref(bytes),
                    };
                    match stream {
                        StreamName::Stdout => stdout.put(chunk).await,
                        StreamName::Stderr => stderr.put(chunk).await,
                    }
                }
                Err(error) => return lost(error.to_string()),
            }
        }
    }
    match decoder.finish() {
        Err(error) => lost(error.to_string()),
        Ok(()) => lost("the outputs ended without a word of the process's end".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame as BodyFrame;
    use podbay_protocol::ProcessEnd;
    use podbay_protocol::agent::frame;

    use super::*;

    fn output(stream: StreamName, offset: u64, bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap();
        [&frame::output_header(stream, offset, length)[..], bytes].concat()
    }

    fn ended(stdout_truncated: bool) -> (EndRecord, Vec<u8>) {
        let mut record = EndRecord::new(ProcessEnd::Exited { code: 3 });
        record.stdout.truncated = stdout_truncated;
        let json = serde_json::to_vec(&record).unwrap();
        (record, frame::end(&json))
    }

    async fn all(reader: &mut Output) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(chunk) = reader.next().await {
            bytes.extend_from_slice(&chunk.bytes);
        }
        bytes
    }

    #[tokio::test]
    async fn frames_become_outputs_and_an_end() {
        let taken = Arc::new(Taken::new(Offsets::default()));
        let (stdout, mut out) = queue(StreamName::Stdout, &taken);
        let (stderr, mut err) = queue(StreamName::Stderr, &taken);
        let (record, end) = ended(false);
        let wire = [
            output(StreamName::Stdout, 0, b"ab"),
            frame::idle().to_vec(),
            output(StreamName::Stderr, 0, b"E"),
            output(StreamName::Stdout, 2, b"c"),
            end,
        ]
        .concat();
        let got = carry(Full::new(Bytes::from(wire)), Offsets::default(), &stdout, &stderr).await;
        assert_eq!(got, AttachmentEnd::Ended(record));
        drop((stdout, stderr));
        assert_eq!(all(&mut out.output).await, b"abc");
        assert_eq!(all(&mut err.output).await, b"E");
        assert_eq!(taken.offsets(), Offsets { stdout: 3, stderr: 1 });
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_a_loss() {
        let taken = Arc::new(Taken::new(Offsets::default()));
        let (stdout, _out) = queue(StreamName::Stdout, &taken);
        let (stderr, _err) = queue(StreamName::Stderr, &taken);
        for wire in [
            Vec::new(),
            output(StreamName::Stdout, 0, b"ab"),
            output(StreamName::Stdout, 0, b"ab")[..4].to_vec(),
            output(StreamName::Stdout, 7, b"a gap"),
        ] {
            let body = Full::new(Bytes::from(wire));
            let got = carry(body, Offsets::default(), &stdout, &stderr).await;
            assert!(matches!(got, AttachmentEnd::Lost { .. }), "{got:?}");
        }
    }

    #[tokio::test]
    async fn a_reader_who_stops_holds_up_no_other() {
        let taken = Arc::new(Taken::new(Offsets::default()));
        let (stdout, out) = queue(StreamName::Stdout, &taken);
        let (stderr, mut err) = queue(StreamName::Stderr, &taken);
        let mebibyte = vec![7; 1 << 20];
        let wire = [
            output(StreamName::Stdout, 0, &mebibyte),
            output(StreamName::Stderr, 0, b"E"),
        ]
        .concat();
        let pieces = stream::iter([Ok::<_, std::io::Error>(BodyFrame::data(Bytes::from(wire)))]);
        // It never ends.
        let body = StreamBody::new(pieces.chain(stream::pending()));
        let carrying = carry(Box::pin(body), Offsets::default(), &stdout, &stderr);
        tokio::select! {
            end = carrying => panic!("{end:?}"),
            chunk = err.output.next() => assert_eq!(chunk.unwrap().bytes.as_ref(), b"E"),
        }
        drop(out);
    }
}
