//! What is written down of a session: the record and the key that a cluster would keep.

use std::collections::BTreeMap;
use std::ffi::OsString;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use podbay_local::SessionFile;
use podbay_manifests::labels::PAUSED;
use podbay_manifests::{CreationValues, Record, RecordError, SessionSecrets, SessionSpec};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// The record of a new session.
pub(super) fn new(spec: &SessionSpec, values: &CreationValues, uid: &str, now: Timestamp) -> ConfigMap {
    let mut record = podbay_manifests::record::record(spec, values);
    record.metadata.uid = Some(uid.to_owned());
    record.metadata.creation_timestamp = Some(Time(now));
    record
}

/// Random bits that tell a session from all others that have or had its name.
pub(super) fn new_uid() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Reads what was written down.
pub(super) fn read(file: &SessionFile) -> Result<Record, RecordError> {
    // What is no record at all is one that lacks everything.
    let object: ConfigMap = serde_json::from_value(file.record.clone()).unwrap_or_default();
    Record::parse(&object)
}

/// Writes down whether a session is paused.
pub(super) fn mark_paused(file: &mut SessionFile, paused: bool) {
    let mut object: ConfigMap = serde_json::from_value(file.record.clone()).unwrap_or_default();
    let annotations = object.metadata.annotations.get_or_insert_default();
    if paused {
        annotations.insert(PAUSED.to_owned(), "true".to_owned());
    } else {
        annotations.remove(PAUSED);
    }
    file.record = serde_json::json!(object);
}

/// What nobody else may know: a session's key, and the variables its user gave.
#[derive(Serialize, Deserialize)]
pub(super) struct Secrets {
    key: String,
    environment: BTreeMap<String, String>,
}

impl Secrets {
    pub(super) fn new(secrets: &SessionSecrets, values: &CreationValues) -> Self {
        let environment = secrets.env();
        Self {
            key: values.key.expose().to_owned(),
            environment: environment
                .map(|(name, value)| (name.to_string(), value.expose_secret().to_owned()))
                .collect(),
        }
    }

    /// As it is written down.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Texts, and a map with text for keys: JSON knows all of them.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what was written down; `None` if that is something else.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The session's key.
    pub(super) fn key(&self) -> SecretString {
        self.key.as_str().into()
    }

    /// The variables of all commands.
    pub(super) fn environment(&self) -> BTreeMap<OsString, OsString> {
        let environment = self.environment.iter();
        environment
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use podbay_config::Config;
    use podbay_manifests::SessionRequest;

    use super::*;
    use crate::lifecycle::creation_values;

    #[test]
    fn a_record_is_read_as_it_was_written_and_pausing_changes_nothing_else() {
        let request = SessionRequest {
            image: Some("host".to_owned()),
            env: BTreeMap::from([("A".to_owned(), "1".into())]),
            ..SessionRequest::default()
        };
        let config = Config::default();
        let (spec, secrets) =
            SessionSpec::validate("Demo!".parse().unwrap(), "default", &config, request).unwrap();
        let values = creation_values();
        let now = Timestamp::UNIX_EPOCH;
        let object = new(&spec, &values, "u", now);
        let json = serde_json::json!({
            "version": 1, "uid": "u", "files": "/f", "work_directory": "files", "record": object
        });
        let mut file: SessionFile = serde_json::from_value(json).unwrap();
        let record = read(&file).unwrap();
        assert_eq!(
            (record.id().as_str(), record.uid.as_str(), record.paused),
            ("Demo!", "u", false)
        );
        assert_eq!(record.created.as_ref().map(|time| time.0), Some(now));
        mark_paused(&mut file, true);
        assert_eq!(
            read(&file).unwrap(),
            Record {
                paused: true,
                ..record.clone()
            }
        );
        mark_paused(&mut file, false);
        assert_eq!(read(&file).unwrap(), record);
        file.record = serde_json::Value::Null;
        assert!(read(&file).is_err());

        let written = Secrets::new(&secrets, &values).to_bytes();
        let secrets = Secrets::read(&written).unwrap();
        assert_eq!(secrets.key().expose_secret(), values.key.expose());
        assert_eq!(secrets.environment(), BTreeMap::from([("A".into(), "1".into())]));
        assert!(Secrets::read(b"{}").is_none());
    }
}
