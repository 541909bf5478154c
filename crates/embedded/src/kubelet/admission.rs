//! Whether a pod can run here.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use podbay_fake_cluster::parts::{Environment, environment};
use podbay_k8s_client::{Object, ObjectKey};

use super::paths::working_directory;

/// The one image: processes of the host, as they are.
pub const HOST_IMAGE: &str = "host";

/// What a container that may run needs to know. Holds secrets: no Debug.
pub(crate) struct Admitted {
    /// Its environment.
    pub(crate) environment: Environment,
    /// Its working directory, relative to the directory that stands for the container's root.
    pub(crate) working_directory: std::path::PathBuf,
}

/// Why a container doesn't run: its `state.waiting`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The container.
    pub(crate) container: String,
    /// `waiting.reason`, one of the kubelet's.
    pub(crate) reason: &'static str,
    /// `waiting.message`.
    pub(crate) message: String,
}

/// Decides whether `pod` can run; if so, with what, by container.
pub(crate) fn admit<'a>(
    pod: &Pod,
    lookup: &impl Fn(&ObjectKey) -> Option<&'a Object>,
) -> Result<BTreeMap<String, Admitted>, Refusal> {
    let none = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&none);
    let mut admitted = BTreeMap::new();
    for container in &spec.containers {
        let refusal = |reason, message| Refusal {
            container: container.name.clone(),
            reason,
            message,
        };
        let image = container.image.as_deref().unwrap_or_default();
        if image != HOST_IMAGE {
            return Err(refusal(
                "ErrImagePull",
                format!(
                    "image {image:?}: an embedded cluster runs processes of this host and pulls no images; the \
                     only image it has is {HOST_IMAGE:?}. Use a real cluster for others"
                ),
            ));
        }
        if let Some(message) = unsupported(spec, container) {
            return Err(refusal("CreateContainerConfigError", message));
        }
        let mut environment = environment(pod, container, lookup)
            .map_err(|error| refusal("CreateContainerConfigError", error.to_string()))?;
        environment.retain(|name, _| !names_volume(container, name));
        let working_directory = working_directory(container);
        admitted.insert(
            container.name.clone(),
            Admitted {
                environment,
                working_directory,
            },
        );
    }
    Ok(admitted)
}

/// Whether a variable says, in the specification itself, where the pod's volume for the user's directory or for temporary
/// files is. Nothing is mounted here, and the pod's private directory has both; any other value is what was asked for.
fn names_volume(container: &Container, name: &str) -> bool {
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    ["HOME", "TMPDIR"].contains(&name)
        && container.env.iter().flatten().any(|variable| {
            variable.name == name
                && mounts
                    .iter()
                    .any(|mount| variable.value.as_ref() == Some(&mount.mount_path))
        })
}

/// What the specification asks for that would silently be missing.
fn unsupported(spec: &PodSpec, container: &Container) -> Option<String> {
    if spec
        .init_containers
        .as_ref()
        .is_some_and(|containers| !containers.is_empty())
    {
        return Some("an embedded cluster runs no init containers".to_owned());
    }
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    let mounted = |name: &str| mounts.iter().any(|mount| mount.name == name);
    let volume = spec
        .volumes
        .iter()
        .flatten()
        .find(|v| v.empty_dir.is_none() && mounted(&v.name))?;
    Some(format!(
        "volume {:?}: an embedded cluster has only emptyDir volumes",
        volume.name
    ))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{
        EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource, Volume, VolumeMount,
    };

    use super::*;

    fn pod(image: &str, volumes: Vec<Volume>, init: Vec<Container>) -> Pod {
        let mounts = volumes
            .iter()
            .map(|v| VolumeMount {
                name: v.name.clone(),
                mount_path: "/w".to_owned(),
                ..VolumeMount::default()
            })
            .collect();
        let container = Container {
            name: "main".to_owned(),
            image: Some(image.to_owned()),
            volume_mounts: Some(mounts),
            ..Container::default()
        };
        let spec = PodSpec {
            containers: vec![container],
            init_containers: Some(init),
            volumes: Some(volumes),
            ..PodSpec::default()
        };
        Pod {
            spec: Some(spec),
            ..Pod::default()
        }
    }

    fn volume(claim: bool) -> Volume {
        Volume {
            name: "work".to_owned(),
            empty_dir: (!claim).then(EmptyDirVolumeSource::default),
            persistent_volume_claim: claim.then(PersistentVolumeClaimVolumeSource::default),
            ..Volume::default()
        }
    }

    #[test]
    fn only_what_it_can_honour_runs() {
        for (pod, reason, part) in [
            (pod("debian:12", vec![], vec![]), "ErrImagePull", r#""debian:12""#),
            (
                pod("host", vec![volume(true)], vec![]),
                "CreateContainerConfigError",
                r#"volume "work""#,
            ),
            (
                pod("host", vec![], vec![Container::default()]),
                "CreateContainerConfigError",
                "init",
            ),
        ] {
            let Err(refusal) = admit(&pod, &|_: &ObjectKey| None) else {
                panic!("{part}")
            };
            assert_eq!((refusal.container.as_str(), refusal.reason), ("main", reason));
            assert!(refusal.message.contains(part), "{}", refusal.message);
        }
        let Ok(admitted) = admit(&pod("host", vec![volume(false)], vec![]), &|_: &ObjectKey| None) else {
            panic!("refused")
        };
        assert_eq!(admitted["main"].working_directory.to_str(), Some("w"));
    }
}
