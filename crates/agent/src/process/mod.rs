//! Processes as resources: started once by an id, their output a log with offsets, their end a record.

mod error;
mod processes;
mod reader;
mod settings;

pub use error::{
    AcknowledgeError, InvalidSpec, ReadError, ResizeError, SignalError, StartRefusal, StdinError,
    UnknownProcess,
};
pub use processes::{OutputReader, Processes, Started};
pub use reader::Piece;
pub use settings::ProcessSettings;

/// The variable that marks each process of an agent: `<mark of the agent>/<process id>`.
pub const MARK: &str = "PODBAY_PROCESS";
