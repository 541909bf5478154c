//! The session's Pod: one container, nothing of the cluster's in it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, EnvVarSource, LocalObjectReference, Pod, PodSpec, ResourceRequirements,
    SecretKeySelector,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::metadata::metadata;
use crate::secret::{SESSION_KEY, SESSION_KEY_VARIABLE, env_key};
use crate::{Owner, Profile, ResourceBounds, SessionSpec, keep_alive};

mod probes;
mod security;
mod volumes;

pub use volumes::HOME_PATH;

/// Name of the only container.
pub const CONTAINER: &str = "runtime";
/// Port of a server in the image, as OpenHands has it.
pub const SERVER_PORT: i32 = 8080;
/// Name of [`SERVER_PORT`], which OpenHands' Services refer to.
const SERVER_PORT_NAME: &str = "http";
/// Where programs look for the user's directory.
const HOME: &str = "HOME";

/// The Pod of the session `spec`.
pub fn pod(spec: &SessionSpec, owner: &Owner) -> Pod {
    Pod {
        metadata: metadata(spec, spec.names().object(), Some(owner)),
        spec: Some(PodSpec {
            containers: vec![container(spec)],
            // A container that ended is a session that ended: started again it would look alive, with its
            // processes and files outside the workspace gone.
            restart_policy: Some("Never".into()),
            termination_grace_period_seconds: Some(seconds(spec.termination_grace_seconds)),
            // The code in a sandbox gets no identity in the cluster, and no list of its Services.
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            security_context: security::pod(spec),
            volumes: Some(volumes::volumes(spec)),
            image_pull_secrets: spec.image_pull_secret.as_ref().map(|name| {
                vec![LocalObjectReference {
                    name: name.to_string(),
                }]
            }),
            node_selector: non_empty(spec.node_selector.clone()),
            tolerations: if spec.tolerations.is_empty() {
                None
            } else {
                Some(spec.tolerations.clone())
            },
            ..PodSpec::default()
        }),
        status: None,
    }
}

fn container(spec: &SessionSpec) -> Container {
    let plain = Container {
        name: CONTAINER.into(),
        image: Some(spec.image.to_string()),
        working_dir: spec.workdir.as_ref().map(ToString::to_string),
        env: Some(env(spec)).filter(|env| !env.is_empty()),
        resources: Some(resources(spec)),
        security_context: Some(security::container(spec.profile)),
        volume_mounts: Some(volumes::mounts(spec)),
        ..Container::default()
    };
    if spec.server {
        Container {
            ports: Some(vec![ContainerPort {
                name: Some(SERVER_PORT_NAME.into()),
                container_port: SERVER_PORT,
                ..ContainerPort::default()
            }]),
            startup_probe: Some(probes::startup(spec.start_timeout_seconds)),
            readiness_probe: Some(probes::readiness()),
            ..plain
        }
    } else {
        Container {
            command: Some(keep_alive::command()),
            ..plain
        }
    }
}

/// Ours first, then the user's by name. The user's `HOME` wins: a pod must not name a variable twice.
fn env(spec: &SessionSpec) -> Vec<EnvVar> {
    let mut env = Vec::new();
    if spec.profile == Profile::Restricted && !spec.env.iter().any(|name| name.as_str() == HOME) {
        env.push(EnvVar {
            name: HOME.into(),
            value: Some(HOME_PATH.into()),
            value_from: None,
        });
    }
    if spec.server {
        env.push(from_secret(spec, SESSION_KEY_VARIABLE, SESSION_KEY.into()));
    }
    env.extend(
        spec.env
            .iter()
            .map(|name| from_secret(spec, name.as_str(), env_key(name))),
    );
    env
}

fn from_secret(spec: &SessionSpec, name: &str, key: String) -> EnvVar {
    EnvVar {
        name: name.into(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: spec.names().secret(),
                key,
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
    }
}

fn resources(spec: &SessionSpec) -> ResourceRequirements {
    let amounts = |of: fn(&ResourceBounds) -> Option<ApiQuantity>| {
        let pairs = [("cpu", &spec.cpu), ("memory", &spec.memory)];
        non_empty(
            pairs
                .into_iter()
                .filter_map(|(name, bounds)| Some((name.into(), of(bounds)?)))
                .collect(),
        )
    };
    ResourceRequirements {
        requests: amounts(|bounds| Some((&bounds.request).into())),
        limits: amounts(|bounds| bounds.limit.as_ref().map(Into::into)),
        claims: None,
    }
}

/// The API leaves empty maps out, so that a rendered object is equal to the stored one.
fn non_empty<V>(map: BTreeMap<String, V>) -> Option<BTreeMap<String, V>> {
    if map.is_empty() { None } else { Some(map) }
}

/// The API counts in `int64`.
fn seconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
