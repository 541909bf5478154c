//! The outputs of a command that its descendants may keep open: they end a while after the command's own end, which the shell
//! that carries it has marked in both.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, future, stream};
use podbay_k8s_client::{ExecEnd, ExecOutput};
use podbay_process::LINGER;
use tokio::sync::oneshot::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::end_mark::EndMark;
use super::script::Mark;
use crate::transport::processes::{Chunk, Output};

/// Both outputs, and how the command ended.
pub(super) struct Outputs {
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    pub(super) end: BoxFuture<'static, ExecEnd>,
}

/// Exit codes from here on may come without marks: the shell could not be started (126, 127), or a signal ended it (128 and its
/// number).
const UNMARKED: i32 = 126;

/// How long the cluster's word is waited for where nothing came after the marks: either a process that was left behind is silent, or
/// nobody holds the streams and a busy cluster is slow to say so. Complete outputs were told as cut after a second, with 64
/// commands at once on two cores.
const SILENT_LINGER: Duration = Duration::from_secs(5);

/// The code that came with a stream's mark, once it is there. An error if the stream ended without.
type Marked = Result<i32, RecvError>;

/// The outputs of a command whose shell marks its end: as its carrier says or, where that waits for what the command left
/// behind, as the marks in both streams say, [`LINGER`] after the later one, or [`SILENT_LINGER`] where nothing has come since.
/// Then they are cut.
///
/// A carrier that tells success while the marks are missing has lost output: API servers and kubelets under load have been
/// seen to close a command's streams early, with a status of success. One that breaks after both marks has lost nothing of the
/// command's.
///
/// `close_input` is called at the first mark: the command has ended, and its shell waits for the end of the input.
pub(super) fn marked(
    mark: &Mark,
    stdout: ExecOutput,
    stderr: ExecOutput,
    end: BoxFuture<'static, ExecEnd>,
    close_input: impl FnOnce() + Send + 'static,
) -> Outputs {
    let cut = CancellationToken::new();
    let late = Arc::<AtomicBool>::default();
    let (stdout, out_ended) = Part::marked(stdout, mark, &cut, &late);
    let (stderr, err_ended) = Part::marked(stderr, mark, &cut, &late);
    let end = async move {
        let (out_ended, err_ended) = (out_ended.shared(), err_ended.shared());
        let first = future::select(out_ended.clone(), err_ended.clone());
        let marks = async { tokio::join!(out_ended, err_ended) }.boxed().shared();
        let found = marks.clone();
        let lingered = async move {
            first.await;
            close_input();
            match found.await {
                (Ok(code), Ok(_)) => {
                    tokio::time::sleep(LINGER).await;
                    if !late.load(Ordering::Acquire) {
                        tokio::time::sleep(SILENT_LINGER.saturating_sub(LINGER)).await;
                    }
                    code
                }
                // No marks, or streams that broke off before them.
                _ => pending().await,
            }
        };
        tokio::select! {
            biased;
            end = end => judged(end, marks).await,
            code = lingered => {
                cut.cancel();
                ExecEnd::Exited { code }
            }
        }
    };
    Outputs {
        stdout: stdout.into_output(),
        stderr: stderr.into_output(),
        end: end.boxed(),
    }
}

/// What to make of the carrier's word on a command that should have left a mark in both its outputs. Waits until these have
/// been read to their ends.
///
/// Marks in both say more than the carrier, of which the end may be another: its shell reads on, and may be killed meanwhile.
async fn judged(end: ExecEnd, marks: impl Future<Output = (Marked, Marked)>) -> ExecEnd {
    match (end, marks.await) {
        (ExecEnd::Exited { .. } | ExecEnd::Lost { .. }, (Ok(code), Ok(_))) => ExecEnd::Exited { code },
        (ExecEnd::Exited { code }, _) if code < UNMARKED => ExecEnd::Lost {
            message: format!(
                "the command is said to have exited with {code}, and the ends of its output did not arrive"
            ),
        },
        (end, _) => end,
    }
}

/// An output to its end.
pub(in crate::transport) fn whole(output: ExecOutput) -> Output {
    let part = Part {
        output,
        ending: None,
        cut: CancellationToken::new(),
        is_cut: Arc::default(),
        offset: 0,
        ended: false,
    };
    part.into_output()
}

/// One of the outputs.
struct Part {
    output: ExecOutput,
    ending: Option<Ending>,
    /// Cancelled when no more is waited for.
    cut: CancellationToken,
    is_cut: Arc<AtomicBool>,
    /// Bytes that have come, without the mark.
    offset: u64,
    ended: bool,
}

/// Where a stream's own part ends.
struct Ending {
    mark: EndMark,
    /// Told the exit code when the mark is found.
    found: Option<oneshot::Sender<i32>>,
    /// Whether anything came after the marks, in either stream.
    late: Arc<AtomicBool>,
}

impl Part {
    /// An output with a mark, and where the code that comes with it comes out.
    fn marked(
        output: ExecOutput,
        mark: &Mark,
        cut: &CancellationToken,
        late: &Arc<AtomicBool>,
    ) -> (Self, oneshot::Receiver<i32>) {
        let (found, ended) = oneshot::channel();
        let ending = Ending {
            mark: mark.end_mark(),
            found: Some(found),
            late: Arc::clone(late),
        };
        let part = Self {
            output,
            ending: Some(ending),
            cut: cut.clone(),
            is_cut: Arc::default(),
            offset: 0,
            ended: false,
        };
        (part, ended)
    }

    fn into_output(self) -> Output {
        let is_cut = self.is_cut.clone();
        let chunks = stream::unfold(self, |mut part| async move {
            let bytes = part.next().await?;
            let offset = part.offset;
            part.offset += bytes.len() as u64;
            Some((Chunk { offset, bytes }, part))
        });
        Output::new(chunks, is_cut)
    }

    /// The next bytes of the command, none of them empty.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.ended {
            let piece = tokio::select! {
                // One that is never silent must not hold up the end.
                biased;
                () = self.cut.cancelled() => {
                    self.is_cut.store(true, Ordering::Release);
                    self.ended = true;
                    return None;
                }
                piece = self.output.next() => piece,
            };
            let bytes = match (piece, &mut self.ending) {
                (Some(piece), Some(ending)) => ending.take(piece),
                (Some(piece), None) => piece,
                (None, ending) => {
                    self.is_cut.store(self.output.is_cut(), Ordering::Release);
                    self.ended = true;
                    ending.as_mut().map(Ending::rest).unwrap_or_default()
                }
            };
            if !bytes.is_empty() {
                return Some(bytes);
            }
        }
        None
    }
}

impl Ending {
    fn take(&mut self, piece: Bytes) -> Bytes {
        if self.found.is_none() && !piece.is_empty() {
            self.late.store(true, Ordering::Release);
        }
        let (output, code) = self.mark.take(piece);
        if let Some(code) = code
            && let Some(found) = self.found.take()
        {
            // Nobody asks any longer where the command was killed meanwhile.
            let _ = found.send(code);
        }
        output
    }

    /// What was held back at the end of the stream: no mark comes any more.
    fn rest(&mut self) -> Bytes {
        self.found = None;
        self.mark.rest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(pieces: Vec<String>, then: impl futures::Stream<Item = Bytes> + Send + 'static) -> ExecOutput {
        ExecOutput::new(stream::iter(pieces.into_iter().map(Bytes::from)).chain(then))
    }

    async fn all(output: &mut Output) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(chunk) = output.next().await {
            assert_eq!(chunk.offset, bytes.len() as u64);
            bytes.extend_from_slice(&chunk.bytes);
        }
        bytes
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_descendant_keeps_open_is_cut_a_while_after_the_mark() {
        let mark = Mark::new(1);
        let end = EndMark::of(&format!("{:032x}", 1)) + "3\n";
        let begun = tokio::time::Instant::now();
        let mut outputs = marked(
            &mark,
            output(vec!["out".to_owned(), end.clone()], stream::pending()),
            output(vec![end], stream::empty()),
            pending().boxed(),
            || {},
        );
        let (out, err, end) = tokio::join!(all(&mut outputs.stdout), all(&mut outputs.stderr), outputs.end);
        assert_eq!(
            (out.as_slice(), err.as_slice()),
            (b"out".as_slice(), b"".as_slice())
        );
        assert_eq!(end, ExecEnd::Exited { code: 3 });
        assert_eq!((outputs.stdout.is_cut(), outputs.stderr.is_cut()), (true, false));
        assert!(begun.elapsed() < SILENT_LINGER + Duration::from_millis(10));
    }

    /// How a command's end is told that its carrier tells so, with these last pieces of its outputs.
    async fn told(end: ExecEnd, stdout: &str, stderr: &str) -> (Vec<u8>, ExecEnd) {
        let mut outputs = marked(
            &Mark::new(1),
            output(vec!["out".to_owned(), stdout.to_owned()], stream::empty()),
            output(vec![stderr.to_owned()], stream::empty()),
            futures::future::ready(end).boxed(),
            || {},
        );
        let (out, _, end) = tokio::join!(all(&mut outputs.stdout), all(&mut outputs.stderr), outputs.end);
        assert!(!outputs.stdout.is_cut());
        (out, end)
    }

    #[tokio::test]
    async fn an_end_without_its_marks_is_a_loss() {
        let half = EndMark::of(&format!("{:032x}", 1));
        let mark = half.clone() + "0\n";
        let success = ExecEnd::Exited { code: 0 };
        for (stdout, stderr) in [(half.as_str(), mark.as_str()), (&mark, ""), ("", &mark), ("", "")] {
            let (out, end) = told(success.clone(), stdout, stderr).await;
            assert!(matches!(end, ExecEnd::Lost { .. }), "{stdout:?} {stderr:?}");
            // What came is handed out all the same.
            let whole = if stdout == mark { "" } else { stdout };
            assert_eq!(out, format!("out{whole}").into_bytes());
        }
        assert_eq!(
            told(success.clone(), &mark, &mark).await,
            (b"out".to_vec(), success)
        );
    }

    #[tokio::test]
    async fn a_connection_that_breaks_after_both_marks_has_lost_nothing() {
        let mark = EndMark::of(&format!("{:032x}", 1)) + "3\n";
        let lost = ExecEnd::Lost {
            message: "it broke".to_owned(),
        };
        let exited = ExecEnd::Exited { code: 3 };
        assert_eq!(told(lost.clone(), &mark, &mark).await, (b"out".to_vec(), exited));
        for (stdout, stderr) in [(mark.as_str(), ""), ("", mark.as_str()), ("", "")] {
            assert_eq!(told(lost.clone(), stdout, stderr).await.1, lost);
        }
    }

    /// Its shell reads on until then, so that nothing is on its way to it when it ends.
    #[tokio::test(start_paused = true)]
    async fn the_input_is_closed_at_the_first_mark() {
        let mark = EndMark::of(&format!("{:032x}", 1)) + "3\n";
        for (stdout, stderr) in [(&mark, &String::new()), (&String::new(), &mark), (&mark, &mark)] {
            let (close, closed) = oneshot::channel();
            let closed = closed.shared();
            let until_closed = || {
                let closed = closed.clone();
                stream::once(async move { closed.await.unwrap() }).filter_map(async |()| None)
            };
            let begun = tokio::time::Instant::now();
            let mut outputs = marked(
                &Mark::new(1),
                output(vec![stdout.clone()], until_closed()),
                output(vec![stderr.clone()], until_closed()),
                closed
                    .clone()
                    .map(|closed| ExecEnd::Exited {
                        code: closed.map_or(1, |()| 0),
                    })
                    .boxed(),
                || close.send(()).unwrap(),
            );
            let (_, _, end) = tokio::join!(all(&mut outputs.stdout), all(&mut outputs.stderr), outputs.end);
            // Nobody closed it for having waited long enough.
            assert_eq!(begun.elapsed(), Duration::ZERO);
            assert!(!outputs.stdout.is_cut() && !outputs.stderr.is_cut());
            let is_marked = (stdout, stderr) == (&mark, &mark);
            assert_eq!(matches!(end, ExecEnd::Exited { code: 3 }), is_marked, "{end:?}");
        }
    }

    /// The shell that reads on may be killed meanwhile, with the pod.
    #[tokio::test]
    async fn the_marks_code_is_the_commands() {
        let mark = EndMark::of(&format!("{:032x}", 1)) + "0\n";
        for code in [2, 137] {
            let end = told(ExecEnd::Exited { code }, &mark, &mark).await.1;
            assert_eq!(end, ExecEnd::Exited { code: 0 });
        }
    }

    #[tokio::test]
    async fn what_the_shell_could_not_start_or_did_not_survive_has_no_marks() {
        for code in [126, 127, 137, 143] {
            let end = ExecEnd::Exited { code };
            assert_eq!(told(end.clone(), "", "").await.1, end);
        }
    }
}
