//! Requests to Podbay's agent in a pod.
//!
//! ```text
//!   connection.rs   one HTTP/2 connection to a pod's agent, made again when it breaks
//!   connections.rs  the connections of a process, one a pod
//!   proof.rs        that the other side knows the session's key, before it is sent (pure)
//!   request.rs      requests of the native API, and their answers
//! ```

mod connection;
mod connections;
mod proof;
pub(crate) mod request;

pub(crate) use connection::AgentConnection;
pub(crate) use connections::AgentConnections;
