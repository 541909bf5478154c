//! Podbay's view of a Kubernetes cluster: the few calls it makes, behind the trait [`ClusterClient`].
//!
//! ```text
//!   client.rs    the trait           object.rs  what it handles      error.rs  what can go wrong, by meaning
//!   exec.rs, logs.rs                 a command, a log, as their callers see them
//!   http_route.rs                    the one kind that Kubernetes' own types lack
//!   live/                            the trait over an API server, by kube
//!   remote_command/                  the exec subresource's protocol: codec without I/O, queues, driver
//!   mock.rs      the trait's mock (feature `mock`)
//! ```
//!
//! The crate knows nothing of sessions: names, labels and meaning come from above.

pub mod client;
pub mod error;
pub mod exec;
pub mod http_route;
pub mod live;
pub mod logs;
#[cfg(any(test, feature = "mock"))]
pub mod mock;
pub mod object;
pub mod remote_command;
pub mod retry;

pub use client::{ClusterClient, DeleteOptions, WatchEvent};
pub use error::{Error, ErrorKind};
pub use exec::{ExecEnd, ExecOutput, ExecProcess, ExecRequest, ExecStdin, StdinClosed, TerminalSize};
pub use http_route::HttpRoute;
pub use live::{Cluster, LiveClient};
pub use logs::{LogRequest, LogStream};
pub use object::{Kind, Object, ObjectKey};
