//! The keys of sessions, which answers tell their owners: read from their Secrets by name, once for each session and process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use podbay_manifests::Record;
use podbay_runtime::{Error, Podbay};
use secrecy::SecretString;
use tokio::sync::Semaphore;

/// Secrets that are read at once, at most.
const AT_ONCE: usize = 32;
/// Keys that are kept, at most: beyond that they are read again.
const MOST: usize = 20_000;

/// Keys of sessions, by the uid of their records. They are wiped when they are dropped.
#[derive(Debug)]
pub(super) struct SessionKeys {
    known: Mutex<HashMap<String, SecretString>>,
    reading: Semaphore,
}

impl Default for SessionKeys {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            reading: Semaphore::new(AT_ONCE),
        }
    }
}

impl SessionKeys {
    /// The key of the session of this record.
    pub(super) async fn of(&self, podbay: &Podbay, record: &Record) -> Result<SecretString, Error> {
        if let Some(key) = self.get(&record.uid) {
            return Ok(key);
        }
        // The semaphore is never closed.
        let _permit = self.reading.acquire().await;
        if let Some(key) = self.get(&record.uid) {
            return Ok(key);
        }
        let podbay = podbay.of_owner(record.spec.owner().cloned());
        let key = podbay.existing(record.id().as_str())?.session_key().await?;
        self.keep(&record.uid, key.clone());
        Ok(key)
    }

    /// Keeps a key that a start has told.
    pub(super) fn keep(&self, uid: &str, key: SecretString) {
        let mut known = self.all();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(uid.to_owned(), key);
    }

    /// Forgets the key of a session that is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.all().remove(uid);
    }

    fn get(&self, uid: &str) -> Option<SecretString> {
        self.all().get(uid).cloned()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, SecretString>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
