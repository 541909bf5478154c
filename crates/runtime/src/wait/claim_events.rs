//! The events about the claims of a pod that waits for them. The pod says no more than that they are not bound.

use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_k8s_client::{Error, Kind};

use crate::context::SessionContext;
use crate::readiness::condition;

/// What the cluster says of the claims of `pod`, if it is not scheduled because of one. Empty where it can't be read: events
/// only add to what is known, and the right to read them may be missing.
pub(super) async fn claim_events(session: SessionContext<'_>, pod: &Pod) -> Vec<Event> {
    let mut events = Vec::new();
    let waits = condition(pod, "PodScheduled")
        .filter(|scheduled| scheduled.status == "False")
        .and_then(|scheduled| scheduled.message.as_deref())
        .is_some_and(|message| message.contains("PersistentVolumeClaim"));
    if !waits {
        return events;
    }
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    for claim in volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref()) {
        let key = session.key(Kind::PersistentVolumeClaim, &claim.claim_name);
        let read = async {
            let Some(found) = session.ctx.client.get(&key).await? else {
                return Ok(Vec::new());
            };
            session.ctx.client.events(&key, found.uid()).await
        };
        match read.await {
            Ok(read) => events.extend(read),
            Err(error) => {
                let error: Error = error;
                tracing::debug!(%error, claim = claim.claim_name, "the claim's events could not be read");
            }
        }
    }
    events
}
