//! A scripted cluster, clients on it, and what must hold of it at all times.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use podbay_fake_cluster::testing::{TestCluster, is_live_pod};
use podbay_fake_cluster::{FaultyCluster, ImageTrouble, Script, Trouble};
use podbay_k8s_client::{ClusterClient as _, Kind, Object, WatchEvent, WatchPolicy};
use podbay_manifests::labels::SESSION;
use podbay_runtime::{Config, Podbay};

use crate::support::{NAMESPACE, podbay_on};

/// Far longer than the scripted cluster's garbage collection takes; on a virtual clock it costs nothing.
const GARBAGE_COLLECTION: Duration = Duration::from_secs(10);
/// The id of the session that most tests are about.
pub(crate) const SESSION_ID: &str = "s";

/// A cluster, watched for more than one living pod of one session.
pub(crate) struct WatchedCluster {
    pub(crate) cluster: TestCluster,
    most: Arc<Mutex<usize>>,
    starts_fail: Arc<AtomicBool>,
}

impl WatchedCluster {
    pub(crate) fn new() -> Self {
        // The policy that sessions share stays, and nobody owns it.
        let cluster = TestCluster::new(NAMESPACE).leave_out(|object| {
            object.kind() == Kind::NetworkPolicy && object.metadata().owner_references.is_none()
        });
        let most = Arc::<Mutex<usize>>::default();
        let mut events = cluster
            .scripted
            .watch(Kind::Pod, NAMESPACE, "", WatchPolicy::FailFast);
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
                    if is_live_pod(&pod) {
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
        Self {
            cluster,
            most,
            starts_fail: Arc::default(),
        }
    }

    /// From now on the starts of new pods fail, because there is no such image; or they succeed again.
    pub(crate) fn starts_fail(&self, fail: bool) {
        self.starts_fail.store(fail, Ordering::Relaxed);
        let starts_fail = Arc::clone(&self.starts_fail);
        self.cluster.scripted.script_with(move |_| {
            let stuck = || Script::stuck(Trouble::Image(ImageTrouble::NotFound));
            starts_fail.load(Ordering::Relaxed).then(stuck)
        });
    }

    /// A client without faults.
    pub(crate) fn client(&self) -> Podbay {
        self.client_with(Config::default())
    }

    pub(crate) fn client_with(&self, config: Config) -> Podbay {
        podbay_on(&self.cluster.scripted, config)
    }

    /// A client whose calls can go wrong and are recorded.
    pub(crate) fn faulty(&self, config: Config) -> (Podbay, FaultyCluster) {
        let faulty = self.cluster.faulty();
        (podbay_on(&faulty, config), faulty)
    }

    /// Deletes the session, claim included, and checks that nothing is left.
    pub(crate) async fn is_left_empty(&self, what: &str) {
        self.client().delete(SESSION_ID, true).await.unwrap();
        // What was closed before that without waiting goes by garbage collection.
        tokio::time::sleep(GARBAGE_COLLECTION).await;
        self.cluster.assert_empty(what);
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
