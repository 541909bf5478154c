//! What a way into a session can do.

use podbay_protocol::{ProcessSpec, Retention};

use crate::error::{NotPossible, Operation};

/// What a transport can do. A caller asks before it begins; what is asked for all the same is refused as
/// [`NotPossible`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Capabilities {
    /// The transport's name, for messages.
    pub transport: &'static str,
    /// Whether the output of a process can be read again from any offset that is kept: a process then survives the
    /// connection that it was started by.
    pub reattach: bool,
    /// Whether a start that is repeated with the same id and specification finds the process that the first one made.
    pub repeated_start: bool,
    /// Whether input can be written again from an offset without any byte arriving twice.
    pub stdin_offsets: bool,
    /// How many bytes of input are written at once, at most.
    pub stdin_piece: usize,
    /// How many such pieces may be on their way at once, the answer to none of which has come. More than one only with
    /// [`Capabilities::stdin_offsets`].
    pub stdin_pieces: usize,
    /// Whether a process can be sent signals of any kind. All can be killed.
    pub signals: bool,
    /// Whether a process and its descendants can be sent another signal than KILL.
    pub tree_signals: bool,
    /// How the descendants of a process are found that is killed.
    pub tree_kill: TreeKill,
    /// Whether processes can be listed.
    pub list: bool,
    /// Whether the transport kills a process itself when its time is over, also if nobody is connected to it then.
    pub timeouts: bool,
    /// Whether output that nobody takes can go to a file ([`Retention::Spool`]).
    pub spool: bool,
    /// Whether the last bytes of output can be kept that nobody takes ([`Retention::Tail`]).
    pub tail: bool,
    /// Whether a process can run as another user than the session's, where the session's own user may become it.
    pub users: bool,
    /// Whether a file can be read from any offset.
    pub get_from_offset: bool,
    /// Whether a file that was written in part can be gone on with.
    pub put_from_offset: bool,
    /// Whether a file gets its name only when it is whole.
    pub put_is_atomic: bool,
    /// Whether a file can be given permissions and a time as it is written.
    pub put_with_mode: bool,
    /// Whether the files of an archive can be given to those whom it names.
    pub owners_of_archive: bool,
    /// How it is known that files that were carried are complete.
    pub integrity: Integrity,
}

/// How it is known that what was carried is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Integrity {
    /// Bytes or members are counted on both sides.
    Counted,
    /// A hash is taken on both sides.
    Hashed,
}

/// How the descendants of a process are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreeKill {
    /// By a mark in the environment that they inherited; one that clears its environment escapes.
    EnvironmentMark,
    /// As its descendants, also those that were orphaned or cleared their environment: a process of the agent's own adopts them.
    Descendants,
}

impl Capabilities {
    /// What can be done where a process lives as long as the one connection that it was started by, and files are carried by
    /// commands.
    pub(super) const fn of_one_connection(transport: &'static str) -> Self {
        Self {
            transport,
            reattach: false,
            repeated_start: false,
            stdin_offsets: false,
            // What the API server passes on at once.
            stdin_piece: 32 << 10,
            stdin_pieces: 1,
            signals: true,
            tree_signals: false,
            tree_kill: TreeKill::EnvironmentMark,
            list: false,
            timeouts: false,
            spool: false,
            tail: false,
            users: true,
            get_from_offset: true,
            // A command may be lost after it took more than was told, so that nobody knows where to go on.
            put_from_offset: false,
            put_is_atomic: false,
            put_with_mode: false,
            owners_of_archive: true,
            integrity: Integrity::Counted,
        }
    }

    /// Refuses what can't be done.
    pub const fn require(&self, operation: Operation) -> Result<(), NotPossible> {
        let possible = match operation {
            Operation::Attach | Operation::ReachProcess => self.reattach,
            Operation::RichSpecification => self.timeouts,
            Operation::WriteFromOffset => self.stdin_offsets,
            Operation::Spool => self.spool,
            Operation::Tail => self.tail,
            Operation::Signal => self.signals,
            Operation::SignalTree => self.tree_signals,
            Operation::ListProcesses => self.list,
            Operation::OtherUser => self.users,
            Operation::GetFromOffset => self.get_from_offset,
            Operation::PutFromOffset => self.put_from_offset,
            // Of the sandbox, not of a transport: its agent alone knows.
            Operation::Figures | Operation::Hold | Operation::Action => false,
            Operation::PutWithMode => self.put_with_mode,
            Operation::OwnersOfArchive => self.owners_of_archive,
        };
        if possible {
            Ok(())
        } else {
            Err(self.refusal(operation))
        }
    }

    /// What the transport says to whoever asks for what it can't do.
    pub(crate) const fn refusal(&self, operation: Operation) -> NotPossible {
        NotPossible {
            operation,
            transport: self.transport,
        }
    }

    /// Refuses a specification that asks for what there is not.
    pub(super) fn require_specification(&self, spec: &ProcessSpec) -> Result<(), NotPossible> {
        self.require_retention(spec.retention)?;
        let is_rich = spec.shell.is_some()
            || spec.user_name.is_some()
            || spec.timeout_seconds.is_some()
            || !spec.environment.is_empty();
        if is_rich {
            self.require(Operation::RichSpecification)?;
        }
        Ok(())
    }

    /// Refuses a retention that there is not. All transports have [`Retention::Backpressure`].
    pub const fn require_retention(&self, retention: Retention) -> Result<(), NotPossible> {
        match retention {
            Retention::Backpressure => Ok(()),
            Retention::Spool => self.require(Operation::Spool),
            Retention::Tail => self.require(Operation::Tail),
        }
    }
}

#[cfg(test)]
mod tests {
    use podbay_protocol::ErrorCode;

    use super::*;
    use crate::error::Error;

    #[test]
    fn what_is_not_possible_is_told_by_the_capabilities_alone() {
        let capabilities = Capabilities::of_one_connection("exec");
        assert_eq!(capabilities.require(Operation::Signal), Ok(()));
        assert_eq!(capabilities.require_retention(Retention::Backpressure), Ok(()));
        let refused = capabilities.require_retention(Retention::Spool).unwrap_err();
        assert_eq!(Err(refused), capabilities.require(Operation::Spool));
        let refused = capabilities.require(Operation::Attach).unwrap_err();
        assert_eq!(
            (refused.to_string().as_str(), refused.code()),
            (
                "attaching to a running process is not possible over exec",
                ErrorCode::Unsupported
            )
        );
        assert_eq!(capabilities.require(Operation::GetFromOffset), Ok(()));
        assert!(capabilities.require(Operation::PutFromOffset).is_err());
        // And so it is for whoever used the session.
        let error = Error::from(crate::error::ProcessError::from(refused));
        assert_eq!(
            (error.chain(), error.code()),
            (refused.to_string(), ErrorCode::Unsupported)
        );
        let able = Capabilities {
            reattach: true,
            tail: true,
            ..capabilities
        };
        assert_eq!(able.require(Operation::Attach), Ok(()));
        assert_eq!(able.require_retention(Retention::Tail), Ok(()));
    }
}
