//! What tests on a scripted cluster have in common: a cluster with a namespace, questions about what is in it, and
//! objects to put there.
//!
//! [`TestCluster`] holds the cluster and answers the questions. [`object`], [`config_map`], [`pod`], [`claim`] and
//! [`owned_by`] make objects, for any other [`ClusterClient`](podbay_k8s_client::ClusterClient) as well.
//!
//! ```
//! use podbay_fake_cluster::Script;
//! use podbay_fake_cluster::testing::{TestCluster, pod};
//! use podbay_k8s_client::{ClusterClient, Kind};
//! use serde_json::json;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let test = TestCluster::new("test");
//! test.script(Script::exits(3));
//! test.scripted.create(pod("test", "p", &json!({"activeDeadlineSeconds": 600}))).await?;
//! tokio::time::sleep(std::time::Duration::from_secs(60)).await;
//! assert_eq!(test.live_pods(), 0);
//! assert_eq!(test.counts(), [(Kind::Pod, 1)].into());
//! test.remove(&test.key(Kind::Pod, "p"));
//! test.assert_empty("after the pod was removed");
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! Everything here panics with the reason when it can't do what it says, as assertions do.

#![expect(clippy::panic, reason = "tests fail by panicking")]

mod objects;
mod test_cluster;

pub use objects::{claim, config_map, object, owned_by, pod};
pub use test_cluster::{TestCluster, is_live_pod};

#[cfg(test)]
mod tests;
