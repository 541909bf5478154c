//! `kubernetes.pod_template`: what people lay over a session's pod, last, by Kubernetes' strategic merge.

use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use podbay_protocol::Field;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api_object::{self, ApiObjectError};
use crate::session_spec::SessionSpec;

mod merge;
mod protected;

/// A patch for `metadata` and `spec` of a pod, every field of which the API knows.
///
/// Lists merge by the API's own keys (containers, volumes and variables by name, ports by number, mounts by
/// path); lists for which the API has none, such as tolerations, are replaced. `$patch: delete`,
/// `$patch: replace` and `$retainKeys` do what they do for kubectl.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct PodTemplate(Value);

/// Why a pod template can't be laid over a pod.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PodTemplateError {
    /// Not a piece of the Kubernetes API.
    #[error(transparent)]
    ApiObject(#[from] ApiObjectError),
    /// An item of a list has nothing by which it could be merged.
    #[error("{path} needs {key}, by which it is merged")]
    NoKey {
        /// The item.
        path: String,
        /// The missing field.
        key: &'static str,
    },
    /// A directive that the strategic merge does not have.
    #[error("{path} is {found}: delete or replace")]
    Directive {
        /// Where it stands.
        path: String,
        /// What it says.
        found: String,
    },
    /// It changes what Podbay needs as it is.
    #[error("it changes {path}: {reason}")]
    Protected {
        /// The field.
        path: String,
        /// What it is needed for.
        reason: &'static str,
        /// The field of the request that says it, if one does.
        instead: Option<Field>,
    },
    /// A volume of two kinds.
    #[error(
        "it gives the volume {name} a second source: take the first one away with `$retainKeys: [name, {second}]`"
    )]
    TwoSources {
        /// The volume.
        name: String,
        /// The source that the template gives it.
        second: String,
    },
}

impl PodTemplate {
    /// Checks every field of `value`.
    pub fn new(value: Value) -> Result<Self, Vec<PodTemplateError>> {
        let mut errors = merge::check(&value);
        let plain = merge::without_directives(&value);
        if let Err(wrong) = api_object::parse::<PodTemplateSpec>(&plain) {
            errors.extend(wrong.into_iter().map(PodTemplateError::ApiObject));
        }
        if errors.is_empty() {
            Ok(Self(value))
        } else {
            Err(errors)
        }
    }

    /// The pod with this over it.
    pub(crate) fn apply(&self, pod: &Pod) -> Pod {
        let merged = serde_json::to_value(pod).map(|pod| merge::merge(pod, &self.0));
        // Two well-typed objects merge to a well-typed one, field by field; `check` says so for each session.
        merged
            .and_then(serde_json::from_value)
            .unwrap_or_else(|_| pod.clone())
    }

    /// The pod of `spec` with this over it, if all that Podbay needs stayed as it was.
    pub(crate) fn check(&self, pod: &Pod, spec: &SessionSpec) -> Result<Pod, Vec<PodTemplateError>> {
        let merged = self.apply(pod);
        let mut errors = protected::changes(pod, &merged, spec);
        errors.extend(two_sources(&merged, pod));
        if errors.is_empty() {
            Ok(merged)
        } else {
            Err(errors)
        }
    }
}

/// The volumes of `merged` that have more than one source; `pod` is as it was before.
fn two_sources(merged: &Pod, pod: &Pod) -> Vec<PodTemplateError> {
    let volumes = |pod: &Pod| {
        let volumes = pod.spec.iter().flat_map(|spec| &spec.volumes).flatten();
        volumes
            .filter_map(|volume| Some((volume.name.clone(), serde_json::to_value(volume).ok()?)))
            .collect::<Vec<_>>()
    };
    let before = volumes(pod);
    let mut errors = Vec::new();
    for (name, volume) in volumes(merged) {
        let sources: Vec<_> = volume
            .as_object()
            .into_iter()
            .flat_map(|fields| fields.keys())
            .filter(|field| *field != "name")
            .collect();
        let old = before.iter().find(|(known, _)| *known == name);
        let is_new = |source: &&&String| old.is_none_or(|(_, old)| old.get(source.as_str()).is_none());
        if sources.len() > 1 {
            let second = sources.iter().find(is_new).copied();
            errors.push(PodTemplateError::TwoSources {
                second: second.map_or_else(String::new, Clone::clone),
                name,
            });
        }
    }
    errors
}

impl TryFrom<Value> for PodTemplate {
    type Error = PodTemplateError;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        Self::new(value).map_err(|errors| {
            errors.into_iter().next().unwrap_or(PodTemplateError::NoKey {
                path: String::new(),
                key: "name",
            })
        })
    }
}

impl From<PodTemplate> for Value {
    fn from(template: PodTemplate) -> Self {
        template.0
    }
}

#[cfg(test)]
mod tests;
