//! The remote runtime API as clients see it, over sessions of this process and over pods of a scripted cluster.
//!
//! ```text
//!   world.rs     an API to ask
//!   agents.rs    agents that answer in scripted pods
//!   asked_of_pods.rs  fields of a start that say how the pod is made
//!   anywhere.rs  what is the same wherever sessions are
//!   drain.rs     what runs is waited for before a pause
//!   failures.rs  what is told of sessions that do not start
//!   images.rs    questions to registries
//!   registry_tls.rs  the same over TLS
//!   limits.rs    how much one owner and one key may have
//!   namespaces.rs  keys with a namespace
//!   kinds.rs     sessions of each kind of command
//!   pods.rs      starts, failures, pauses and replicas on a cluster
//!   settings.rs  each setting of the service has an effect
//! ```

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod agents;
mod anywhere;
mod asked_of_pods;
mod drain;
mod failures;
mod images;
mod kinds;
mod limits;
mod lost;
mod namespaces;
mod pods;
mod registry_tls;
mod settings;
mod telemetry;
mod world;
