//! The queue between a stream's task and its reader.

use bytes::Bytes;
use podbay_k8s_client::ExecOutput;
use tokio::sync::mpsc;

/// How many pieces wait for a slow reader before the command is made to wait: together at most 512 KiB, enough
/// to keep both sides busy.
const PIECES: usize = 8;

/// An output stream and where its pieces go in. The stream ends when the sender is dropped.
pub(crate) fn output() -> (mpsc::Sender<Bytes>, ExecOutput) {
    let (sender, mut receiver) = mpsc::channel(PIECES);
    (
        sender,
        ExecOutput::new(futures::stream::poll_fn(move |cx| receiver.poll_recv(cx))),
    )
}

/// The two ends of a standard input.
pub(crate) fn input() -> (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>) {
    mpsc::channel(PIECES)
}
