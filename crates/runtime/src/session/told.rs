//! What a cluster says of a session's pod, in lines for people: the states of its containers, and its events.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus};
use podbay_k8s_client::{Kind, ObjectKey};

use super::describe::{EventLine, line};
use crate::context::{Backing, Podbay};
use crate::error::Error;
use crate::index::SessionView;

impl SessionView {
    /// How the containers of the pod that counts are, a line each; nothing without a pod.
    pub fn containers(&self) -> Vec<String> {
        let status = self.pod().and_then(|pod| pod.status.as_ref());
        let all = status.into_iter().flat_map(|status| {
            let init = status.init_container_statuses.iter().flatten();
            init.chain(status.container_statuses.iter().flatten())
        });
        all.map(in_words).collect()
    }
}

impl Podbay {
    /// The events about the pod that counts of a session, oldest first; nothing without a pod, and on this machine. While
    /// somebody waits for the pod in this process they are at most five seconds old, and cost no call of their own.
    pub async fn events_of(&self, view: &SessionView) -> Result<Vec<EventLine>, Error> {
        let (Backing::Cluster(ctx), Some(pod)) = (&self.0, view.pod()) else {
            return Ok(Vec::new());
        };
        let (Some(name), Some(uid)) = (&pod.metadata.name, &pod.metadata.uid) else {
            return Ok(Vec::new());
        };
        let key = ObjectKey::new(Kind::Pod, &ctx.namespace, name);
        let read = ctx.event_lists.of(key, uid).read(&*ctx.client).await;
        let events = read.map_err(|source| Error::Cluster { source })?;
        Ok(events.iter().map(line).collect())
    }
}

fn in_words(status: &ContainerStatus) -> String {
    let name = &status.name;
    let state = state_in_words(status.state.as_ref());
    let before = status
        .last_state
        .as_ref()
        .and_then(|last| last.terminated.as_ref());
    let restarts = match (status.restart_count, before) {
        (0, _) => String::new(),
        (count, None) => format!("; started again {count} times"),
        (count, Some(before)) => format!(
            "; started again {count} times, the last time after {}",
            ended(before.reason.as_deref(), before.exit_code)
        ),
    };
    format!("{name}: {state}{restarts}")
}

fn state_in_words(state: Option<&ContainerState>) -> String {
    let message = |message: Option<&String>| {
        message.map_or_else(String::new, |message| format!(": {}", message.trim()))
    };
    let Some(state) = state else {
        return "waiting".to_owned();
    };
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("not told why");
        return format!("waiting, {reason}{}", message(waiting.message.as_ref()));
    }
    if let Some(terminated) = &state.terminated {
        let how = ended(terminated.reason.as_deref(), terminated.exit_code);
        return format!("ended, {how}{}", message(terminated.message.as_ref()));
    }
    match state
        .running
        .as_ref()
        .and_then(|running| running.started_at.as_ref())
    {
        Some(since) => format!("running since {}", since.0),
        None if state.running.is_some() => "running".to_owned(),
        None => "waiting".to_owned(),
    }
}

fn ended(reason: Option<&str>, code: i32) -> String {
    match reason {
        Some(reason) => format!("{reason} (exit code {code})"),
        None => format!("exit code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(status: Value) -> String {
        in_words(&serde_json::from_value(status).unwrap())
    }

    fn status(state: &Value, restarts: i32, before: &Value) -> Value {
        json!({
            "name": "runtime", "image": "i", "imageID": "", "ready": false, "state": state, "restartCount": restarts,
            "lastState": before,
        })
    }

    #[test]
    fn each_state_of_a_container_has_its_words() {
        let none = json!({});
        let waiting =
            json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling \"x\"\n"}});
        let killed = json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}});
        for (state, restarts, before, expected) in [
            (&none, 0, &none, "runtime: waiting"),
            (
                &waiting,
                0,
                &none,
                "runtime: waiting, ImagePullBackOff: Back-off pulling \"x\"",
            ),
            (&killed, 0, &none, "runtime: ended, OOMKilled (exit code 137)"),
            (
                &json!({"terminated": {"exitCode": 2, "message": "no"}}),
                0,
                &none,
                "runtime: ended, exit code 2: no",
            ),
            (
                &json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}}),
                2,
                &killed,
                "runtime: running since 2026-01-01T00:00:00Z; started again 2 times, the last time after OOMKilled (exit code 137)",
            ),
            (
                &json!({"running": {}}),
                1,
                &none,
                "runtime: running; started again 1 times",
            ),
        ] {
            assert_eq!(told(status(state, restarts, before)), expected);
        }
    }
}
