//! The Pod Security Standards, version 1.33, on a finished pod: what the API server's admission would refuse,
//! said before anything is created.
//!
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/>

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, SecurityContext, Volume};

use crate::profile::Profile;

mod baseline;
mod restricted;

/// Something in a pod that a profile forbids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} is {found} ({control}), which needs the profile {needs}")]
pub struct Violation {
    /// Where in the pod: `spec.containers[runtime].securityContext.privileged`.
    pub path: String,
    /// What is there.
    pub found: String,
    /// The standard's name of the rule.
    pub control: &'static str,
    /// The strictest profile that allows it.
    pub needs: Profile,
}

/// Everything in `pod` that `profile` forbids.
pub(crate) fn violations(profile: Profile, pod: &Pod) -> Vec<Violation> {
    let mut violations = baseline::violations(pod);
    violations.extend(restricted::violations(pod));
    violations.retain(|violation| profile < violation.needs);
    violations
}

/// The strictest profile that allows `volume`.
pub(crate) fn volume_level(volume: &Volume) -> Profile {
    if volume.host_path.is_some() {
        return Profile::Privileged;
    }
    let allowed = [
        volume.config_map.is_some(),
        volume.csi.is_some(),
        volume.downward_api.is_some(),
        volume.empty_dir.is_some(),
        volume.ephemeral.is_some(),
        volume.image.is_some(),
        volume.persistent_volume_claim.is_some(),
        volume.projected.is_some(),
        volume.secret.is_some(),
        // Without a source it is an `emptyDir`.
        *volume
            == Volume {
                name: volume.name.clone(),
                ..Volume::default()
            },
    ];
    if allowed.contains(&true) {
        Profile::Restricted
    } else {
        Profile::Baseline
    }
}

/// A container and where it stands. Ephemeral containers are added to a running pod, never part of a new one.
struct Place<'a> {
    container: &'a Container,
    path: String,
}

impl Place<'_> {
    fn context(&self) -> Option<&SecurityContext> {
        self.container.security_context.as_ref()
    }

    fn in_context(&self, field: &str) -> String {
        format!("{}.securityContext.{field}", self.path)
    }
}

fn containers(pod: &PodSpec) -> impl Iterator<Item = Place<'_>> {
    let of = |list: &'static str| {
        move |container| Place {
            container,
            path: format!("spec.{list}[{}]", container.name),
        }
    };
    let init = pod.init_containers.iter().flatten().map(of("initContainers"));
    init.chain(pod.containers.iter().map(of("containers")))
}

#[cfg(test)]
mod tests;
