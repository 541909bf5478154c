//! Processes as resources: started once by an id, their output a log with offsets, their end a record.
//!
//! ```text
//!   processes   what a client calls
//!   request     from what is asked for to what is started (pure)
//!   registry    which processes there are, and for how long (pure)
//!   log/        what is kept of an output, and who is waited for (pure)
//!   end         how a process ended, from what was seen (pure)
//!   entry       one process, shared by all who deal with it; kept what is kept of an ended one
//!   driver      the task that looks after it; record what it writes in the end
//!   carried     its streams, in tasks of their own
//!   pump        an output on its way into the log; spool the files it may go to
//!   descriptor  pipes and terminals without blocking
//!   input       standard input; reader what clients read
//!   fuzzing     a process that is played, for those who fuzz this
//! ```
//!
//! A process ends when its command exits. What it wrote until then is always in the log; what the processes it left
//! behind still write to its outputs is waited for as long as [`ProcessSettings::linger`] says, and an output whose end
//! was not seen is told as truncated. They themselves go on until the process is forgotten, its time-out passes, or the
//! agent ends.

mod carried;
mod descriptor;
mod driver;
mod end;
mod entry;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod input;
mod kept;
mod log;
mod processes;
mod pump;
mod reader;
mod record;
mod registry;
mod request;
mod settings;
mod spool;

pub use error::{
    AcknowledgeError, InvalidSpec, ReadError, ResizeError, SignalError, StartRefusal, StdinError,
    UnknownProcess,
};
pub use processes::{Processes, Started};
pub use reader::{OutputReader, Piece};
pub use settings::ProcessSettings;

/// The variable that marks each process of an agent: `<mark of the agent>/<process id>`.
pub const MARK: &str = podbay_protocol::agent::MARK_VARIABLE;
