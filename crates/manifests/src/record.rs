//! The session record: a ConfigMap that is the session, for every process that looks for it.
//!
//! Creating it is the point where a session begins, and deleting it deletes the session's other objects. It
//! holds no secret: records are listed and watched.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use podbay_protocol::{PodLoss, StartFailure};
use serde_json::{Value, json};

use crate::labels::{self, CREATION_NONCE, LAST_FAILURE, LAST_LOSS, PAUSED, RUNTIME_ID, STARTED_AGAIN};
use crate::metadata::metadata;
use crate::owner::Owner;
use crate::runtime_id::RuntimeId;
use crate::secret::KeyHash;
use crate::session_id::SessionId;
use crate::session_spec::SessionSpec;

mod creation;
mod failure;
mod loss;
mod parts;
mod strict;

pub use creation::CreationValues;
pub use failure::annotation as last_failure_annotation;
pub use loss::annotation as last_loss_annotation;
use parts::Parts;

/// Version of the record's layout. Records of all earlier versions are read. From version 3 on fields that a reader does
/// not know are passed over, so a field that may be missed needs no new version.
pub const SCHEMA_VERSION: u32 = 3;

/// The oldest version whose readers understand what this one writes. It grows when an older program would misunderstand a
/// newer record, and says so to those that can't know better: they read any record whose value is not above their own
/// version.
pub const MIN_READER_VERSION: u32 = 3;

/// Key in `data`: the session's id as its client wrote it.
const ID: &str = "id";
/// Key in `data`: [`SCHEMA_VERSION`] of the program that wrote the record.
const SCHEMA: &str = "schemaVersion";
/// Key in `data`: [`MIN_READER_VERSION`] of the program that wrote the record, from version 3 on.
const MIN_READER: &str = "minReaderVersion";
/// Key in `data`: the [`SessionSpec`] as JSON.
const SPEC: &str = "spec";
/// Key in `data`: the [`KeyHash`] of the session's key, from version 3 on.
const KEY_SHA256: &str = "sessionKeySha256";
/// Key in `data`: the [`KeyHash`] of the token of VS Code, where the agent makes that of the session's key.
const VSCODE_TOKEN_SHA256: &str = "vscodeTokenSha256";

/// A record as the API server has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What the session is.
    pub spec: SessionSpec,
    /// Identity of this record: another record of the same name has another.
    pub uid: String,
    /// For optimistic updates and watches.
    pub resource_version: Option<String>,
    /// When the API server stored it.
    pub created: Option<Time>,
    /// When it was deleted, if it is still there because something holds it.
    pub deleted: Option<Time>,
    /// The value its creator chose, to know its own record by.
    pub nonce: Option<String>,
    /// Whether the session is paused: it has no pod, and is to have none.
    pub paused: bool,
    /// When it was paused; `None` for one that is not, or that an earlier version paused.
    pub paused_at: Option<Timestamp>,
    /// The id by which the session is found from outside; `None` before version 3.
    pub runtime_id: Option<RuntimeId>,
    /// What a client's key is checked against; `None` before version 3, whose keys are in the Secret alone.
    pub key_hash: Option<KeyHash>,
    /// What the token of VS Code is checked against that a client was told by the session's agent; `None` where another server than
    /// the agent takes OpenHands' actions, and of an earlier version.
    pub vscode_token_hash: Option<KeyHash>,
    /// Why the last start failed, if it did and the session was kept as a failed one.
    pub last_failure: Option<Box<StartFailure>>,
    /// When the session was last started again after such a failure.
    pub started_again: Option<Timestamp>,
    /// The last pod that was lost and that another followed, since the session was made or paused last.
    pub last_loss: Option<Box<PodLoss>>,
}

/// Why a ConfigMap is no record that we can use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A part is missing: not one of our records, or a damaged one.
    #[error("ConfigMap {record} is no session record: it has no {part}")]
    Missing {
        /// Name of the ConfigMap.
        record: String,
        /// The missing part.
        part: &'static str,
    },
    /// A newer Podbay wrote it.
    #[error(
        "session record {record} has schema version {found}, which this Podbay can't read (it knows versions up to \
         {SCHEMA_VERSION}): use a newer Podbay, or delete the session with the one that made it"
    )]
    Newer {
        /// Name of the ConfigMap.
        record: String,
        /// Its schema version.
        found: u32,
    },
    /// The schema version is not one that was ever written.
    #[error("session record {record} has schema version {found:?}, which is not a number from 1")]
    SchemaVersion {
        /// Name of the ConfigMap.
        record: String,
        /// Its schema version.
        found: String,
    },
    /// A value that Podbay makes itself is none that it makes: someone edited it.
    #[error("session record {record} has a {part} that can't be read")]
    Damaged {
        /// Name of the ConfigMap.
        record: String,
        /// The damaged part.
        part: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The specification can't be read.
    #[error("session record {record} has a specification that can't be read")]
    Spec {
        /// Name of the ConfigMap.
        record: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The parts contradict each other: someone edited it.
    #[error("session record {record} contradicts itself: its {part} is not that of session {id}")]
    Contradiction {
        /// Name of the ConfigMap.
        record: String,
        /// What does not fit.
        part: &'static str,
        /// The id in the specification.
        id: SessionId,
    },
}

/// The record of the session `spec`. The same specification and values give the same bytes.
pub fn record(spec: &SessionSpec, values: &CreationValues) -> ConfigMap {
    let mut metadata = metadata(spec, spec.names().object(), None);
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(labels::SCHEMA_VERSION.into(), SCHEMA_VERSION.to_string());
    annotations.insert(CREATION_NONCE.into(), values.nonce.clone());
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(RUNTIME_ID.into(), values.runtime_id.to_string());
    let mut data = BTreeMap::from([
        (ID.into(), spec.id.to_string()),
        (SCHEMA.into(), SCHEMA_VERSION.to_string()),
        (MIN_READER.into(), MIN_READER_VERSION.to_string()),
        // `json!` refuses only maps whose keys are no text and failing `Serialize`s; a spec has neither.
        (SPEC.into(), json!(spec).to_string()),
    ]);
    data.extend(key_hashes(spec, values.key.expose().as_bytes()));
    ConfigMap {
        metadata,
        data: Some(data),
        ..ConfigMap::default()
    }
}

/// A merge patch of a record's `data` that says which key its Secret holds.
pub fn key_hash_patch(spec: &SessionSpec, key: &[u8]) -> Value {
    let data: BTreeMap<_, _> = key_hashes(spec, key).collect();
    json!({"data": data})
}

/// What the record of a session with this key holds of it.
fn key_hashes(spec: &SessionSpec, key: &[u8]) -> impl Iterator<Item = (String, String)> + use<> {
    let all = [
        (KEY_SHA256, Some(KeyHash::of(key))),
        (VSCODE_TOKEN_SHA256, vscode_token_hash(spec, key)),
    ];
    all.into_iter()
        .filter_map(|(name, hash)| Some((name.to_owned(), hash?.as_str().to_owned())))
}

/// That of the token that the session's agent tells, if it takes OpenHands' actions.
fn vscode_token_hash(spec: &SessionSpec, key: &[u8]) -> Option<KeyHash> {
    spec.actions().map(|_| KeyHash::of_vscode_token(key))
}

impl Record {
    /// Reads a record back, as the API server gave it.
    pub fn parse(object: &ConfigMap) -> Result<Self, RecordError> {
        let parts = Parts::of(object);
        // The version first: of a newer record nothing else may be assumed.
        let version = parts.version()?;
        let spec = parts.spec(version)?;
        parts.check(&spec)?;
        let metadata = &object.metadata;
        Ok(Self {
            uid: metadata.uid.clone().ok_or_else(|| parts.missing("uid"))?,
            resource_version: metadata.resource_version.clone(),
            created: metadata.creation_timestamp.clone(),
            deleted: metadata.deletion_timestamp.clone(),
            nonce: parts.annotation(CREATION_NONCE).cloned(),
            paused: parts.annotation(PAUSED).is_some(),
            paused_at: parts.annotation(PAUSED).and_then(|at| at.parse().ok()),
            runtime_id: parts.runtime_id()?,
            key_hash: parts.key_hash()?,
            vscode_token_hash: parts.vscode_token_hash()?,
            last_failure: parts
                .annotation(LAST_FAILURE)
                .map(|text| Box::new(failure::parse(text))),
            // One that can't be read tells no more than none.
            started_again: parts.annotation(STARTED_AGAIN).and_then(|text| text.parse().ok()),
            last_loss: parts
                .annotation(LAST_LOSS)
                .and_then(|text| loss::parse(text))
                .map(Box::new),
            spec,
        })
    }

    /// Whether it holds what a record of this session with this key does: see [`key_hash_patch`].
    pub fn is_of_key(&self, key: &[u8]) -> bool {
        self.key_hash == Some(KeyHash::of(key))
            && self.vscode_token_hash == vscode_token_hash(&self.spec, key)
    }

    /// The session's id.
    pub fn id(&self) -> &SessionId {
        &self.spec.id
    }

    /// This record as the owner of the session's other objects.
    pub fn owner(&self) -> Owner {
        Owner {
            name: self.spec.names().object(),
            uid: self.uid.clone(),
        }
    }
}
