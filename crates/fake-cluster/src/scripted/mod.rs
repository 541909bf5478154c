//! A cluster whose pods are scripted: the API's semantics, the controllers a client meets, and nodes that do what a
//! test says.

mod claims;
mod client;
mod clock;
mod cluster;
mod engine;
mod events;
mod exec;
mod incidents;
mod jobs;
mod plan;
mod pods;
mod ports;
mod raw;
mod script;
mod settings;
mod stages;
mod status;
mod strike;
mod timers;
mod trouble;

pub use claims::Provisioning;
pub use clock::EPOCH;
pub use cluster::{ScriptedCluster, ScriptedClusterBuilder};
pub use exec::{ExecAnswer, ExecCall, ExecStreams, command};
pub use ports::PortCall;
pub use raw::{RawApi, RawList};
pub use script::{Incident, Script};
pub use trouble::{ImageTrouble, Trouble, Unschedulable, VolumeTrouble};
