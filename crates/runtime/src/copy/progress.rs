//! How far a copy is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a copy is. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub struct CopyProgress(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    bytes: AtomicU64,
    /// [`UNKNOWN`] until it is known.
    total: AtomicU64,
}

const UNKNOWN: u64 = u64::MAX;

impl Default for CopyProgress {
    fn default() -> Self {
        Self(Arc::new(Counts {
            bytes: AtomicU64::new(0),
            total: AtomicU64::new(UNKNOWN),
        }))
    }
}

impl CopyProgress {
    /// Bytes that were carried, of files and of what goes with them: those on their way included, a few MiB at most.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// How many there are in all, where that is known; what is copied may grow or shrink meanwhile.
    pub fn total(&self) -> Option<u64> {
        Some(self.0.total.load(Ordering::Relaxed)).filter(|total| *total != UNKNOWN)
    }

    /// So many more were carried.
    pub(super) fn add(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So many there are in all.
    pub(super) fn expect(&self, total: u64) {
        self.0.total.store(total, Ordering::Relaxed);
    }
}
