//! Processes by Podbay's agent in the pod: they outlive the connection, and their ends are proven.
//!
//! ```text
//!   way.rs        whether there is an agent, and the way to it
//!   processes.rs  `ProcessTransport`
//!   machine.rs    the same for a session of this machine
//!   outputs.rs    from the frames of one answer to both outputs of a process
//! ```

mod machine;
mod outputs;
mod processes;
mod way;

pub(super) use machine::{MachineProcesses, connection};
pub(crate) use processes::AGENT_CAPABILITIES;
pub(super) use processes::AgentProcesses;
pub(super) use way::{Way, required, way};
