//! Faults on any call to any cluster, and a recording of all calls.
//!
//! [`FaultyCluster`] wraps a [`podbay_k8s_client::ClusterClient`], so that what is tested meets the errors, delays,
//! silences and gaps that networks and API servers have, and what it asked for can be looked at afterwards.
//!
//! ```
//! # use std::sync::Arc;
//! use podbay_fake_cluster::{Fault, FaultyCluster, On, Operation, ScriptedCluster};
//! use podbay_k8s_client::{ClusterClient, ErrorKind, Kind, Object, ObjectKey};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = FaultyCluster::new(Arc::new(ScriptedCluster::new()));
//! // The first Secret is created, but the answer is lost.
//! cluster.inject(
//!     On::any().operation(Operation::Create).kind(Kind::Secret).nth(0),
//!     Fault::after(ErrorKind::Disconnected),
//! );
//! let json = serde_json::json!({"metadata": {"name": "key", "namespace": "test"}});
//! let error = cluster.create(Object::from_json(Kind::Secret, json)?).await.unwrap_err();
//! assert!(error.may_have_happened());
//! let key = ObjectKey::new(Kind::Secret, "test", "key");
//! assert!(cluster.get(&key).await?.is_some());
//! assert_eq!(cluster.calls().len(), 2);
//! # Ok(())
//! # }
//! ```

mod client;
mod cluster;
mod fault;
mod lag;
mod matching;
mod recording;
mod watches;

pub use cluster::FaultyCluster;
pub use fault::{Fault, When};
pub use matching::On;
pub use recording::{Call, Operation, Outcome};
