//! The output queue for the fuzz targets (`fuzz/` at the top of the workspace), which its crate keeps to itself.
//! Compiled only with `--cfg fuzzing`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::queue;

/// The end of a queue that is filled. Dropping it ends the stream after what is in it.
#[derive(Debug)]
pub struct Writer(queue::QueueWriter);

/// The end of a queue that is read.
#[derive(Debug)]
pub struct Reader {
    queue: queue::QueueReader,
    fault: Arc<AtomicBool>,
}

/// A queue with room for `spool_limit` bytes of overflow.
pub fn queue(spool_limit: u64) -> (Writer, Reader) {
    let fault = Arc::new(AtomicBool::new(false));
    let (writer, queue) = queue::queue(spool_limit, Arc::clone(&fault));
    (Writer(writer), Reader { queue, fault })
}

impl Writer {
    /// Puts `bytes` in, into the file too if `may_spool`; returns when the last one is in.
    pub async fn push(&mut self, bytes: Bytes, may_spool: bool) {
        self.0.push(bytes, || may_spool).await;
    }
}

impl Reader {
    /// The next bytes; none at the end. May be given up and called again.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.queue.next().await
    }

    /// Whether bytes were lost because the file could not be read back.
    pub fn is_faulty(&self) -> bool {
        self.fault.load(Ordering::Acquire)
    }
}
