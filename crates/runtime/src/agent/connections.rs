//! The connections of a process, one a pod.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::connection::AgentConnection;

/// How many connections are kept. More sessions at once than that go on working: each connection that is in use is held by who
/// uses it.
const KEPT: usize = 4096;

/// The connections of a process, by the pod's UID: a pod of the same name or address is another sandbox.
#[derive(Debug, Default)]
pub(crate) struct AgentConnections(Mutex<HashMap<String, AgentConnection>>);

impl AgentConnections {
    /// The connection to the pod with this UID.
    pub(crate) fn get(&self, uid: &str) -> Option<AgentConnection> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(uid).cloned()
    }

    /// Keeps a connection to the pod with this UID, and returns the one that is kept: of two who make one at once, both use the
    /// first.
    pub(crate) fn keep(&self, uid: &str, connection: AgentConnection) -> AgentConnection {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT {
            all.clear();
        }
        all.entry(uid.to_owned()).or_insert(connection).clone()
    }
}
