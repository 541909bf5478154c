//! What a transport can't do.

use podbay_protocol::ErrorCode;

/// What not every transport can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Going on with the output of a process after the connection was lost, or of a process that another client started.
    Attach,
    /// Reaching a process that another client started, or that was detached.
    ReachProcess,
    /// Writing to a process's standard input from another offset than the last one.
    WriteFromOffset,
    /// Keeping output that nobody takes in a file.
    Spool,
    /// Keeping the last bytes of output that nobody takes.
    Tail,
    /// Sending a process a signal.
    Signal,
    /// Sending a process and all its descendants another signal than KILL.
    SignalTree,
    /// Listing processes.
    ListProcesses,
    /// Running a process as another user than the session's.
    OtherUser,
    /// Starting a process from a shell's text, or with variables, a user's name or a time-out of its own.
    RichSpecification,
    /// Reading a file from an offset.
    GetFromOffset,
    /// Writing a file from an offset.
    PutFromOffset,
    /// Reading what the sandbox uses.
    Figures,
    /// Keeping the sandbox from being taken for idle.
    Hold,
    /// Giving a file that is written permissions and a time of its own.
    PutWithMode,
    /// Giving the files of an archive to those whom it names.
    OwnersOfArchive,
    /// Carrying an action of OpenHands' out.
    Action,
}

/// What was asked for is not possible over this transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not possible over {transport}", operation.as_str())]
pub struct NotPossible {
    /// What was asked for.
    pub operation: Operation,
    /// The transport's name.
    pub transport: &'static str,
}

impl Operation {
    /// Whether Podbay's agent can do it, and nothing else.
    pub(crate) const fn needs_agent(self) -> bool {
        match self {
            Self::Attach
            | Self::ReachProcess
            | Self::WriteFromOffset
            | Self::Spool
            | Self::Tail
            | Self::SignalTree
            | Self::RichSpecification
            | Self::Figures
            | Self::Hold
            | Self::Action
            | Self::ListProcesses => true,
            Self::Signal
            | Self::OtherUser
            | Self::GetFromOffset
            | Self::PutFromOffset
            | Self::PutWithMode
            | Self::OwnersOfArchive => false,
        }
    }

    /// What it is called in messages: words that hold on every surface.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attach => "attaching to a running process",
            Self::ReachProcess => "reaching a process that was detached or that another client started",
            Self::WriteFromOffset => "writing standard input from an offset",
            Self::Spool => "keeping output that nobody reads in a file",
            Self::Tail => "keeping the end of output that nobody reads",
            Self::Signal => "sending a signal to a process",
            Self::SignalTree => "sending a signal other than KILL to a process and its descendants",
            Self::ListProcesses => "listing processes",
            Self::OtherUser => "running a process as another user",
            Self::RichSpecification => {
                "starting a process from a shell's text, or with variables, a user's name or a time-out of its own"
            }
            Self::GetFromOffset => "reading a file from an offset",
            Self::PutFromOffset => "writing a file from an offset",
            Self::Figures => "reading what the sandbox uses",
            Self::Hold => "keeping the sandbox from being taken for idle",
            Self::PutWithMode => "giving a file permissions and a time as it is written",
            Self::OwnersOfArchive => "giving files to the owners that an archive names",
            Self::Action => "running an action of OpenHands",
        }
    }
}

impl NotPossible {
    /// The stable code.
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::Unsupported
    }
}
