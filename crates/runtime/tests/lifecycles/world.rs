//! A scripted cluster, clients on it, and what must hold of it at all times.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use podbay_fake_cluster::{FaultyCluster, ScriptedCluster};
use podbay_k8s_client::{ClusterClient as _, Kind, Object, WatchEvent, WatchPolicy};
use podbay_manifests::labels::SESSION;
use podbay_runtime::{Config, Podbay};

pub(crate) const NAMESPACE: &str = "default";
/// Far longer than the scripted cluster's garbage collection takes; on a virtual clock it costs nothing.
const GARBAGE_COLLECTION: Duration = Duration::from_secs(10);
/// The id of the session that most tests are about.
pub(crate) const SESSION_ID: &str = "s";

/// A cluster, watched for more than one living pod of one session.
pub(crate) struct World {
    pub(crate) cluster: ScriptedCluster,
    most: Arc<Mutex<usize>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(ScriptedCluster::new())
    }

    pub(crate) fn of(cluster: ScriptedCluster) -> Self {
        let most = Arc::<Mutex<usize>>::default();
        let mut events = cluster.watch(Kind::Pod, NAMESPACE, "", WatchPolicy::FailFast);
        let seen = Arc::clone(&most);
        tokio::spawn(async move {
            let mut living: HashMap<String, HashSet<String>> = HashMap::new();
            while let Some(Ok(event)) = events.next().await {
                let (objects, gone) = match event {
                    WatchEvent::Reset(objects) => (objects, None),
                    WatchEvent::Applied(object) => (vec![object], None),
                    WatchEvent::Deleted(object) => (Vec::new(), Some(object)),
                    WatchEvent::Interrupted(_) | WatchEvent::Resumed => continue,
                };
                for pod in objects {
                    let pods = living.entry(session_of(&pod)).or_default();
                    if lives(&pod) {
                        pods.insert(pod.uid().to_owned());
                    } else {
                        pods.remove(pod.uid());
                    }
                    let mut most = seen.lock().unwrap();
                    *most = (*most).max(pods.len());
                }
                if let Some(pod) = gone {
                    living.entry(session_of(&pod)).or_default().remove(pod.uid());
                }
            }
        });
        Self { cluster, most }
    }

    /// A client without faults.
    pub(crate) fn client(&self) -> Podbay {
        self.client_with(Config::default())
    }

    pub(crate) fn client_with(&self, config: Config) -> Podbay {
        Podbay::with_client(Arc::new(self.cluster.clone()), config)
    }

    /// A client whose calls can go wrong and are recorded.
    pub(crate) fn faulty(&self, config: Config) -> (Podbay, FaultyCluster) {
        let faulty = FaultyCluster::new(Arc::new(self.cluster.clone()));
        (Podbay::with_client(Arc::new(faulty.clone()), config), faulty)
    }

    /// How many objects there are, by kind, the network policy that sessions share left out.
    pub(crate) async fn objects(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        for kind in Kind::ALL {
            let objects = self.cluster.list(*kind, NAMESPACE, "").await.unwrap();
            let count = objects
                .iter()
                .filter(|object| *kind != Kind::NetworkPolicy || object.metadata().owner_references.is_some())
                .count();
            if count > 0 {
                counts.insert(*kind, count);
            }
        }
        counts
    }

    /// The pods that live.
    pub(crate) async fn living_pods(&self) -> usize {
        let pods = self.cluster.list(Kind::Pod, NAMESPACE, "").await.unwrap();
        pods.iter().filter(|pod| lives(pod)).count()
    }

    /// Deletes the session, claim included, and checks that nothing is left.
    pub(crate) async fn is_left_empty(&self, what: &str) {
        self.client().delete(SESSION_ID, true).await.unwrap();
        // What was closed before that without waiting goes by garbage collection.
        tokio::time::sleep(GARBAGE_COLLECTION).await;
        assert_eq!(self.objects().await, BTreeMap::new(), "{what}: left");
        let most = *self.most.lock().unwrap();
        assert!(most <= 1, "{what}: {most} pods of one session lived at once");
    }
}

fn session_of(pod: &Object) -> String {
    let labels = pod.metadata().labels.as_ref();
    labels
        .and_then(|labels| labels.get(SESSION))
        .cloned()
        .unwrap_or_default()
}

fn lives(pod: &Object) -> bool {
    let Object::Pod(object) = pod else { return false };
    let phase = object.status.as_ref().and_then(|status| status.phase.as_deref());
    !pod.is_terminating() && !matches!(phase, Some("Failed" | "Succeeded"))
}
