//! The agent in the pod: its volumes, what puts it there, and what the container runs.
//!
//! | delivery | `/.podbay` | the container's first process | the session's key |
//! |---|---|---|---|
//! | upload | memory, empty at first | a shell that waits for the agent and becomes it | a file beside the agent, uploaded with it |
//! | init container | memory, read-only in the sandbox | the agent | a variable, from the Secret |
//! | image volume | the image, read-only | the agent | a variable, from the Secret |

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, ImageVolumeSource,
    ObjectFieldSelector, ResourceRequirements, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::agent_delivery::{
    AGENT_DIRECTORY, AGENT_KEY_FILE, AGENT_NAME, AGENT_PROGRAM, AGENT_SIZE_LIMIT, AGENT_SPOOL,
    AGENT_SPOOL_DIRECTORY, AgentDelivery, AgentImage,
};
use crate::keep_alive;
use crate::quantity::Quantity;
use crate::session_spec::SessionSpec;

/// Where its image has the agent.
const PROGRAM_IN_IMAGE: &str = "/podbay-agent";
/// Variable with the pod's UID, with which the agent proves whose it is.
pub(crate) const POD_UID_VARIABLE: &str = "PODBAY_POD_UID";

/// The container's command where an agent comes into the pod.
pub(super) fn command(spec: &SessionSpec) -> Option<Vec<String>> {
    let (port, spool_size) = (spec.agent.port()?, spec.agent.spool_size()?);
    let grace = grace(spec.termination_grace_seconds());
    let mut agent: Vec<String> = [
        AGENT_PROGRAM,
        "serve",
        "--port",
        &port.to_string(),
        // The kubelet puts the variable in.
        "--pod-uid",
        &format!("$({POD_UID_VARIABLE})"),
        "--spool",
        AGENT_SPOOL_DIRECTORY,
        "--spool-limit",
        &spool_limit(spool_size).to_string(),
        "--grace",
        &grace.to_string(),
    ]
    .map(Into::into)
    .into();
    if let Some(level) = spec.agent_log() {
        agent.extend(["--log", level].map(Into::into));
    }
    if spec.agent.is_upload() {
        agent.extend(["--key-file", AGENT_KEY_FILE].map(Into::into));
        return Some(keep_alive::command_until(agent));
    }
    Some(agent)
}

/// Bytes of outputs that the agent keeps: less than its volume holds, beyond which the kubelet evicts the pod.
fn spool_limit(size: &Quantity) -> u64 {
    let bytes = size.bytes();
    bytes - bytes / 10
}

/// Seconds that processes get to end by themselves, of those until the pod is killed: the rest is for the agent to kill
/// what is left, and to end.
fn grace(seconds: u64) -> u64 {
    seconds - seconds.div_ceil(5)
}

/// Whether the agent finds the session's key in a variable.
pub(super) fn takes_key_from_variable(spec: &SessionSpec) -> bool {
    spec.agent.image().is_some()
}

/// What the agent needs to know of its pod.
pub(super) fn environment(spec: &SessionSpec) -> Option<EnvVar> {
    (!spec.agent.is_none()).then(|| EnvVar {
        name: POD_UID_VARIABLE.into(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: None,
                field_path: "metadata.uid".into(),
            }),
            ..EnvVarSource::default()
        }),
    })
}

pub(super) fn volumes(spec: &SessionSpec) -> Vec<Volume> {
    let Some(spool_size) = spec.agent.spool_size() else {
        return Vec::new();
    };
    let agent = match &spec.agent {
        AgentDelivery::ImageVolume { image, .. } => Volume {
            name: AGENT_NAME.into(),
            image: Some(ImageVolumeSource {
                reference: Some(image.pulled().to_string()),
                pull_policy: pull_policy(spec),
            }),
            ..Volume::default()
        },
        _ => empty_dir(
            AGENT_NAME,
            Some("Memory"),
            ApiQuantity(AGENT_SIZE_LIMIT.to_string()),
        ),
    };
    vec![agent, empty_dir(AGENT_SPOOL, None, spool_size.into())]
}

pub(super) fn mounts(spec: &SessionSpec) -> Vec<VolumeMount> {
    if spec.agent.is_none() {
        return Vec::new();
    }
    // Else what runs in the sandbox could put another program there, for whoever starts it next.
    let read_only = (!spec.agent.is_upload()).then_some(true);
    vec![
        mount(AGENT_NAME, AGENT_DIRECTORY, read_only),
        mount(AGENT_SPOOL, AGENT_SPOOL_DIRECTORY, None),
    ]
}

/// What copies the agent out of its image. `resources` are those of the session's container: together the two ask for no
/// more than that one alone, and a quota or a limit range that takes the one takes the other.
pub(super) fn init_container(spec: &SessionSpec, resources: ResourceRequirements) -> Option<Container> {
    let AgentDelivery::InitContainer { image, .. } = &spec.agent else {
        return None;
    };
    Some(Container {
        name: AGENT_NAME.into(),
        image: Some(AgentImage::pulled(image).to_string()),
        image_pull_policy: pull_policy(spec),
        command: Some(
            [PROGRAM_IN_IMAGE, "install", AGENT_DIRECTORY]
                .map(Into::into)
                .into(),
        ),
        resources: Some(resources),
        // Less than any profile allows: it copies one file.
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                add: None,
                drop: Some(vec!["ALL".into()]),
            }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![mount(AGENT_NAME, AGENT_DIRECTORY, None)]),
        ..Container::default()
    })
}

fn pull_policy(spec: &SessionSpec) -> Option<String> {
    spec.pull.policy.map(|policy| policy.0.as_str().into())
}

fn empty_dir(name: &str, medium: Option<&str>, size_limit: ApiQuantity) -> Volume {
    Volume {
        name: name.into(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: medium.map(Into::into),
            size_limit: Some(size_limit),
        }),
        ..Volume::default()
    }
}

fn mount(name: &str, path: &str, read_only: Option<bool>) -> VolumeMount {
    VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only,
        ..VolumeMount::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_has_time_left_before_the_pod_is_killed() {
        for (pod, processes) in [
            (0, 0),
            (1, 0),
            (2, 1),
            (5, 4),
            (30, 24),
            (u64::MAX, u64::MAX / 5 * 4),
        ] {
            assert_eq!(grace(pod), processes, "{pod}");
        }
    }
}
