//! API keys: who may ask the service, and whose the sessions are.
//!
//! A key is kept as its SHA-256. Keys are made of random bits, so a hash tells nothing of one, and what was presented is hashed
//! and compared in constant time.

mod owners;
mod rate;
mod source;

use std::sync::Arc;

use podbay_manifests::SessionOwner;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub use owners::Owners;
pub(crate) use rate::StartRate;
pub use source::{GeneratedKey, KeysError, Sources};

/// The hash of a key.
type Hash = [u8; 32];

/// The API keys that the service takes.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(Vec<ApiKey>);

/// One of them.
#[derive(Clone, Debug)]
struct ApiKey {
    hash: Hash,
    caller: Caller,
}

/// Who asks: known by the key that was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// What logs call the key.
    pub key: Arc<str>,
    /// Whose the sessions are that are started with it.
    pub owner: SessionOwner,
    /// The owner's name, as the settings have it.
    pub owner_name: Arc<str>,
    /// The namespace of these sessions; `None` is the service's own.
    pub namespace: Option<Arc<str>>,
    /// How many sessions the owner may have at once for one to be started or resumed with this key; `None` is any number.
    pub max_sessions: Option<u32>,
    /// How many sessions the key may start in a minute; `None` is any number.
    pub starts_per_minute: Option<u32>,
}

impl ApiKeys {
    /// Whose key this is; `None` if it is nobody's. Takes as long for any key.
    pub fn caller(&self, presented: &[u8]) -> Option<&Caller> {
        let hash = hash_of(presented);
        let mut found = None;
        for key in &self.0 {
            if bool::from(key.hash.ct_eq(&hash)) {
                found = Some(&key.caller);
            }
        }
        found
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn hash_of(key: &[u8]) -> Hash {
    Sha256::digest(key).into()
}
