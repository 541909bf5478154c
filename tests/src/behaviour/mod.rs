//! What Podbay relies on of a cluster, as cases that run against a real API server and against
//! [`podbay_fake_cluster::ScriptedCluster`] alike, so that the double can't drift from the original.
//!
//! A [`Case`] does something in a namespace of its own and returns what it saw: codes, messages, states, with names,
//! UIDs and times replaced ([`Observed`]). It knows nothing of which cluster it is on: it is given a [`Stage`]. What
//! a real API server answered is recorded in [`answers`]; the scripted cluster must answer the same without one at
//! hand, and with one at hand both are asked and compared, with each other and with the record.
//!
//! ```text
//!   stage.rs      what a case acts on            observed.rs   what it saw
//!   follow.rs     waiting for a state            answers.rs    what a real API server answered
//!   raw.rs        the API beneath the client trait: versions, updates, watches from a version
//!   fate.rs       what is to become of a pod, as a command for a real node and as a script for the double
//!   live.rs, double.rs                           the two stages
//!   cases/        the cases, by what they are about
//! ```

pub mod answers;
pub mod cases;
pub mod double;
pub mod fate;
pub mod follow;
pub mod live;
pub mod observed;
pub mod raw;
pub mod stage;

use futures::future::BoxFuture;

pub use cases::CASES;
pub use observed::Observed;
pub use stage::Stage;

/// Something a cluster is asked to do, and what is seen of it.
pub type Case = fn(Stage) -> BoxFuture<'static, Observed>;
