//! Blocking calls on files, on a bounded number of threads.
//!
//! A call on a filesystem that hangs (a network's, FUSE) holds its thread for as long as it likes. What comes after waits
//! for a free one for a bounded time, then is refused; the rest of the server goes on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::FileError;

/// Calls at the same time. Two processors are kept busy by fewer; the rest is for disks that are slow.
const THREADS: usize = 16;
/// Trees that are packed at the same time: each holds a thread for as long as its reader takes.
const PACKERS: usize = 8;
/// How long a call waits for a thread.
const PATIENCE: Duration = Duration::from_secs(30);

/// The threads for files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Disk {
    threads: Arc<Semaphore>,
    packers: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Disk {
    fn default() -> Self {
        Self::new(THREADS, PATIENCE)
    }
}

impl Disk {
    /// So many threads, for which `patience` is waited.
    pub fn new(threads: usize, patience: Duration) -> Self {
        Self {
            threads: Arc::new(Semaphore::new(threads)),
            packers: Arc::new(Semaphore::new(PACKERS)),
            patience,
        }
    }

    /// Runs `work` on a thread of its own. Dropped, the work goes on to its end.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, FileError> {
        let permit = self.wait(&self.threads).await?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        done.await.map_err(|_| FileError::Fault)
    }

    /// Leave to pack a tree, on a thread besides the others.
    pub(super) async fn packer(&self) -> Result<OwnedSemaphorePermit, FileError> {
        self.wait(&self.packers).await
    }

    async fn wait(&self, permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, FileError> {
        match timeout(self.patience, Arc::clone(permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(FileError::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_hangs_holds_its_thread_and_no_more() {
        let disk = Disk::new(1, Duration::from_millis(20));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let hanging = tokio::spawn({
            let disk = disk.clone();
            async move { disk.run(move || held.recv().is_ok()).await }
        });
        while disk.threads.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(disk.run(|| ()).await, Err(FileError::Busy)));
        release.send(()).unwrap();
        assert!(hanging.await.unwrap().unwrap());
        assert!(disk.run(|| ()).await.is_ok());
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_frees_the_thread() {
        let disk = Disk::new(1, Duration::from_millis(20));
        let result: Result<(), FileError> = disk.run(|| panic!("on purpose")).await;
        assert!(matches!(result, Err(FileError::Fault)));
        assert!(disk.run(|| ()).await.is_ok());
    }
}
