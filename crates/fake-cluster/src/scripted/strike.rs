//! What a pod that is stuck shows, each time what it is stuck on is tried again.

use std::time::Duration;

use podbay_k8s_client::ObjectKey;

use super::engine::Engine;
use super::events::Said;
use super::plan::{self, Stage};
use super::pods::KUBELET;
use super::status::{self, ContainerEnd};
use super::trouble::{ImageTrouble, Trouble, VolumeTrouble};

/// Exit code the kubelet gives a container that could not be started.
const NOT_STARTED: i32 = 128;

impl Engine {
    /// A trouble is met. Returns when it is met again, unless its time is over.
    pub(super) fn strike(
        &mut self,
        uid: &str,
        key: &ObjectKey,
        trouble: &Trouble,
        left: Option<Duration>,
        tries: u32,
    ) -> Option<(Duration, Stage)> {
        if left.is_some_and(|left| left.is_zero()) {
            self.pass(key, trouble);
            return None;
        }
        match trouble {
            Trouble::Unschedulable(why) => {
                let message = why.message(self.settings.nodes);
                self.unschedulable(uid, key, &message);
            }
            Trouble::Volume(VolumeTrouble::Mount { message }) => {
                self.say_kubelet(uid, true, "FailedMount", message);
            }
            Trouble::Volume(VolumeTrouble::Attach { message }) => {
                let said = Said {
                    component: "attachdetach-controller",
                    warning: true,
                    reason: "FailedAttachVolume",
                    message,
                };
                self.say(uid, said);
            }
            Trouble::Sandbox { message } => {
                let message = format!("Failed to create pod sandbox: {message}");
                self.say_kubelet(uid, true, "FailedCreatePodSandBox", &message);
            }
            Trouble::Init { index, code } => self.fail_init(uid, key, *index, *code, tries),
            Trouble::Image(image) => self.fail_pull(uid, key, image, tries),
            Trouble::Config { message } => {
                self.store.modify_pod(key, |pod| {
                    status::wait(pod, "CreateContainerConfigError", Some(message));
                });
                self.say_kubelet(uid, true, "Failed", &format!("Error: {message}"));
            }
            Trouble::Start { message } => self.fail_start(uid, key, message),
        }
        let pause = plan::pause(trouble, tries);
        let pause = left.map_or(pause, |left| pause.min(left));
        let again = Stage::Stuck {
            trouble: trouble.clone(),
            left: left.map(|left| left.saturating_sub(pause)),
            tries: tries + 1,
        };
        Some((pause, again))
    }

    /// A trouble is over: what waited for it waits for the next thing.
    fn pass(&mut self, key: &ObjectKey, trouble: &Trouble) {
        match trouble {
            Trouble::Image(_) | Trouble::Config { .. } => {
                self.store
                    .modify_pod(key, |pod| status::wait(pod, "ContainerCreating", None));
            }
            Trouble::Init { index, .. } => {
                let now = self.time();
                let state = status::running_state(now);
                self.store
                    .modify_pod(key, |pod| status::set_init(pod, *index, state, false));
            }
            Trouble::Unschedulable(_)
            | Trouble::Volume(_)
            | Trouble::Sandbox { .. }
            | Trouble::Start { .. } => {}
        }
    }

    fn fail_pull(&mut self, uid: &str, key: &ObjectKey, trouble: &ImageTrouble, tries: u32) {
        let image = self.image(uid);
        let message = trouble.message(&image);
        if trouble.backs_off() && tries % 2 == 1 {
            let message = format!("Back-off pulling image {image:?}: ErrImagePull: {message}");
            self.store
                .modify_pod(key, |pod| status::wait(pod, "ImagePullBackOff", Some(&message)));
            self.say_kubelet(
                uid,
                false,
                "BackOff",
                &format!("Back-off pulling image {image:?}"),
            );
            self.say_kubelet(uid, true, "Failed", "Error: ImagePullBackOff");
            return;
        }
        let reason = trouble.reason();
        self.store
            .modify_pod(key, |pod| status::wait(pod, reason, Some(&message)));
        match trouble {
            ImageTrouble::InvalidName => self.say_kubelet(uid, true, "InspectFailed", &message),
            ImageTrouble::NeverPresent => self.say_kubelet(uid, true, "ErrImageNeverPull", &message),
            _ => {
                self.say_kubelet(uid, false, "Pulling", &format!("Pulling image {image:?}"));
                let message = format!("Failed to pull image {image:?}: {message}");
                self.say_kubelet(uid, true, "Failed", &message);
            }
        }
        self.say_kubelet(uid, true, "Failed", &format!("Error: {reason}"));
    }

    /// An init container exits; with `restartPolicy: Never` that is the pod's end.
    fn fail_init(&mut self, uid: &str, key: &ObjectKey, index: usize, code: i32, tries: u32) {
        let now = self.time();
        let end = ContainerEnd::exited(code);
        let Some(pod) = self.pod_by_uid(uid) else { return };
        let inits = pod
            .status
            .iter()
            .flat_map(|status| status.init_container_statuses.iter().flatten());
        let name = inits.map(|init| init.name.clone()).nth(index).unwrap_or_default();
        let ends = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) == Some("Never");
        self.store.modify_pod(key, |pod| {
            if tries > 0 {
                status::set_init(pod, index, status::running_state(now), false);
            }
            status::set_init(pod, index, status::ended_state(end, None, now), false);
            if ends {
                status::finish(pod, "Failed", None, None);
            }
        });
        if !ends {
            let message = restart_message(&name, key, uid, plan::back_off(tries));
            let waiting = status::waiting_state("CrashLoopBackOff", Some(&message));
            self.store
                .modify_pod(key, |pod| status::set_init(pod, index, waiting, false));
            self.say_back_off(uid, key, &name);
        }
    }

    /// The runtime can't start the container; with `restartPolicy: Never` that is the pod's end.
    fn fail_start(&mut self, uid: &str, key: &ObjectKey, message: &str) {
        let now = self.time();
        let policy = self
            .pod_by_uid(uid)
            .and_then(|pod| pod.spec.as_ref()?.restart_policy.clone());
        let ends = policy.as_deref() == Some("Never");
        let end = ContainerEnd {
            code: NOT_STARTED,
            reason: "StartError",
            message: Some(message),
        };
        self.store.modify_pod(key, |pod| {
            if ends {
                status::end_containers(pod, end, now);
                status::finish(pod, "Failed", None, None);
            } else {
                status::wait(pod, "RunContainerError", Some(message));
            }
        });
        self.say_kubelet(uid, true, "Failed", &format!("Error: {message}"));
    }

    pub(super) fn say_back_off(&mut self, uid: &str, key: &ObjectKey, container: &str) {
        let message = format!(
            "Back-off restarting failed container {container} in pod {}_{}({uid})",
            key.name, key.namespace
        );
        let said = Said {
            component: KUBELET,
            warning: true,
            reason: "BackOff",
            message: &message,
        };
        self.say(uid, said);
    }
}

/// A waiting container's message in a crash loop.
pub(super) fn restart_message(container: &str, key: &ObjectKey, uid: &str, pause: Duration) -> String {
    let pause = match (pause.as_secs() / 60, pause.as_secs() % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    };
    format!(
        "back-off {pause} restarting failed container={container} pod={}_{}({uid})",
        key.name, key.namespace
    )
}
