//! The state of a session, from what the cluster holds of it.
//!
//! ```text
//!   record, pods, events, now --> session_state.rs --> SessionState
//!   pod of a server           --> degraded.rs      --> what is not well of it
//! ```
//!
//! All of it is pure: objects and the time come in as values. Lists, descriptions, waits and limits read the same state.

mod degraded;
mod session_state;
#[cfg(test)]
mod tests;

pub(crate) use session_state::{pod_is_gone, session_state};
