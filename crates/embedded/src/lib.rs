//! Kubernetes clusters inside one process: [`podbay_k8s_client::ClusterClient`] over objects in memory, with the API
//! server's semantics, and two kinds of node.
//!
//! * [`EmbeddedCluster`]: pods are processes of this host. For a machine without a cluster.
//! * [`ScriptedCluster`]: pods only say that they run, and do what a test has written for them. For tests of code that
//!   uses a cluster.
//! * [`FaultyCluster`]: around any client, errors, delays, silences, crashes and watch gaps, and a recording of all
//!   calls.
//!
//! ```text
//!   store/       the API server's half: objects, versions, watches, quota, owners
//!   validation/  what it refuses as not valid
//!   cluster.rs, state.rs, kubelet/, exec/, processes/    the embedded cluster
//!   scripted/    the scripted one: scheduler, kubelet, Jobs, claims, nodes
//!   faults/      the wrapper
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
//! use podbay_embedded::{ImageTrouble, Script, ScriptedCluster, Trouble};
//! use podbay_k8s_client::{ClusterClient, Kind, Object, WatchEvent};
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
//! let mut watch = cluster.watch(Kind::Pod, "test", "");
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
//! test's own. Commands answer as [`ScriptedCluster::answer_exec`] has it, and exit with 0 if nothing does.
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
//!
//! # The embedded cluster
//!
//! **This is no isolation.** Commands run as the user who runs this process, see its files and its network, and
//! are limited by nothing. What they get is a private directory as working directory, `HOME` and `TMPDIR`; an
//! environment without the user's credentials; and an end: when the pod is deleted, or the last handle of the
//! cluster dropped (on a panic too), all they started is killed and the directory removed. Not covered is
//! this process's own death by SIGKILL: its commands then go on (asking the kernel for their death with it,
//! `PR_SET_PDEATHSIG`, needs code between fork and exec, and so unsafe), and the directories stay.
//!
//! What a pod asks for that can't be had here is refused as a kubelet refuses, in its status and events: any
//! image other than [`HOST_IMAGE`], init containers, volumes other than `emptyDir`. A container's own
//! command is not run: there is no image it would keep alive. Probes, resources and security contexts have no
//! effect. Jobs, Services, Ingresses, routes and network policies are kept, and nothing acts on them.

mod cluster;
mod exec;
mod faults;
mod identity;
mod kubelet;
mod processes;
mod scripted;
mod state;
mod store;
mod validation;

pub use cluster::EmbeddedCluster;
pub use faults::{Call, Fault, FaultyCluster, On, Operation, Outcome, When};
pub use kubelet::HOST_IMAGE;
pub use scripted::{
    EPOCH, ExecAnswer, ExecCall, ExecStreams, ImageTrouble, Incident, Provisioning, RawApi, RawList, Script,
    ScriptedCluster, ScriptedClusterBuilder, Trouble, Unschedulable, VolumeTrouble, command,
};
pub use store::{RawEvent, RawWatch};
