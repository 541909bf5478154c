//! Sessions of this machine: the second implementation of what a session does, beside the cluster's.
//!
//! ```text
//!   session.rs  one of them: found, used, paused, ended
//!   seen.rs     what was found of one, and the state that makes (pure)
//!   record.rs   what is written down of one: the record and the Secret that a cluster would have (pure)
//!   open.rs     opening one: kept by an agent that outlives this process, or by this process
//!   list.rs     all of them
//!   log.rs      what its agent complains of
//! ```
//!
//! What of them is the machine's alone (directories, locks, processes) is `podbay_local`'s matter.

mod list;
mod log;
mod open;
mod record;
mod seen;
mod session;

pub(crate) use list::{close, list};
pub(crate) use open::LocalOpen;
pub(crate) use seen::Seen;
pub(crate) use session::{Access, LocalSession};
