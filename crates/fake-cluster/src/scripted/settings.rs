//! What is the same for all of a cluster's life.

use std::time::Duration;

/// A scripted cluster's settings, with what they are for.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// All randomness (UIDs, generated names) follows from it.
    pub(super) seed: u64,
    /// How many nodes there are.
    pub(super) nodes: usize,
    /// Changes that watches can still be given.
    pub(super) history: usize,
    /// How long after its owners an object is looked at by garbage collection.
    pub(super) garbage_collection: Duration,
    /// How long the other controllers (Jobs, claim protection) take to look at a change.
    pub(super) controllers: Duration,
    /// How long a claim takes to be bound.
    pub(super) provisioning: Duration,
    /// How long pods stay on a node that does not answer.
    pub(super) node_eviction: Duration,
    /// How often a raw watch that asks for bookmarks gets one.
    pub(super) bookmarks: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            nodes: 3,
            // A pod goes through some eight changes: enough for a hundred of them between two looks of a watch, and
            // small beside the objects themselves.
            history: 1024,
            garbage_collection: Duration::from_millis(20),
            controllers: Duration::from_millis(5),
            provisioning: Duration::from_millis(10),
            // `tolerationSeconds` that admission gives every pod for `node.kubernetes.io/unreachable`.
            node_eviction: Duration::from_secs(300),
            // The API server's `bookmarkFrequency`.
            bookmarks: Duration::from_secs(60),
        }
    }
}
