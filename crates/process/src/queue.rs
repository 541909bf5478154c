//! The queue between a stream's task and its reader.

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::process::Output;

/// How many pieces wait for a slow reader before the process is made to wait: together at most 512 KiB, enough
/// to keep both sides busy.
const PIECES: usize = 8;

/// An output stream and where its pieces go in. The stream ends when the sender is dropped.
pub(crate) fn output() -> (mpsc::Sender<Bytes>, Output) {
    let (sender, receiver) = mpsc::channel(PIECES);
    (sender, Output::new(receiver))
}

/// The two ends of a standard input.
pub(crate) fn input() -> (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>) {
    mpsc::channel(PIECES)
}
