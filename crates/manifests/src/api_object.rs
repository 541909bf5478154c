//! Pieces of the Kubernetes API that people write: every field must be one of the API's.
//!
//! The API's own types skip fields they don't know, so that a typing error would pass in silence. They name
//! their fields to serde, though, which is what is compared with here.

use serde::de::DeserializeOwned;
use serde_json::Value;

mod strict;
mod values;
mod words;

pub(crate) use values::{ApiPiece, refused_in_pod};

/// What is wrong with a piece of the Kubernetes API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiObjectError {
    /// The API has no such field.
    #[error("there is no field {path}{}", known(.nearest.as_deref(), .kind))]
    Unknown {
        /// Where it stands: `nodeAffinity.required`.
        path: String,
        /// The API's type that was expected to have it.
        kind: &'static str,
        /// The field that was most likely meant.
        nearest: Option<String>,
    },
    /// A word that the field does not take.
    #[error("{path} can't be {value:?}: {}", one_of(.allowed))]
    Word {
        /// The field.
        path: String,
        /// What it is.
        value: String,
        /// What it may be; an empty text stands for a field that is left out.
        allowed: &'static [&'static str],
    },
    /// A value does not have the type of its field, or is one that the API server refuses.
    #[error("{path} can't be used: {reason}")]
    Type {
        /// The field.
        path: String,
        /// What it is and what it should be.
        reason: String,
    },
}

/// Reads `value` as a `T`, with the paths of all unknown fields and words, and of the first value of a wrong type.
pub(crate) fn parse<T: DeserializeOwned>(value: &Value) -> Result<T, Vec<ApiObjectError>> {
    let mut unknown = Vec::new();
    let parsed = T::deserialize(strict::Strict::new(value, &mut unknown));
    match parsed {
        Ok(object) if unknown.is_empty() => Ok(object),
        Ok(_) => Err(unknown),
        Err(strict::TypeError { path, reason }) => {
            unknown.push(ApiObjectError::Type {
                path: if path.is_empty() { "it".into() } else { path },
                reason: with_hint(reason),
            });
            Err(unknown)
        }
    }
}

/// As [`parse`], with the values judged that the API server would refuse although their types are right.
pub(crate) fn read<T: ApiPiece>(value: &Value) -> Result<T, Vec<ApiObjectError>> {
    let piece: T = parse(value)?;
    match piece.refused() {
        refused if refused.is_empty() => Ok(piece),
        refused => Err(refused),
    }
}

fn one_of(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().copied().filter(|word| !word.is_empty()).collect();
    words.join(" or ")
}

/// What people meet who write a text that YAML takes for a boolean.
fn with_hint(reason: String) -> String {
    if reason.starts_with("invalid type: boolean") && reason.ends_with("expected a string") {
        reason + " (in YAML a bare y, yes, on, n, no or off is one, too: put it in quotes)"
    } else {
        reason
    }
}

fn known(nearest: Option<&str>, kind: &str) -> String {
    match nearest {
        Some(nearest) => format!(" in the API's {kind}; did you mean {nearest}?"),
        None => format!(" in the API's {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Affinity, Pod, TopologySpreadConstraint, Volume};
    use serde_json::json;

    use super::*;

    fn errors<T: DeserializeOwned>(value: &Value) -> Vec<String> {
        match parse::<T>(value) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn what_the_api_knows_is_read_as_the_api_reads_it() {
        let value = json!({
            "metadata": { "labels": { "anything": "goes" }, "annotations": null },
            "spec": {
                "containers": [{
                    "name": "a",
                    "resources": { "limits": { "cpu": 2, "memory": "1Gi" } },
                    "livenessProbe": { "httpGet": { "port": 80 }, "periodSeconds": 3 },
                    "readinessProbe": { "httpGet": { "port": "http" } },
                }],
                "hostNetwork": true,
            },
        });
        let strict: Pod = parse(&value).unwrap();
        assert_eq!(strict, serde_json::from_value::<Pod>(value).unwrap());
    }

    #[test]
    fn unknown_fields_have_their_path_and_the_nearest_name() {
        assert_eq!(
            errors::<Pod>(
                &json!({ "spec": { "containers": [{ "name": "a", "imagePullPolice": "x" }], "zzz": 1 } })
            ),
            [
                "there is no field spec.zzz in the API's PodSpec",
                "there is no field spec.containers[0].imagePullPolice in the API's Container; did you mean \
                 imagePullPolicy?",
            ]
        );
        assert_eq!(
            errors::<Affinity>(&json!({ "node_affinity": {} })),
            ["there is no field node_affinity in the API's Affinity; did you mean nodeAffinity?"]
        );
    }

    #[test]
    fn a_word_that_the_api_does_not_know_has_its_path_and_those_it_does() {
        let constraint =
            |word: &str| json!({ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": word });
        assert_eq!(
            errors::<TopologySpreadConstraint>(&constraint("Sometimes")),
            ["whenUnsatisfiable can't be \"Sometimes\": DoNotSchedule or ScheduleAnyway"]
        );
        assert_eq!(
            errors::<TopologySpreadConstraint>(&constraint("ScheduleAnyway")),
            [""; 0]
        );
        let wrong = errors::<Volume>(&json!({ "name": "a", "hostPath": { "path": "/a", "type": "Dir" } }));
        assert!(
            wrong[0].starts_with("hostPath.type can't be \"Dir\": DirectoryOrCreate or"),
            "{wrong:?}"
        );
    }

    #[test]
    fn a_wrong_type_has_its_path() {
        let wrong = errors::<Volume>(&json!({ "name": "a", "hostPath": { "path": 3 } }));
        assert_eq!(
            wrong,
            ["hostPath.path can't be used: invalid type: integer `3`, expected a string"]
        );
        let wrong = errors::<Volume>(&json!({ "name": true }));
        assert_eq!(
            wrong,
            [
                "name can't be used: invalid type: boolean `true`, expected a string (in YAML a bare y, yes, on, n, no or \
                 off is one, too: put it in quotes)"
            ]
        );
        let wrong = errors::<Volume>(&json!("a"));
        assert_eq!(
            wrong,
            ["it can't be used: invalid type: string \"a\", expected Volume"]
        );
    }
}
