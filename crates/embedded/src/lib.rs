//! A Kubernetes cluster inside this process, for a machine without one: [`podbay_k8s_client::ClusterClient`] over objects
//! in memory, whose pods are processes of this host.
//!
//! The API server's half of it is that of `podbay-fake-cluster`.
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
mod kubelet;
mod state;

pub use cluster::EmbeddedCluster;
pub use kubelet::HOST_IMAGE;

/// The README's example is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
