//! All objects of a session, and their text for people who want to see or apply them.

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;

use crate::{Owner, SessionKey, SessionSecrets, SessionSpec, claim, pod, record, secret};

/// UID of the record in rendered objects, where it is not created yet: nobody has this one. Objects that are
/// applied with it are collected as orphans, so put the record's real UID in its place first.
pub const PLACEHOLDER_UID: &str = "00000000-0000-0000-0000-000000000000";
/// Stands in rendered objects for what is chosen at random when a session is opened.
const PLACEHOLDER: &str = "made-when-the-session-is-opened";
/// Stands in a rendered Secret for a value that is not to be shown.
const HIDDEN: &str = "hidden";

/// All objects of one session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionObjects {
    /// The record: owner of the Secret and the Pod.
    pub record: ConfigMap,
    /// The session key and the environment.
    pub secret: Secret,
    /// The workspace's claim, if it is persistent.
    pub claim: Option<PersistentVolumeClaim>,
    /// What runs.
    pub pod: Pod,
}

/// Whether a rendered Secret shows the values of the environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretValues {
    /// Every value is replaced.
    #[default]
    Hidden,
    /// The values as they are.
    Shown,
}

/// The objects could not be written as YAML.
#[derive(Debug, thiserror::Error)]
#[error("the {kind} of session {session} can't be written as YAML")]
pub struct RenderError {
    kind: &'static str,
    session: String,
    source: serde_saphyr::ser::Error,
}

/// The objects of the session `spec` before any exists: for reading, for review, for a dry run.
///
/// The record's UID is [`PLACEHOLDER_UID`], and its nonce and the session key are placeholders too.
pub fn render(spec: &SessionSpec, secrets: &SessionSecrets, values: SecretValues) -> SessionObjects {
    let hidden = || SessionSecrets {
        env: secrets
            .env()
            .map(|(name, _)| (name.clone(), SecretString::from(HIDDEN)))
            .collect(),
    };
    let secrets = match values {
        SecretValues::Hidden => &hidden(),
        SecretValues::Shown => secrets,
    };
    let owner = Owner {
        name: spec.names().object(),
        uid: PLACEHOLDER_UID.into(),
    };
    SessionObjects {
        record: record::record(spec, PLACEHOLDER),
        secret: secret::secret(spec, secrets, &SessionKey::placeholder(PLACEHOLDER), &owner),
        claim: claim::claim(spec),
        pod: pod::pod(spec, &owner),
    }
}

impl SessionObjects {
    /// The objects as YAML documents, in the order in which they can be applied.
    pub fn to_yaml(&self) -> Result<String, RenderError> {
        let Self {
            record,
            secret,
            claim,
            pod,
        } = self;
        let mut text = self.document("ConfigMap", record)?;
        text += &self.document("Secret", secret)?;
        if let Some(claim) = claim {
            text += &self.document("PersistentVolumeClaim", claim)?;
        }
        text += &self.document("Pod", pod)?;
        Ok(text)
    }

    /// The objects as one `List`, in the order in which they can be applied.
    pub fn to_json_list(&self) -> serde_json::Value {
        let Self {
            record,
            secret,
            claim,
            pod,
        } = self;
        let mut items = vec![json!(record), json!(secret)];
        items.extend(claim.as_ref().map(|claim| json!(claim)));
        items.push(json!(pod));
        json!({ "apiVersion": "v1", "kind": "List", "items": items })
    }

    fn document(&self, kind: &'static str, object: &impl Serialize) -> Result<String, RenderError> {
        let text = serde_saphyr::to_string(object).map_err(|source| RenderError {
            kind,
            session: self.record.metadata.name.clone().unwrap_or_default(),
            source,
        })?;
        Ok(format!("---\n{}\n", text.trim_end()))
    }
}
