//! Labels and annotations: which ones we set, how a session's objects are selected, which ones users may add.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dns::is_subdomain;
use crate::names::SessionNames;
use crate::session_id::SessionId;

/// Label key of the application, on every object.
pub const APP: &str = "app";
/// Value of [`APP`], as OpenHands has it.
pub const APP_VALUE: &str = "openhands-runtime";
/// Label key of the session; the value is [`SessionNames::label`].
pub const SESSION: &str = "session";
/// Label key of the tool that made an object (Kubernetes' recommended labels).
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`]. It tells our objects from those OpenHands itself made under the same `app`.
pub const MANAGED_BY_VALUE: &str = "podbay";
/// Prefix of our own annotations; users' labels may not use it.
pub const OWN_PREFIX: &str = "podbay.dev";
/// Annotation: the session's id as its client wrote it, on every object.
pub const SESSION_ID: &str = "podbay.dev/session-id";
/// Annotation: version of the record's layout, on the record.
pub const SCHEMA_VERSION: &str = "podbay.dev/schema-version";
/// Annotation: a value chosen anew for each creation, on the record. It tells the caller whether a record
/// that is there after a lost answer is the one it wrote.
pub const CREATION_NONCE: &str = "podbay.dev/creation-nonce";
/// Annotation: set on the record of a session that is paused.
pub const PAUSED: &str = "podbay.dev/paused";
/// Label key of a session's [`RuntimeId`](crate::RuntimeId), on its record.
pub const RUNTIME_ID: &str = "podbay.dev/runtime-id";
/// Label key of a session's [`SessionOwner`](crate::SessionOwner), on all its objects.
pub const OWNER: &str = "podbay.dev/owner";
/// Annotation: why and when the session's last start failed, as JSON, on the record of a failed session.
pub const LAST_FAILURE: &str = "podbay.dev/last-failure";
/// Annotation: when the session was last started again after its start had failed, on the record.
pub const STARTED_AGAIN: &str = "podbay.dev/started-again";
/// Annotation: why and when the session's last pod was lost that another followed, as JSON, on the record.
pub const LAST_LOSS: &str = "podbay.dev/last-loss";
/// Label key of the rules that hold for a pod's network, on the pod and on the policy with these rules.
pub const NETWORK: &str = "podbay.dev/network";

/// Longest label value and longest name part of a label key (Kubernetes, "Labels and Selectors").
const MAX_PART: usize = 63;
/// Most labels a session may add: far more than anyone selects by, and few enough that the record, which
/// holds them twice, stays small beside etcd's limit of 1.5 MiB.
const MAX_LABELS: usize = 64;

/// Labels a user adds to a session's objects: valid for Kubernetes and none of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct UserLabels(BTreeMap<String, String>);

/// Why a label is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The key does not have Kubernetes' syntax.
    #[error(
        "label key {0:?} is not valid: an optional DNS subdomain and \"/\", then 1 to 63 letters, digits, \"-\", \"_\" \
         and \".\", with a letter or digit at both ends"
    )]
    Key(String),
    /// The value does not have Kubernetes' syntax.
    #[error(
        "value {value:?} of label {key} is not valid: at most 63 letters, digits, \"-\", \"_\" and \".\", with a \
         letter or digit at both ends, or nothing"
    )]
    Value {
        /// The label's key.
        key: String,
        /// The refused value.
        value: String,
    },
    /// The key is one of ours.
    #[error("label {0} is reserved: {APP}, {SESSION}, {MANAGED_BY} and {OWN_PREFIX}/* are set by Podbay")]
    Reserved(String),
    /// There are more labels than a session may have.
    #[error("{0} labels are too many: a session may have {MAX_LABELS}")]
    TooMany(usize),
}

// === impl UserLabels ===

impl UserLabels {
    /// Checks all of `labels` and reports every problem.
    pub fn new(labels: BTreeMap<String, String>) -> Result<Self, Vec<LabelError>> {
        let mut errors: Vec<_> = labels
            .iter()
            .filter_map(|(key, value)| check(key, value).err())
            .collect();
        if labels.len() > MAX_LABELS {
            errors.push(LabelError::TooMany(labels.len()));
        }
        if errors.is_empty() {
            Ok(Self(labels))
        } else {
            Err(errors)
        }
    }

    /// The value of the label `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The labels in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl TryFrom<BTreeMap<String, String>> for UserLabels {
    type Error = LabelError;

    fn try_from(labels: BTreeMap<String, String>) -> Result<Self, Self::Error> {
        Self::new(labels).map_err(|errors| {
            // `new` never gives an empty list.
            errors.into_iter().next().unwrap_or(LabelError::TooMany(0))
        })
    }
}

impl From<UserLabels> for BTreeMap<String, String> {
    fn from(labels: UserLabels) -> Self {
        labels.0
    }
}

/// All labels of a session's objects.
pub(crate) fn labels(names: &SessionNames, user: &UserLabels) -> BTreeMap<String, String> {
    let mut labels = user.0.clone();
    labels.insert(APP.into(), APP_VALUE.into());
    labels.insert(SESSION.into(), names.label().into());
    labels.insert(MANAGED_BY.into(), MANAGED_BY_VALUE.into());
    labels
}

/// The annotations that every object of a session carries.
pub(crate) fn annotations(id: &SessionId) -> BTreeMap<String, String> {
    BTreeMap::from([(SESSION_ID.into(), id.to_string())])
}

/// The labels by which a session's pod is found.
pub(crate) fn selector_map(names: &SessionNames) -> BTreeMap<String, String> {
    labels(names, &UserLabels::default())
}

/// Label selector of every session's objects.
pub fn selector_all() -> String {
    format!("{APP}={APP_VALUE},{MANAGED_BY}={MANAGED_BY_VALUE}")
}

/// Label selector of one session's objects.
pub fn selector_session(names: &SessionNames) -> String {
    format!("{},{SESSION}={}", selector_all(), names.label())
}

/// Checks one label of a pod's `nodeSelector`; nodes may have any label, ours too.
pub(crate) fn node_label(key: &str, value: &str) -> Result<(), LabelError> {
    check_syntax(key, value)
}

/// Whether `key` can be the key of an annotation: those have the syntax of label keys.
pub(crate) fn is_annotation_key(key: &str) -> bool {
    is_qualified_name(key)
}

/// Whether labels and annotations of this key are ours.
pub(crate) fn is_own_key(key: &str) -> bool {
    key.split_once('/').is_some_and(|(prefix, _)| is_own(prefix))
}

/// Kubernetes' `IsQualifiedName`: an optional DNS subdomain and a slash, then a name.
pub(crate) fn is_qualified_name(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    is_qualified_part(name) && prefix.is_none_or(is_subdomain)
}

fn check(key: &str, value: &str) -> Result<(), LabelError> {
    check_syntax(key, value)?;
    if [APP, SESSION, MANAGED_BY].contains(&key) || is_own_key(key) {
        return Err(LabelError::Reserved(key.into()));
    }
    Ok(())
}

fn check_syntax(key: &str, value: &str) -> Result<(), LabelError> {
    if !is_qualified_name(key) {
        return Err(LabelError::Key(key.into()));
    }
    if !value.is_empty() && !is_qualified_part(value) {
        return Err(LabelError::Value {
            key: key.into(),
            value: value.into(),
        });
    }
    Ok(())
}

fn is_own(prefix: &str) -> bool {
    prefix
        .strip_suffix(OWN_PREFIX)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_qualified_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.len() <= MAX_PART
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Result<UserLabels, Vec<LabelError>> {
        UserLabels::new(BTreeMap::from([(key.to_owned(), value.to_owned())]))
    }

    #[test]
    fn kubernetes_labels_are_taken() {
        let longest = format!("{}/{}", "a".repeat(253), "B".repeat(63));
        for (key, value) in [
            ("team", "x"),
            ("a.b/c_D.e-1", "V_1.2-3"),
            ("x", ""),
            (&longest, &"v".repeat(63)),
        ] {
            assert_eq!(one(key, value).unwrap().get(key), Some(value));
        }
    }

    #[test]
    fn other_labels_are_refused() {
        for key in [
            "",
            "-a",
            "a-",
            "a/b/c",
            "/a",
            "A.B/c",
            "ä",
            &"a".repeat(64),
            &format!("{}/a", "a".repeat(254)),
        ] {
            assert_eq!(one(key, "v"), Err(vec![LabelError::Key(key.to_owned())]));
        }
        for value in ["-v", "v.", "a b", "ä", &"v".repeat(64)] {
            assert!(
                matches!(one("k", value).unwrap_err()[..], [LabelError::Value { .. }]),
                "{value}"
            );
        }
    }

    #[test]
    fn our_labels_are_refused_and_their_neighbours_not() {
        for key in [APP, SESSION, MANAGED_BY, SESSION_ID, "x.podbay.dev/y"] {
            assert_eq!(one(key, "v"), Err(vec![LabelError::Reserved(key.to_owned())]));
        }
        for key in ["app2", "app.kubernetes.io/part-of", "mypodbay.dev/y"] {
            assert!(one(key, "v").is_ok(), "{key}");
        }
    }

    #[test]
    fn every_problem_is_reported() {
        let many = (0..65)
            .map(|n| (format!("k{n}"), String::new()))
            .chain([("-".into(), String::new())]);
        let errors = UserLabels::new(many.collect()).unwrap_err();
        assert_eq!(errors, [LabelError::Key("-".into()), LabelError::TooMany(66)]);
    }

    #[test]
    fn selectors_name_ours_only() {
        let names = SessionNames::of(None, &"demo".parse().unwrap());
        assert_eq!(
            selector_all(),
            "app=openhands-runtime,app.kubernetes.io/managed-by=podbay"
        );
        assert_eq!(
            selector_session(&names),
            "app=openhands-runtime,app.kubernetes.io/managed-by=podbay,session=demo"
        );
    }
}
