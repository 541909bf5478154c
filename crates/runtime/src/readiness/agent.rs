//! What is wrong with the image that brings the agent, told apart from what is wrong with the session's.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use podbay_manifests::{AGENT_NAME, AGENT_PROGRAM};
use podbay_protocol::{Cause, Hint, Verdict};

/// The verdict on a container that waits, if it waits for the agent's image: the init container does, and the session's own
/// where that image is mounted into it. The kubelet then has the session's container wait with the words of the pull, which
/// name the image.
pub(super) fn of_waiting(pod: &Pod, status: &ContainerStatus, verdict: Verdict) -> Verdict {
    let is_of_image = matches!(
        verdict.cause,
        Cause::ImageNotFound
            | Cause::ImageDenied
            | Cause::ImageInvalid
            | Cause::ImagePull
            | Cause::ImageUnsupported
    );
    let is_agents = status.name == AGENT_NAME || names_mounted_image(pod, status, &verdict.message);
    if is_of_image && is_agents {
        of_image(&verdict)
    } else {
        verdict
    }
}

/// The verdict on a container that could not be started, if what it lacks is the agent.
pub(super) fn of_start(verdict: Verdict) -> Verdict {
    if verdict.cause == Cause::ImageUnsupported && verdict.message.contains(AGENT_PROGRAM) {
        of_image(&verdict)
    } else {
        verdict
    }
}

/// The verdict on a start whose agent never answered, although one of the ways led into its pod. The image that it came out of
/// is looked at first; an agent that was uploaded came up here before, so that the sandbox is.
pub(crate) fn silent(uploaded: bool, seconds: u64, why: &str) -> Verdict {
    let message = format!("its agent does not answer within {seconds} s: {why}");
    if uploaded {
        let hint = "agent.delivery = \"auto\" goes on without an agent, by the API server's exec";
        Verdict::new(Cause::ContainerStart, message, hint)
    } else {
        Verdict::new(Cause::AgentImage, message, Hint::CheckAgentImage)
    }
}

/// A pull that may succeed the next time may be tried again; the blame is the configuration's all the same, which names
/// the image.
fn of_image(verdict: &Verdict) -> Verdict {
    Verdict {
        retry: verdict.retry,
        ..Verdict::new(
            Cause::AgentImage,
            format!("the agent's image: {}", verdict.message),
            Hint::CheckAgentImage,
        )
    }
}

/// Whether the words are of the image that the agent's volume is, and not of the container's own.
fn names_mounted_image(pod: &Pod, status: &ContainerStatus, message: &str) -> bool {
    let volumes = pod.spec.iter().filter_map(|spec| spec.volumes.as_ref()).flatten();
    let mounted = volumes
        .filter(|volume| volume.name == AGENT_NAME)
        .find_map(|volume| volume.image.as_ref()?.reference.as_deref());
    let is_own = !status.image.is_empty() && message.contains(&status.image);
    mounted.is_some_and(|reference| message.contains(reference)) && !is_own
}

#[cfg(test)]
mod tests {
    use podbay_protocol::{Blame, Retry};
    use serde_json::json;

    use super::super::diagnosis::{Patience, hopeless, symptom};
    use super::*;

    const IMAGE: &str = "registry.example/podbay-agent:1";

    /// A pod whose container of this name, a status of this list, waits for this reason.
    fn waiting(list: &str, name: &str, image: &str, reason: &str, message: &str) -> Pod {
        let status = json!({
            "name": name, "image": image, "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": reason, "message": message}},
        });
        serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {
                "containers": [],
                "volumes": [{"name": AGENT_NAME, "image": {"reference": IMAGE}}],
            },
            "status": {list: [status]},
        }))
        .unwrap()
    }

    #[test]
    fn an_init_container_that_waits_for_its_image_waits_for_the_agents() {
        // As the kubelets of 1.33 to 1.37 write it, over containerd.
        let message = "failed to pull and unpack image \"registry.example/podbay-agent:1\": failed to resolve reference \
                       \"registry.example/podbay-agent:1\": registry.example/podbay-agent:1: not found";
        let pod = waiting(
            "initContainerStatuses",
            AGENT_NAME,
            IMAGE,
            "ErrImagePull",
            message,
        );
        let verdict = hopeless(&pod, None).unwrap();
        assert_eq!(
            (verdict.cause, verdict.blame, verdict.retry),
            (Cause::AgentImage, Blame::Configuration, Retry::Never)
        );
        assert!(
            verdict.hint.to_string().contains("agent.image"),
            "{}",
            verdict.hint
        );
        // Another init container's image is not the agent's.
        let pod = waiting(
            "initContainerStatuses",
            "first",
            "a",
            "ErrImagePull",
            "docker.io/a: not found",
        );
        assert_eq!(hopeless(&pod, None).unwrap().cause, Cause::ImageNotFound);
    }

    #[test]
    fn a_container_into_which_the_agents_image_is_mounted_waits_for_that() {
        let message = "Back-off pulling image \"registry.example/podbay-agent:1\": ErrImagePull: failed to pull and unpack \
                       image \"registry.example/podbay-agent:1\": failed to resolve reference \
                       \"registry.example/podbay-agent:1\": failed to do request: Head \
                       \"https://registry.example/v2/podbay-agent/manifests/1\": dial tcp: lookup registry.example: no \
                       such host";
        let pod = waiting(
            "containerStatuses",
            "runtime",
            "debian:12",
            "ImagePullBackOff",
            message,
        );
        let found = symptom(&pod, &[]).unwrap();
        assert_eq!(found.patience, Patience::ImagePull);
        assert_eq!(
            (found.verdict.cause, found.verdict.blame, found.verdict.retry),
            (Cause::AgentImage, Blame::Configuration, Retry::Same)
        );
        let own =
            "Back-off pulling image \"debian:12\": ErrImagePull: docker.io/library/debian:12: not found";
        let pod = waiting(
            "containerStatuses",
            "runtime",
            "debian:12",
            "ImagePullBackOff",
            own,
        );
        assert_eq!(hopeless(&pod, None).unwrap().cause, Cause::ImageNotFound);
    }

    /// A runtime that mounts no images starts the container without the agent.
    #[test]
    fn a_program_that_is_not_there_is_the_agent() {
        let message = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create \
                       failed: unable to start container process: error during container init: exec: \
                       \"/.podbay/podbay-agent\": stat /.podbay/podbay-agent: no such file or directory";
        let pod = waiting(
            "containerStatuses",
            "runtime",
            "debian:12",
            "RunContainerError",
            message,
        );
        assert_eq!(symptom(&pod, &[]).unwrap().verdict.cause, Cause::AgentImage);
    }
}
