//! A Kubernetes cluster for tests: [`podbay_k8s_client::ClusterClient`] over objects in memory, with the API server's
//! semantics and pods that do what a test has written for them.
//!
//! * [`ScriptedCluster`]: the cluster. Its pods only say that they run.
//! * [`FaultyCluster`]: around any client, errors, delays, silences, crashes and watch gaps, and a recording of all
//!   calls.
//! * [`testing`]: objects to put there, and a cluster that is asked what is in it.
//!
//! ```text
//!   store/          the API server's half: objects, versions, watches, quota, owners
//!   validation/     what it refuses as not valid
//!   environment.rs  a container's environment, as the kubelet makes it
//!   scripted/       scheduler, kubelet, Jobs, claims, nodes
//!   faults/         the wrapper
//!   testing/        what tests have in common
//! ```
//!
//! # Testing with a scripted cluster
//!
//! Its time is tokio's. With `#[tokio::test(start_paused = true)]` the clock jumps to whatever is due next, so that a
//! test of an hour takes milliseconds; and since times count from [`EPOCH`] and all randomness follows from a seed, two
//! runs that make the same calls are the same to the last UID.
//!
//! ```
//! use std::time::Duration;
//! use futures::StreamExt as _;
//! use podbay_fake_cluster::{ImageTrouble, Script, ScriptedCluster, Trouble};
//! use podbay_k8s_client::{ClusterClient, Kind, Object, WatchEvent, WatchPolicy};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let cluster = ScriptedCluster::new();
//! // A registry that can't be reached for the first minute, for pods labelled `slow`.
//! let script = Script::ready().trouble_for(Trouble::Image(ImageTrouble::Unreachable), Duration::from_secs(60));
//! cluster.script(|pod| pod.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key("slow")), script);
//!
//! let pod = serde_json::json!({
//!     "metadata": {"name": "p", "namespace": "test", "labels": {"slow": ""}},
//!     "spec": {"containers": [{"name": "main", "image": "registry.example/image:1"}]},
//! });
//! cluster.create(Object::from_json(Kind::Pod, pod)?).await?;
//! let mut watch = cluster.watch(Kind::Pod, "test", "", WatchPolicy::FailFast);
//! while let Some(event) = watch.next().await {
//!     let WatchEvent::Applied(Object::Pod(pod)) = event? else { continue };
//!     if pod.status.and_then(|status| status.phase).as_deref() == Some("Running") {
//!         break;
//!     }
//! }
//! assert!(cluster.age() >= Duration::from_secs(60));
//! // And now its node goes away.
//! let node = cluster.node_of("test", "p").ok_or("not scheduled")?;
//! cluster.lose_node(&node);
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! A [`Script`] says how long each step of a pod's start takes, what goes wrong on the way ([`Trouble`]), and what
//! happens once it runs ([`Incident`]); [`ScriptedCluster::happen`] and its kin make things happen at a moment of the
//! test's own. Commands answer as [`ScriptedCluster::answer_exec`] has it, and exit with 0 if nothing does; what
//! [`ScriptedCluster::listen_with`] has listen on a pod's port is reached by port-forward.
//! [`ScriptedCluster::raw`] gives the API beneath the client trait.
//!
//! ## What is simulated
//!
//! * **The API**: one version counter for all objects; `generateName`; conflicts on stale versions and other UIDs;
//!   409, 403, 404, 410, 422 in the API server's words; JSON merge patches; watches from any version still known, with
//!   selectors and bookmarks, and 410 when too far behind; finalizers, grace periods; ResourceQuota; the defaults and
//!   validations that manifests meet in practice.
//! * **Controllers**, each some milliseconds after what it reacts to: garbage collection by owner UID (background),
//!   claim protection, volume binding, Jobs (retries, suspension, deadlines, removal after a time), node loss with
//!   taint eviction.
//! * **Scheduler and kubelet**: phases, conditions, container states, restarts with back-off, init containers and
//!   sidecars, the environment's Secrets and ConfigMaps, events.
//!
//! ## What is not
//!
//! * Resources, affinity, taints and priorities: a pod fits unless its script says otherwise, and nodes take turns.
//! * Authentication, RBAC, Pod Security, LimitRange, webhooks: [`Fault::forbidden`] refuses in their words.
//! * Namespaces: every name is one that exists. Foreground deletion, `blockOwnerDeletion`, server-side apply, field
//!   selectors, paging, Indexed Jobs, pod failure policies, endpoints, anything of a network.
//! * Volumes that name a missing Secret or ConfigMap: the pod starts. A [`Trouble::Volume`] stops it.
//! * Two things are stricter than the API server: an environment variable that is defined twice is refused (a real one
//!   warns), and quota is free again at once (a real one takes seconds).

mod environment;
mod faults;
mod identity;
mod scripted;
mod store;
pub mod testing;
mod validation;

pub use faults::{Call, Fault, FaultyCluster, On, Operation, Outcome, When};
pub use scripted::{
    EPOCH, ExecAnswer, ExecCall, ExecStreams, ImageTrouble, Incident, PortCall, Provisioning, RawApi,
    RawList, Script, ScriptedCluster, ScriptedClusterBuilder, Trouble, Unschedulable, VolumeTrouble, command,
};
pub use store::{RawEvent, RawWatch};

/// The README's example is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
