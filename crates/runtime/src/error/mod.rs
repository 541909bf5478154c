//! What can go wrong with a session, for people and for programs.

use std::fmt;

use podbay_archive::{Error as ArchiveError, Refusal};
use podbay_k8s_client::{Error as ClientError, ErrorKind};
use podbay_manifests::{RecordError, SessionOwnerError, SpecErrors};
use podbay_protocol::{ErrorCode, Hint, Library, PhaseTimes, Verdict, Words};

mod agent;
mod configuration;
mod copy;
mod files;
mod not_possible;
mod port;
mod process;

pub use agent::{AgentFailure, TriedWay};
pub use configuration::{ConfigurationProblem, ConfigurationProblems};
pub use copy::CopyError;
pub use files::FileError;
pub use not_possible::{NotPossible, Operation};
pub use port::{FailedWay, NoWayToPort};
pub use process::ProcessError;

/// A failed operation on a session.
///
/// [`Error::code`] is stable and meant for programs, the text and [`Error::hint`] are meant for people. The
/// chain of sources is kept, and no text repeats its source's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cluster was found, or the one that was named can't be used.
    #[error("no cluster to use: looked for {looked_for}")]
    NoCluster {
        /// Where one was looked for.
        looked_for: String,
    },
    /// The cluster does not allow what a service does in its namespace.
    #[error(
        "the cluster does not let this service do its work in the namespace {namespace}: it may not {}; add this to the rules of its Role",
        rights.join(", ")
    )]
    Rights {
        /// The namespace of the sessions.
        namespace: String,
        /// What is missing, as `watch configmaps`.
        rights: Vec<String>,
    },
    /// The cluster's address or credentials can't be read.
    #[error("the cluster can't be used")]
    Connect {
        /// What is wrong with them.
        #[source]
        source: ClientError,
    },
    /// The directories of a session that this process keeps could not be made.
    #[error("session {session:?}: its private directory can't be made")]
    NoSandbox {
        /// The session's id.
        session: String,
        /// The system's own words.
        #[source]
        source: std::io::Error,
    },
    /// There is no agent on this machine, which a session that outlives this process needs.
    #[error(transparent)]
    NoAgentProgram {
        /// Where it was looked for.
        source: podbay_local::NoAgent,
    },
    /// The agent of a session on this machine did not come up.
    #[error("session {session:?} can't start on this machine")]
    NoAgent {
        /// The session's id.
        session: String,
        /// Why.
        #[source]
        source: Box<podbay_local::NotStarted>,
    },
    /// An operation on the directory of a session on this machine failed.
    #[error("session {session:?} on this machine")]
    Machine {
        /// The session's id.
        session: String,
        /// Why.
        #[source]
        source: Box<podbay_local::Error>,
    },
    /// The sessions of this machine can't be looked at.
    #[error("the sessions of this machine can't be looked at")]
    Machines {
        /// Why.
        #[source]
        source: Box<podbay_local::Error>,
    },
    /// There is no such session on this machine.
    #[error("session {session:?} not found on this machine")]
    NotHere {
        /// The session's id.
        session: String,
    },
    /// The text is no label selector.
    #[error("the label selector can't be read")]
    Selector {
        /// What is wrong with it.
        #[source]
        source: podbay_k8s_client::SelectorError,
    },
    /// A setting has a value that can't be used.
    #[error("setting {key}: {message}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// What is wrong.
        message: String,
    },
    /// No session could be made with the configuration.
    #[error("the configuration can't be used")]
    Configuration {
        /// Everything that is wrong.
        #[source]
        source: ConfigurationProblems,
    },
    /// What was asked of the session is not valid. Nothing was created.
    #[error("session {session:?} is not valid")]
    Spec {
        /// The session's id.
        session: String,
        /// Everything that is wrong.
        #[source]
        source: SpecErrors,
    },
    /// The text is no session id.
    #[error("{id:?} is no session id: {message}")]
    Id {
        /// The text.
        id: String,
        /// What is wrong with it.
        message: String,
    },
    /// The text is no name of an owner.
    #[error("{name:?} is no owner's name")]
    Owner {
        /// The text.
        name: String,
        /// What is wrong with it.
        #[source]
        source: SessionOwnerError,
    },
    /// There is no such session.
    #[error("session {session:?} not found in namespace {namespace}")]
    NotFound {
        /// The session's id.
        session: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// An object of the session's name belongs to something else.
    #[error("{object} exists and does not belong to session {session:?}")]
    NameTaken {
        /// The session's id.
        session: String,
        /// The object.
        object: String,
    },
    /// The session's record can't be read.
    #[error("the record of session {session:?} can't be read")]
    Record {
        /// The session's id, or the record's name.
        session: String,
        /// What is wrong with it.
        #[source]
        source: RecordError,
    },
    /// A call to the cluster failed.
    #[error("session {session:?}: a call to the cluster failed")]
    Call {
        /// The session's id.
        session: String,
        /// The call, and what the cluster said.
        #[source]
        source: ClientError,
    },
    /// A call that concerns no single session failed.
    #[error("a call to the cluster failed")]
    Cluster {
        /// The call, and what the cluster said.
        #[source]
        source: ClientError,
    },
    /// The session could not start.
    #[error("session {session:?} can't start: {}", verdict.message)]
    Start {
        /// The session's id.
        session: String,
        /// Why, whose fault it is, what to do.
        verdict: Box<Verdict>,
        /// How far it came, in seconds.
        times: PhaseTimes,
        /// Whether its objects were kept to look at, as the clean-up policy says.
        kept: bool,
    },
    /// The namespace has as many sessions as it may have.
    #[error(
        "session {session:?} would be more than the {limit} sessions that namespace {namespace} may have at once"
    )]
    TooManySessions {
        /// The session's id.
        session: String,
        /// The namespace.
        namespace: String,
        /// The limit.
        limit: u32,
    },
    /// The session's owner has as many sessions as one owner may have.
    #[error("session {session:?} would be more than the {limit} sessions that its owner may have at once")]
    TooManyOfOwner {
        /// The session's id.
        session: String,
        /// The limit.
        limit: u32,
    },
    /// The session was brought back, or paused, by somebody else while this was to be done.
    #[error("session {session:?} was {} by somebody else at the same moment, and stays so", if *paused { "paused" } else { "resumed" })]
    Raced {
        /// The session's id.
        session: String,
        /// Whether it is paused now.
        paused: bool,
    },
    /// A session without a claim can't be paused: its workspace would go with its pod.
    #[error("session {session:?} can't be paused: its workspace is not on a claim and would be lost")]
    NothingToKeep {
        /// The session's id.
        session: String,
    },
    /// The session is paused and takes no commands.
    #[error("session {session:?} is paused")]
    Paused {
        /// The session's id.
        session: String,
    },
    /// The session's pod is not there, or not able to take commands.
    #[error("session {session:?} is lost: {}", verdict.message)]
    Lost {
        /// The session's id.
        session: String,
        /// Why.
        verdict: Box<Verdict>,
    },
    /// A session's record is there and its pod is not: whoever began to open it has not got further.
    #[error("session {session:?} was begun by another client that made no pod within {seconds} s")]
    Unfinished {
        /// The session's id.
        session: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The start was cancelled by its caller; what it had made was removed.
    #[error("session {session:?}: the start was cancelled")]
    Cancelled {
        /// The session's id.
        session: String,
        /// Whether the session was there before: then it stays, and its start goes on.
        goes_on: bool,
    },
    /// An object of the session was still there when the deadline passed.
    #[error("session {session:?}: {object} was still there after {seconds} s")]
    StillThere {
        /// The session's id.
        session: String,
        /// The object.
        object: String,
        /// How long was waited.
        seconds: u64,
    },
    /// What was asked can't be done on this path.
    #[error("{what} is not supported here: {why}")]
    Unsupported {
        /// What was asked.
        what: &'static str,
        /// Why not, and what to do instead.
        why: String,
    },
    /// A process could not be started, reached or written to.
    #[error(transparent)]
    Process {
        /// Why.
        source: Box<ProcessError>,
    },
    /// The session's agent could not be reached, or refused.
    #[error("session {session:?}")]
    Agent {
        /// The session's id.
        session: String,
        /// Why.
        #[source]
        source: Box<AgentFailure>,
    },
    /// A port of the session's sandbox could not be connected to.
    #[error("session {session:?}: port {port} of its sandbox can't be reached")]
    Port {
        /// The session's id.
        session: String,
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: Box<NoWayToPort>,
    },
    /// The command is not one.
    #[error("the command is empty")]
    EmptyCommand,
    /// Reading what a command should get, or writing what it wrote, failed on this side.
    #[error("{what} failed on this side")]
    LocalStream {
        /// Which stream.
        what: &'static str,
        /// The system's own words.
        #[source]
        source: std::io::Error,
    },
    /// A copy failed.
    #[error("copy {from} to {to} failed")]
    Copy {
        /// Where from.
        from: String,
        /// Where to.
        to: String,
        /// Why.
        #[source]
        source: CopyError,
    },
}

/// An error with all its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Names the session that a failed call to the cluster concerns.
pub(crate) trait ForSession<T> {
    /// The same, as an error of this session's.
    fn for_session(self, session: impl fmt::Display) -> Result<T, Error>;
}

impl<T> ForSession<T> for Result<T, ClientError> {
    fn for_session(self, session: impl fmt::Display) -> Result<T, Error> {
        self.map_err(|source| Error::Call {
            session: session.to_string(),
            source,
        })
    }
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoCluster { .. }
            | Self::Connect { .. }
            | Self::NoAgentProgram { .. }
            | Self::NoAgent { .. }
            | Self::NoSandbox { .. }
            | Self::Rights { .. }
            | Self::TooManySessions { .. }
            | Self::TooManyOfOwner { .. } => ErrorCode::Unavailable,
            Self::Setting { .. }
            | Self::Configuration { .. }
            | Self::Spec { .. }
            | Self::Id { .. }
            | Self::Owner { .. }
            | Self::Selector { .. }
            | Self::EmptyCommand => ErrorCode::InvalidRequest,
            Self::NotFound { .. } | Self::NotHere { .. } => ErrorCode::NotFound,
            Self::Cancelled { .. }
            | Self::NameTaken { .. }
            | Self::Record { .. }
            | Self::Machine { .. }
            | Self::Machines { .. }
            | Self::LocalStream { .. } => ErrorCode::Runtime,
            Self::Call { source, .. } | Self::Cluster { source } => code_of(source.kind),
            Self::Start { verdict, .. } | Self::Lost { verdict, .. } => verdict.cause.code(),
            Self::Unfinished { .. } | Self::Paused { .. } | Self::Raced { .. } => ErrorCode::NotReady,
            Self::StillThere { .. } => ErrorCode::Timeout,
            Self::Unsupported { .. } | Self::NothingToKeep { .. } => ErrorCode::Unsupported,
            Self::Copy { source, .. } => source.code(),
            Self::Process { source } => source.code(),
            Self::Agent { source, .. } => source.code(),
            Self::Port { source, .. } => source.code(),
        }
    }

    /// The verdict, where there is one.
    pub fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Start { verdict, .. } | Self::Lost { verdict, .. } => Some(verdict),
            _ => None,
        }
    }

    /// The same, where what the failed start made was kept.
    pub(crate) fn kept(self) -> Self {
        match self {
            Self::Start {
                session,
                verdict,
                times,
                kept: _,
            } => Self::Start {
                session,
                verdict,
                times,
                kept: true,
            },
            other => other,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Start {
                session,
                verdict,
                kept: true,
                ..
            } => Some(Hint::Kept {
                session: session.clone(),
                hint: Box::new(verdict.hint.clone()),
            }),
            Self::Start { verdict, .. } | Self::Lost { verdict, .. } => Some(verdict.hint.clone()),
            Self::TooManySessions { .. } | Self::TooManyOfOwner { .. } => Some(Hint::CloseOrPauseOne),
            Self::NothingToKeep { session } => Some(Hint::OpenPersistent {
                session: session.clone(),
            }),
            Self::Paused { session } => Some(Hint::Resume {
                session: session.clone(),
            }),
            Self::NoCluster { .. } => Some(Hint::NameClusterOrRunLocally),
            Self::NoAgentProgram { .. } => Some(Hint::InstallAgent),
            Self::NotFound { session, .. } | Self::NotHere { session } => Some(Hint::ListOrOpen {
                session: session.clone(),
            }),
            Self::Call { source, .. } | Self::Cluster { source } => hint_of(source),
            Self::Unfinished { session, .. } => Some(Hint::Replace {
                session: session.clone(),
            }),
            Self::StillThere { .. } => Some(Hint::WaitForDeletion),
            Self::Process { source } => source.hint(),
            Self::Copy { source, .. } => match source.root() {
                CopyError::Archive(ArchiveError::Refused {
                    reason: Refusal::Symlink { .. } | Refusal::HardLink { .. },
                    ..
                }) => Some(Hint::SkipLinks),
                _ => None,
            },
            _ => None,
        }
    }

    /// The text with those of all its sources, on one line, in the words of the library.
    pub fn chain(&self) -> String {
        self.chain_in_words(&Library)
    }

    /// The same in the words of a surface.
    pub fn chain_in_words(&self, words: &dyn Words) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            let next = match error.downcast_ref::<SpecErrors>() {
                Some(errors) => errors.in_words(words),
                None => error.to_string(),
            };
            // The client's errors carry the server's words already; kube's chain below repeats them.
            if !text.contains(&next) {
                text.push_str(": ");
                text.push_str(&next);
            }
            source = error
                .source()
                .filter(|_| error.downcast_ref::<ClientError>().is_none());
        }
        text
    }
}

/// The code of a failed call.
pub(crate) const fn code_of(kind: ErrorKind) -> ErrorCode {
    match kind {
        ErrorKind::NotFound => ErrorCode::NotFound,
        ErrorKind::Invalid => ErrorCode::InvalidRequest,
        ErrorKind::Deadline(_) => ErrorCode::Timeout,
        ErrorKind::Disconnected => ErrorCode::Disconnected,
        ErrorKind::Unsupported => ErrorCode::Unsupported,
        ErrorKind::AlreadyExists | ErrorKind::Conflict | ErrorKind::Expired => ErrorCode::Runtime,
        ErrorKind::Unauthorized
        | ErrorKind::Forbidden
        | ErrorKind::TooManyRequests { .. }
        | ErrorKind::Server { .. }
        | ErrorKind::Unreachable
        | ErrorKind::Configuration => ErrorCode::Unavailable,
    }
}

/// What to do about a failed call.
fn hint_of(error: &ClientError) -> Option<Hint> {
    match error.kind {
        ErrorKind::Forbidden => Some(Hint::GrantRights),
        ErrorKind::Unauthorized => Some(Hint::CheckCredentials),
        ErrorKind::NotFound => Some(Hint::CheckNamespace),
        ErrorKind::Unreachable => Some(Hint::CheckApiServer),
        ErrorKind::Deadline(_) => Some(Hint::ApiServerOverloaded),
        ErrorKind::TooManyRequests { .. } => Some(Hint::FewerSessionsAtOnce),
        ErrorKind::Invalid if error.operation.starts_with("create ") => Some(Hint::CheckObjects),
        _ => None,
    }
}
