//! What a pod that is stuck shows, each time what it is stuck on is tried again.

use std::time::Duration;

use podbay_k8s_client::ObjectKey;

use super::engine::Engine;
use super::events::Said;
use super::plan::{self, Stage, is_sidecar};
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
            self.pass(uid, key, trouble);
            return None;
        }
        let subject = self.subject(uid);
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
            Trouble::Init { index, code } => {
                self.fail_init(uid, key, *index, ContainerEnd::exited(*code), tries);
            }
            Trouble::InitOutOfMemory { index, code } => {
                let end = ContainerEnd {
                    code: *code,
                    reason: "OOMKilled",
                    message: None,
                };
                self.fail_init(uid, key, *index, end, tries);
            }
            Trouble::Image(image) => self.fail_pull(uid, key, image, tries),
            Trouble::Config { message } => {
                self.store.modify_pod(key, |pod| {
                    status::wait(pod, &subject, "CreateContainerConfigError", Some(message));
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
    fn pass(&mut self, uid: &str, key: &ObjectKey, trouble: &Trouble) {
        match trouble {
            Trouble::Image(_) | Trouble::Config { .. } => {
                let subject = self.subject(uid);
                self.store
                    .modify_pod(key, |pod| status::wait(pod, &subject, "ContainerCreating", None));
            }
            Trouble::Init { index, .. } | Trouble::InitOutOfMemory { index, .. } => {
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
        let (image, subject) = (self.image(uid), self.subject(uid));
        let message = trouble.message(&image);
        if trouble.backs_off() && tries % 2 == 1 {
            let message = format!("Back-off pulling image {image:?}: ErrImagePull: {message}");
            self.store.modify_pod(key, |pod| {
                status::wait(pod, &subject, "ImagePullBackOff", Some(&message));
            });
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
            .modify_pod(key, |pod| status::wait(pod, &subject, reason, Some(&message)));
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
    fn fail_init(&mut self, uid: &str, key: &ObjectKey, index: usize, end: ContainerEnd<'_>, tries: u32) {
        let now = self.time();
        let Some(spec) = self.whole_pod(uid).and_then(|pod| pod.spec) else {
            return;
        };
        let inits = spec.init_containers.unwrap_or_default();
        let Some(init) = inits.get(index) else { return };
        let name = init.name.clone();
        let ends = !is_sidecar(init) && spec.restart_policy.as_deref() == Some("Never");
        if let Some(run) = self.pods.get(uid).filter(|run| run.subject == name) {
            run.write_log();
        }
        self.store.modify_pod(key, |pod| {
            if tries > 0 {
                status::set_init(pod, index, status::running_state(now), false);
            }
            status::set_init(pod, index, status::ended_state(end, None, now), false);
            if ends && end.code != 0 {
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
        let subject = self.subject(uid);
        self.store.modify_pod(key, |pod| {
            if ends {
                status::end_containers(pod, Some(&subject), end, now);
                if status::all_ended(pod) {
                    status::finish(pod, "Failed", None, None);
                }
            } else {
                status::wait(pod, &subject, "RunContainerError", Some(message));
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
