//! The events of a pod, listed once for all who wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use podbay_k8s_client::{ClusterClient, Error, ObjectKey};
use tokio::time::Instant;

/// For how long a list serves everybody: events are written seconds apart, and of many who wait for one session each
/// would otherwise make the same request at nearly the same moment.
const FRESH: Duration = Duration::from_secs(5);

/// What one pod's list was, and when it was read. Held locked over the request: of many who ask at once one asks the
/// cluster, and the others wait for its answer.
type Slot = tokio::sync::Mutex<Option<(Instant, Arc<[Event]>)>>;

/// The lists of all pods that somebody waits for, by UID.
#[derive(Debug, Default)]
pub(crate) struct EventLists(Mutex<HashMap<String, Weak<Slot>>>);

/// The list of one pod. It is forgotten when the last who holds it is gone.
#[derive(Clone, Debug)]
pub(crate) struct EventList {
    slot: Arc<Slot>,
    key: ObjectKey,
    uid: String,
}

impl EventLists {
    /// The list of the pod `key` with this UID.
    pub(crate) fn of(&self, key: ObjectKey, uid: &str) -> EventList {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get(uid).and_then(Weak::upgrade).unwrap_or_else(|| {
            slots.retain(|_, slot| slot.strong_count() > 0);
            let slot = Arc::<Slot>::default();
            slots.insert(uid.to_owned(), Arc::downgrade(&slot));
            slot
        });
        EventList {
            slot,
            key,
            uid: uid.to_owned(),
        }
    }
}

impl EventList {
    /// The pod's events, oldest first, at most five seconds old. A failure is not kept: who asks next asks the cluster.
    pub(crate) async fn read(&self, client: &dyn ClusterClient) -> Result<Arc<[Event]>, Error> {
        let mut slot = self.slot.lock().await;
        if let Some((read, events)) = &*slot
            && read.elapsed() < FRESH
        {
            return Ok(Arc::clone(events));
        }
        let events: Arc<[Event]> = client.events(&self.key, &self.uid).await?.into();
        *slot = Some((Instant::now(), Arc::clone(&events)));
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use podbay_fake_cluster::{Fault, FaultyCluster, On, Operation, ScriptedCluster};
    use podbay_k8s_client::Kind;

    use super::*;

    fn cluster() -> FaultyCluster {
        FaultyCluster::new(Arc::new(ScriptedCluster::new()))
    }

    fn key() -> ObjectKey {
        ObjectKey::new(Kind::Pod, "test", "p")
    }

    fn lists_made(cluster: &FaultyCluster) -> usize {
        let counts = cluster.counts();
        counts
            .iter()
            .filter(|((operation, _), _)| *operation == Operation::Events)
            .map(|(_, count)| *count)
            .sum()
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_for_a_pod_share_a_list_for_five_seconds() {
        let (cluster, lists) = (cluster(), EventLists::default());
        cluster.inject(
            On::any().operation(Operation::Events),
            Fault::Latency(Duration::from_secs(1)),
        );
        let waiters: Vec<_> = (0..100).map(|_| lists.of(key(), "uid")).collect();
        let read = waiters.iter().map(|waiter| waiter.read(&cluster));
        for events in futures::future::join_all(read).await {
            events.unwrap();
        }
        assert_eq!(lists_made(&cluster), 1);
        tokio::time::advance(FRESH).await;
        waiters[0].read(&cluster).await.unwrap();
        waiters[1].read(&cluster).await.unwrap();
        assert_eq!(lists_made(&cluster), 2);
        lists
            .of(key(), "another pod of that name")
            .read(&cluster)
            .await
            .unwrap();
        assert_eq!(lists_made(&cluster), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_nobody_waits_for_is_forgotten() {
        let lists = EventLists::default();
        drop(lists.of(key(), "gone"));
        let _kept = lists.of(key(), "kept");
        let slots = lists.0.lock().unwrap();
        assert_eq!(slots.keys().collect::<Vec<_>>(), ["kept"]);
    }
}
