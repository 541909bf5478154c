//! What is chosen anew for each record.

use crate::runtime_id::RuntimeId;
use crate::secret::SessionKey;

/// What a session's creator chooses at random, for the record and the Secret of one creation. The record holds the hash of
/// the key that the Secret holds, so both are made from one value.
#[derive(Clone, Debug)]
pub struct CreationValues {
    /// Chosen for each attempt to create the record: if the answer to the creation is lost, it tells the caller's own record
    /// from one that someone else created meanwhile.
    pub nonce: String,
    /// The id by which the session is found from outside.
    pub runtime_id: RuntimeId,
    /// What clients must show to the session's servers.
    pub key: SessionKey,
}

/// Stands in rendered objects for what is chosen at random when a session is opened.
const PLACEHOLDER: &str = "made-when-the-session-is-opened";

impl CreationValues {
    /// Values that stand for others, for objects that are only shown or measured.
    pub(crate) fn placeholder() -> Self {
        Self {
            nonce: PLACEHOLDER.into(),
            runtime_id: RuntimeId::from_random([0; 16]),
            key: SessionKey::placeholder(PLACEHOLDER),
        }
    }
}
