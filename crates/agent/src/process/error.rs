//! Why something asked of a process is refused.

use podbay_protocol::{ProcessId, ReaderId, StreamName};

/// There is no such process; it never was, or it ended and was forgotten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no process {id}")]
pub struct UnknownProcess {
    /// The id that was asked for.
    pub id: ProcessId,
}

/// Why a process is not started. One that was refused has left nothing behind, and its id is free.
///
/// A program that does not exist is no refusal: it is the end of a process
/// ([`NotStarted`](podbay_protocol::ProcessEnd::NotStarted)).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartRefusal {
    /// Another process has this id.
    #[error("the id {id} is that of another process, which was started with another specification")]
    IdTaken {
        /// The id.
        id: ProcessId,
    },
    /// A process with this id has ended and was forgotten: it is not run again.
    #[error("a process {id} has ended, and its record was dropped; start another one under another id")]
    Expired {
        /// The id.
        id: ProcessId,
    },
    /// The specification contradicts itself.
    #[error("process {id} can't be started: {problem}")]
    Invalid {
        /// The id.
        id: ProcessId,
        /// What is wrong with it.
        problem: InvalidSpec,
    },
    /// The agent is ending.
    #[error("process {id} is not started: the agent is ending")]
    ShuttingDown {
        /// The id.
        id: ProcessId,
    },
}

/// What is wrong with the specification of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSpec {
    /// Neither a program nor a text for the shell.
    #[error("it names no program and no shell text")]
    NothingToRun,
    /// A NUL byte in an argument, a variable, or the directory.
    #[error("its {part} has a NUL byte, which the system can't pass on")]
    Nul {
        /// Where it stands.
        part: &'static str,
    },
    /// A variable without a name, or with `=` in it.
    #[error("a variable's name is empty, or has a \"=\" in it")]
    VariableName,
    /// A user by number and by name.
    #[error("it names its user by number and by name; give one of them")]
    TwoUsers,
    /// A user or group id outside of what the system knows.
    #[error("user and group ids are between 0 and 4294967294")]
    UserNumber,
    /// A time-out that is no positive number of seconds.
    #[error("its time-out is no positive number of seconds")]
    Timeout,
}

/// Why output can't be read from the place asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such process.
    #[error(transparent)]
    Unknown(#[from] UnknownProcess),
    /// What was there is no longer kept.
    #[error("{stream} of process {id} is kept from byte {first} on, and was asked for from byte {asked}")]
    Gone {
        /// The process.
        id: ProcessId,
        /// The output.
        stream: StreamName,
        /// The offset asked for.
        asked: u64,
        /// The first that is kept.
        first: u64,
    },
    /// So much was not written yet.
    #[error("{stream} of process {id} has {written} bytes, and was asked for from byte {asked}")]
    Ahead {
        /// The process.
        id: ProcessId,
        /// The output.
        stream: StreamName,
        /// The offset asked for.
        asked: u64,
        /// How much there is.
        written: u64,
    },
}

/// Why an acknowledgement is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcknowledgeError {
    /// There is no such process.
    #[error(transparent)]
    Unknown(#[from] UnknownProcess),
    /// It is not this reader that the process waits for.
    #[error("process {id} does not wait for the reader {reader}: another one attached after it")]
    OtherReader {
        /// The process.
        id: ProcessId,
        /// The reader who acknowledged.
        reader: ReaderId,
    },
    /// More was acknowledged than was written.
    #[error("{stream} of process {id} has {written} bytes, and {asked} were acknowledged")]
    Ahead {
        /// The process.
        id: ProcessId,
        /// The output.
        stream: StreamName,
        /// How many bytes were acknowledged.
        asked: u64,
        /// How many there are.
        written: u64,
    },
}

/// Why standard input is not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StdinError {
    /// There is no such process.
    #[error(transparent)]
    Unknown(#[from] UnknownProcess),
    /// The process was started without.
    #[error("process {id} has no standard input to write to")]
    None {
        /// The process.
        id: ProcessId,
    },
    /// The process has ended or closed its input, or its end of file was asked for.
    #[error("standard input of process {id} is closed; it took {taken} bytes")]
    Closed {
        /// The process.
        id: ProcessId,
        /// How many bytes it took.
        taken: u64,
    },
    /// Bytes between what was taken and what is offered are missing.
    #[error("standard input of process {id} goes on at byte {taken}, and was offered from byte {offset}")]
    Gap {
        /// The process.
        id: ProcessId,
        /// How many bytes were taken.
        taken: u64,
        /// Where the bytes offered begin.
        offset: u64,
    },
}

/// Why a signal is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// There is no such process.
    #[error(transparent)]
    Unknown(#[from] UnknownProcess),
    /// It has ended.
    #[error("process {id} has ended")]
    Ended {
        /// The process.
        id: ProcessId,
    },
}

/// Why a terminal's size is not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// There is no such process.
    #[error(transparent)]
    Unknown(#[from] UnknownProcess),
    /// It has no terminal.
    #[error("process {id} has no terminal")]
    NoTerminal {
        /// The process.
        id: ProcessId,
    },
    /// It has ended.
    #[error("process {id} has ended")]
    Ended {
        /// The process.
        id: ProcessId,
    },
}
