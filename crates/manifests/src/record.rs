//! The session record: a ConfigMap that is the session, for every process that looks for it.
//!
//! Creating it is the point where a session begins, and deleting it deletes the session's other objects. It
//! holds no secret: records are listed and watched.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use crate::labels::{self, CREATION_NONCE, PAUSED};
use crate::metadata::metadata;
use crate::names::SessionNames;
use crate::owner::Owner;
use crate::session_id::SessionId;
use crate::session_spec::{SessionSpec, SpecV1};

/// Version of the record's layout. It grows when an older program would misunderstand a newer record. Records of
/// all earlier versions are read.
pub const SCHEMA_VERSION: u32 = 2;

/// Key in `data`: the session's id as its client wrote it.
const ID: &str = "id";
/// Key in `data`: [`SCHEMA_VERSION`] of the program that wrote the record.
const SCHEMA: &str = "schemaVersion";
/// Key in `data`: the [`SessionSpec`] as JSON.
const SPEC: &str = "spec";

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
}

/// Why a ConfigMap is no record that we can use.
#[derive(Debug, thiserror::Error)]
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
        "session record {record} has schema version {found}, this Podbay knows versions up to {SCHEMA_VERSION}: use a \
         newer Podbay, or delete the session with the one that made it"
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

/// The record of the session `spec`. The same specification and nonce give the same bytes.
///
/// `nonce` is a value that the caller chooses anew for each attempt to create it: when the answer to the
/// creation is lost, it tells the caller's own record from one that someone else created meanwhile.
pub fn record(spec: &SessionSpec, nonce: &str) -> ConfigMap {
    let mut metadata = metadata(spec, spec.names().object(), None);
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(labels::SCHEMA_VERSION.into(), SCHEMA_VERSION.to_string());
    annotations.insert(CREATION_NONCE.into(), nonce.into());
    ConfigMap {
        metadata,
        data: Some(BTreeMap::from([
            (ID.into(), spec.id.to_string()),
            (SCHEMA.into(), SCHEMA_VERSION.to_string()),
            // `json!` refuses only maps whose keys are no text and failing `Serialize`s; a spec has neither.
            (SPEC.into(), json!(spec).to_string()),
        ])),
        ..ConfigMap::default()
    }
}

impl Record {
    /// Reads a record back, as the API server gave it.
    pub fn parse(object: &ConfigMap) -> Result<Self, RecordError> {
        let metadata = &object.metadata;
        let record = metadata.name.clone().unwrap_or_default();
        let missing = |part| RecordError::Missing {
            record: record.clone(),
            part,
        };
        let data = |key| {
            object
                .data
                .as_ref()
                .and_then(|data| data.get(key))
                .ok_or_else(|| missing(key))
        };

        // The version first: of a newer record nothing else may be assumed.
        let found = data(SCHEMA)?;
        let spec = data(SPEC);
        let spec: Result<SessionSpec, _> = match found.parse() {
            Ok(1) => serde_json::from_str::<SpecV1>(spec?).map(Into::into),
            Ok(2..=SCHEMA_VERSION) => serde_json::from_str(spec?),
            Ok(found) if found > SCHEMA_VERSION => return Err(RecordError::Newer { record, found }),
            _ => {
                return Err(RecordError::SchemaVersion {
                    record,
                    found: found.clone(),
                });
            }
        };
        let spec = spec.map_err(|source| RecordError::Spec {
            record: record.clone(),
            source,
        })?;
        let fits = [
            ("id", *data(ID)? == spec.id.as_str()),
            ("name", record == SessionNames::of(&spec.id).object()),
            (
                "namespace",
                metadata.namespace.as_deref() == Some(spec.namespace()),
            ),
        ];
        if let Some((part, _)) = fits.into_iter().find(|(_, fits)| !fits) {
            return Err(RecordError::Contradiction {
                record,
                part,
                id: spec.id,
            });
        }
        Ok(Self {
            uid: metadata.uid.clone().ok_or_else(|| missing("uid"))?,
            resource_version: metadata.resource_version.clone(),
            created: metadata.creation_timestamp.clone(),
            deleted: metadata.deletion_timestamp.clone(),
            nonce: metadata
                .annotations
                .as_ref()
                .and_then(|all| all.get(CREATION_NONCE))
                .cloned(),
            paused: metadata
                .annotations
                .as_ref()
                .is_some_and(|all| all.contains_key(PAUSED)),
            spec,
        })
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
