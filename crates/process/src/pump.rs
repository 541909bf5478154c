//! Carrying bytes between a command and its caller, each stream in a task of its own.

use std::io;
use std::os::fd::AsFd;

use bytes::{Bytes, BytesMut};
use rustix::io::ioctl_fionread;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The most that is read in one piece: a pipe's capacity on Linux (pipe(7)).
const PIECE: usize = 64 * 1024;

/// Reads `output` into `sender`, waiting for a slow reader. Returns when all that belongs to the command was
/// handed over: at the end of the stream or, if other processes keep it open, with what was written until
/// `lingered`. Keeps reading a stream whose reader is gone, so that the command goes on.
///
/// Gives `output` back if it hasn't ended.
pub(crate) async fn deliver<R: AsyncRead + AsFd + Unpin>(
    mut output: R,
    sender: &mpsc::Sender<Bytes>,
    lingered: CancellationToken,
) -> Option<R> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE);
        let read = tokio::select! {
            biased;
            () = lingered.cancelled() => break,
            read = output.read_buf(&mut buffer) => read,
        };
        if ended(read) {
            return None;
        }
        // An error is a reader that is gone.
        sender.send(buffer.split().freeze()).await.ok();
    }
    // Asked of the kernel: a read that would wait may only mean that the runtime wasn't told of the bytes yet.
    let mut left = ioctl_fionread(output.as_fd()).unwrap_or(0);
    while left > 0 {
        buffer.reserve(PIECE);
        let read = (&mut output).take(left).read_buf(&mut buffer).await;
        left -= read.as_ref().map_or(left, |count| left.min(*count as u64));
        if ended(read) {
            return None;
        }
        sender.send(buffer.split().freeze()).await.ok();
    }
    Some(output)
}

/// Reads on and throws away, so that what a command left behind is not killed by a closed pipe.
pub(crate) async fn discard<R: AsyncRead + Unpin>(mut output: R) {
    tokio::io::copy(&mut output, &mut tokio::io::sink()).await.ok();
}

/// A pipe that can't be read has nothing more to say.
fn ended(read: io::Result<usize>) -> bool {
    match read {
        Ok(count) => count == 0,
        Err(error) => {
            tracing::debug!(%error, "reading a command's output");
            true
        }
    }
}

/// Writes what comes from `receiver` to `input`, and closes it at the end. Stops early when the command no
/// longer reads, or has exited.
pub(crate) async fn feed<W: AsyncWrite + Unpin>(
    mut input: W,
    mut receiver: mpsc::Receiver<Bytes>,
    exited: CancellationToken,
) {
    let write = async {
        while let Some(bytes) = receiver.recv().await {
            if input.write_all(&bytes).await.is_err() {
                return; // A broken pipe: the command closed its input. The writer learns by the closed queue.
            }
        }
    };
    tokio::select! {
        () = write => {}
        () = exited.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::StreamExt as _;
    use tokio::net::unix::pipe;

    use super::*;
    use crate::queue;

    /// A pipe as a command's output, and as what writes to it.
    fn pipe() -> (pipe::Receiver, pipe::Sender) {
        let (reader, writer) = std::io::pipe().unwrap();
        let reader = pipe::Receiver::from_owned_fd(reader.into()).unwrap();
        (reader, pipe::Sender::from_owned_fd(writer.into()).unwrap())
    }

    #[tokio::test]
    async fn all_that_was_written_is_delivered_when_another_process_keeps_the_pipe_open() {
        let (output, mut writer) = pipe();
        writer.write_all(&[7; 3 * 4096]).await.unwrap();
        let (sender, stream) = queue::output();
        let lingered = CancellationToken::new();
        lingered.cancel();
        let delivery = async move { deliver(output, &sender, lingered).await };
        let (output, pieces) = tokio::join!(delivery, stream.collect::<Vec<_>>());
        assert_eq!(pieces.concat(), vec![7; 3 * 4096]);
        // What comes later is read and thrown away, so that the writer is never told that the pipe is broken.
        writer.write_all(b"later").await.unwrap();
        drop(writer);
        discard(output.unwrap()).await;
    }

    // The clock is paused: it moves when nothing else can, which tells that queue and pipe are full.
    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_gets_what_was_in_the_pipe_when_the_time_was_over() {
        let (output, mut writer) = pipe();
        let (sender, stream) = queue::output();
        let lingered = CancellationToken::new();
        let delivery = tokio::spawn({
            let lingered = lingered.clone();
            async move { deliver(output, &sender, lingered).await }
        });
        let mut written = 0;
        while let Ok(count) = tokio::time::timeout(Duration::from_secs(1), writer.write(&[1; 4096])).await {
            written += count.unwrap();
        }
        lingered.cancel();
        let received: usize = stream
            .map(|piece| piece.len())
            .collect::<Vec<_>>()
            .await
            .iter()
            .sum();
        assert_eq!(received, written);
        assert!(delivery.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_writer_that_never_rests_does_not_hold_up_the_end() {
        let (output, mut writer) = pipe();
        let endless = tokio::spawn(async move { while writer.write_all(&[1; 4096]).await.is_ok() {} });
        let (sender, mut stream) = queue::output();
        let lingered = CancellationToken::new();
        let delivery = tokio::spawn({
            let lingered = lingered.clone();
            async move { deliver(output, &sender, lingered).await }
        });
        assert!(stream.next().await.is_some());
        lingered.cancel();
        stream.count().await;
        drop(delivery.await.unwrap().unwrap());
        endless.await.unwrap();
    }

    #[tokio::test]
    async fn a_stream_whose_reader_is_gone_is_read_to_its_end() {
        let (output, mut writer) = pipe();
        let (sender, stream) = queue::output();
        drop(stream);
        let written = tokio::spawn(async move { writer.write_all(&vec![0; 1 << 20]).await });
        assert!(deliver(output, &sender, CancellationToken::new()).await.is_none());
        written.await.unwrap().unwrap();
    }
}
