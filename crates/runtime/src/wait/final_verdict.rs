//! What becomes of a pod that is being ended: the kubelet tells it only once the containers have ended.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use podbay_k8s_client::{ClusterClient, Kind, Object, ObjectKey};
use podbay_protocol::Verdict;

use crate::readiness::{end_by_events, end_of_pod, is_settled, is_vague};
use crate::state::pod_is_gone;

/// The pauses between the looks at a pod whose processes are gone, 4 s together: the kubelet looks at its containers once
/// a second, and then writes the pod's status.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// Why `pod`, as it was read last, takes no commands any longer. Waits for the last word on it, for a bounded time; what
/// the pod does not tell is looked for in its events. None where neither tells anything.
pub(crate) async fn final_verdict(client: &dyn ClusterClient, pod: Pod) -> Option<Verdict> {
    let metadata = &pod.metadata;
    let name = metadata.name.clone().unwrap_or_default();
    let namespace = metadata.namespace.clone().unwrap_or_default();
    let uid = metadata.uid.clone().unwrap_or_default();
    let key = ObjectKey::new(Kind::Pod, namespace, name);
    let verdict = last_word(client, &key, pod).await;
    if verdict.as_ref().is_some_and(|verdict| !is_vague(verdict)) {
        return verdict;
    }
    match client.events(&key, &uid).await {
        Ok(events) => end_by_events(&events).or(verdict),
        // Events only add to what is known; the right to read them may be missing.
        Err(error) => {
            tracing::debug!(%error, "events could not be read");
            verdict
        }
    }
}

/// What the status of `pod` says once it says no more than it does.
async fn last_word(client: &dyn ClusterClient, key: &ObjectKey, mut pod: Pod) -> Option<Verdict> {
    for pause in PAUSES {
        let verdict = end_of_pod(&pod);
        if is_settled(&pod) || verdict.as_ref().is_some_and(|verdict| !is_vague(verdict)) {
            return verdict;
        }
        tokio::time::sleep(pause).await;
        match client
            .get(key)
            .await
            .map(|found| found.and_then(Object::into_pod))
        {
            Ok(Some(found)) if found.metadata.uid == pod.metadata.uid => pod = found,
            // It is gone, or another has its place.
            Ok(_) => return verdict.or_else(|| Some(pod_is_gone())),
            Err(error) => {
                tracing::debug!(%error, "the pod could not be looked at");
                return verdict;
            }
        }
    }
    end_of_pod(&pod)
}
