//! Podbay's view of a Kubernetes cluster: the few calls it makes, behind the trait [`ClusterClient`].
//!
//! ```text
//!   client.rs    the trait           object.rs  what it handles      error.rs  what can go wrong, by meaning
//!   cluster.rs   which cluster is meant
//!   exec.rs, logs.rs                 a command, a log, as their callers see them
//!   version.rs                       the API server's version
//!   selector.rs                      label selectors (pure)
//!   http_route.rs                    the one kind that Kubernetes' own types lack
//!   live/                            the trait over an API server, by kube (feature `live`)
//!   remote_command/                  the exec subresource's protocol: codec without I/O; queues and driver (feature `live`)
//!   port_forward/                    a connection to a pod's port: codec without I/O; stream (feature `live`)
//!   mock.rs      the trait's mock (feature `mock`)
//! ```
//!
//! # Features
//!
//! * `live`: [`LiveClient`], with kube, hyper and TLS. Without it the crate is the trait and its types, for those who hand
//!   a client on, or write one.
//! * `mock`: a mock of the trait.
//! * `k8s-v1_33`: the API version that `k8s-openapi` has the types of. No library should choose one: each program switches
//!   on exactly one, by this feature or by `k8s-openapi`'s own.
//!
//! The crate knows nothing of sessions: names, labels and meaning come from above.

pub mod client;
pub mod cluster;
pub mod error;
pub mod exec;
pub mod http_route;
#[cfg(feature = "live")]
pub mod live;
pub mod logs;
#[cfg(any(test, feature = "mock"))]
pub mod mock;
pub mod object;
pub mod port_forward;
pub mod remote_command;
pub mod retry;
mod right;
pub mod selector;
pub mod version;

pub use client::{ClusterClient, DeleteOptions, Interruption, WatchEvent, WatchPolicy};
pub use cluster::{Cluster, default_kubeconfig_places};
pub use error::{Error, ErrorKind};
pub use exec::{ExecEnd, ExecOutput, ExecProcess, ExecRequest, ExecStdin, StdinClosed, TerminalSize};
pub use http_route::HttpRoute;
#[cfg(feature = "live")]
pub use live::LiveClient;
pub use logs::{LogRequest, LogStream};
pub use object::{Kind, Object, ObjectKey};
pub use port_forward::PortForward;
pub use right::Right;
pub use selector::{Selector, SelectorError};
pub use version::ServerVersion;

/// The README's example is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
