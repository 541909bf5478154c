//! A session, as its user holds it.

mod actions;
mod builder;
mod cluster;
mod describe;
mod ended_command;
mod figures;
mod handle;
mod look;
mod on_host;
mod ports;
mod starting;
mod told;

pub use builder::{OpenReport, SessionBuilder};
pub(crate) use cluster::ClusterSession;
pub use describe::{AgentLine, Description, EventLine, Summary};
pub(crate) use describe::{summarise, summarise_here};
pub(crate) use handle::Place;
pub use handle::Session;
pub use look::Look;
pub(crate) use look::{look_at_record, look_here};
pub use on_host::unheeded_on_this_machine;
pub use ports::Forwarded;
pub use starting::Starting;
