//! The parts of a record, as they are read from its ConfigMap.

use std::collections::BTreeMap;
use std::str::FromStr;

use k8s_openapi::api::core::v1::ConfigMap;

use super::{
    ID, KEY_SHA256, MIN_READER, RecordError, SCHEMA, SCHEMA_VERSION, SPEC, VSCODE_TOKEN_SHA256, strict,
};
use crate::labels::{OWNER, RUNTIME_ID};
use crate::runtime_id::RuntimeId;
use crate::secret::KeyHash;
use crate::session_owner::SessionOwner;
use crate::session_spec::{SessionSpec, SpecV1};

/// How a record's specification is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Schema version 1, which had a layout of its own.
    One,
    /// Schema version 2, of which no field is unknown.
    Two,
    /// A later one that readers of this version understand; fields that they don't know are passed over.
    Later,
}

pub(super) struct Parts<'a> {
    object: &'a ConfigMap,
    /// The ConfigMap's name, for errors.
    record: String,
}

impl<'a> Parts<'a> {
    pub(super) fn of(object: &'a ConfigMap) -> Self {
        Self {
            object,
            record: object.metadata.name.clone().unwrap_or_default(),
        }
    }

    pub(super) fn missing(&self, part: &'static str) -> RecordError {
        RecordError::Missing {
            record: self.record.clone(),
            part,
        }
    }

    fn data(&self, key: &'static str) -> Result<&'a String, RecordError> {
        let data = self.object.data.as_ref();
        data.and_then(|data| data.get(key))
            .ok_or_else(|| self.missing(key))
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'a String> {
        self.object.metadata.annotations.as_ref()?.get(key)
    }

    fn label(&self, key: &str) -> Option<&'a String> {
        let labels: &BTreeMap<_, _> = self.object.metadata.labels.as_ref()?;
        labels.get(key)
    }

    pub(super) fn version(&self) -> Result<Version, RecordError> {
        let found = number(self.data(SCHEMA)?).ok_or_else(|| self.no_version(SCHEMA))?;
        match found {
            1 => return Ok(Version::One),
            2 => return Ok(Version::Two),
            _ => {}
        }
        match self.data(MIN_READER).map(|text| number(text)) {
            Ok(Some(..=SCHEMA_VERSION)) => Ok(Version::Later),
            Ok(Some(_)) => Err(self.newer(found)),
            Ok(None) => Err(self.no_version(MIN_READER)),
            // A record that says nothing to earlier readers is not meant for them.
            Err(_) if found > SCHEMA_VERSION => Err(self.newer(found)),
            Err(missing) => Err(missing),
        }
    }

    fn newer(&self, found: u32) -> RecordError {
        RecordError::Newer {
            record: self.record.clone(),
            found,
        }
    }

    fn no_version(&self, key: &'static str) -> RecordError {
        RecordError::SchemaVersion {
            record: self.record.clone(),
            found: self.data(key).cloned().unwrap_or_default(),
        }
    }

    pub(super) fn spec(&self, version: Version) -> Result<SessionSpec, RecordError> {
        let text = self.data(SPEC)?;
        let spec = match version {
            Version::One => serde_json::from_str::<SpecV1>(text).map(Into::into),
            Version::Two => strict::read(text),
            Version::Later => serde_json::from_str(text),
        };
        spec.map_err(|source| RecordError::Spec {
            record: self.record.clone(),
            source,
        })
    }

    /// Whether the ConfigMap is that of this specification.
    pub(super) fn check(&self, spec: &SessionSpec) -> Result<(), RecordError> {
        let namespace = self.object.metadata.namespace.as_deref();
        let owner = self.label(OWNER).map(String::as_str);
        let fits = [
            ("id", *self.data(ID)? == spec.id.as_str()),
            ("name", self.record == spec.names().object()),
            ("namespace", namespace == Some(spec.namespace())),
            ("owner", owner == spec.owner().map(SessionOwner::as_str)),
        ];
        match fits.into_iter().find(|(_, fits)| !fits) {
            None => Ok(()),
            Some((part, _)) => Err(RecordError::Contradiction {
                record: self.record.clone(),
                part,
                id: spec.id.clone(),
            }),
        }
    }

    pub(super) fn runtime_id(&self) -> Result<Option<RuntimeId>, RecordError> {
        self.optional(RUNTIME_ID, self.label(RUNTIME_ID))
    }

    pub(super) fn key_hash(&self) -> Result<Option<KeyHash>, RecordError> {
        self.optional(KEY_SHA256, self.data(KEY_SHA256).ok())
    }

    pub(super) fn vscode_token_hash(&self) -> Result<Option<KeyHash>, RecordError> {
        self.optional(VSCODE_TOKEN_SHA256, self.data(VSCODE_TOKEN_SHA256).ok())
    }

    /// A part that earlier versions did not write.
    fn optional<T>(&self, part: &'static str, text: Option<&String>) -> Result<Option<T>, RecordError>
    where
        T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        text.map(|text| text.parse())
            .transpose()
            .map_err(|source: T::Err| RecordError::Damaged {
                record: self.record.clone(),
                part,
                source: Box::new(source),
            })
    }
}

/// A schema version: a number from 1.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|version| *version > 0)
}
