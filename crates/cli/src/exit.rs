//! Exit codes, and errors as people read them.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;

use podbay_config::ConfigError;
use podbay_protocol::outcome::{EXIT_FAILED, EXIT_SIGNAL_BASE, ErrorRecord};
use podbay_protocol::{ErrorCode, Verdict};
use podbay_runtime::Error;
use rustix::process::Signal;

use crate::addressing::addressed;
use crate::output::{complain, note};
use crate::words::CommandLine;

/// The command line, the configuration or what was asked of the session is not valid. As `bash` and clap have it.
pub(crate) const EXIT_USAGE: u8 = 2;

/// Why a command of ours ends without having done what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The words on the command line don't go together.
    #[error("{message}")]
    Usage {
        /// What is wrong, and what is allowed.
        message: String,
    },
    /// The configuration can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A session's operation failed.
    #[error(transparent)]
    Session(Box<Error>),
    /// Standard output can't be written.
    #[error("standard output can't be written")]
    Output(#[source] io::Error),
    /// Something of this machine failed.
    #[error("{what}")]
    Local {
        /// What.
        what: String,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// A session of the name is there already, and `run` works in no session but its own.
    #[error("session {session:?} exists already, and run makes its own: nothing was run in it or changed")]
    Exists {
        /// Its id.
        session: String,
    },
    /// A result can't be written as YAML or JSON.
    #[error("the result can't be written as {format}: {message}")]
    Format {
        /// The format.
        format: &'static str,
        /// The writer's own words.
        message: String,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Session(Box::new(error))
    }
}

impl Failure {
    /// What the process exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Config(_) => EXIT_USAGE,
            _ if self.is_broken_pipe() => of_signal(Signal::PIPE),
            Self::Session(error) => match **error {
                // Found before anything was made.
                Error::Configuration { .. }
                | Error::Spec { .. }
                | Error::Id { .. }
                | Error::Owner { .. }
                | Error::Setting { .. }
                | Error::EmptyCommand => EXIT_USAGE,
                // Lists alone fail so: a selector or a namespace that is none.
                Error::Cluster { .. } if error.code() == ErrorCode::InvalidRequest => EXIT_USAGE,
                _ => narrow(EXIT_FAILED),
            },
            Self::Output(_) | Self::Local { .. } | Self::Exists { .. } | Self::Format { .. } => {
                narrow(EXIT_FAILED)
            }
        }
    }

    /// Whether whoever reads our output has closed it: the quiet end of a pipe's left side.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        let source = match self {
            Self::Output(source) => source,
            Self::Session(error) => match &**error {
                Error::LocalStream { source, .. } => source,
                _ => return false,
            },
            _ => return false,
        };
        source.kind() == io::ErrorKind::BrokenPipe
    }

    /// The stable code.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Usage { .. } | Self::Config(_) => ErrorCode::InvalidRequest,
            Self::Session(error) => error.code(),
            Self::Output(_) | Self::Local { .. } | Self::Exists { .. } | Self::Format { .. } => {
                ErrorCode::Runtime
            }
        }
    }

    /// The verdict, where there is one.
    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Session(error) => error.verdict(),
            _ => None,
        }
    }

    /// Code and text for the record of an outcome.
    pub(crate) fn record(&self) -> ErrorRecord {
        ErrorRecord {
            code: self.code(),
            message: self.chain(),
        }
    }

    /// Tells the failure on standard error, and returns what the process exits with.
    pub(crate) fn tell(&self) -> u8 {
        if !self.is_broken_pipe() {
            complain(&self.to_lines());
        }
        self.exit_code()
    }

    /// The failure with its causes, its verdict and what to do.
    fn to_lines(&self) -> String {
        let mut text = match self {
            // The verdict's own line says the rest.
            Self::Session(error) => match &**error {
                Error::Start { session, .. } => format!("error: session {session:?} can't start"),
                Error::Lost { session, .. } => format!("error: session {session:?} is lost"),
                _ => format!("error: {}", self.chain()),
            },
            Self::Usage { .. } => return format!("error: {self}\n\nFor more information, try '--help'."),
            _ => format!("error: {}", self.chain()),
        };
        // Writing to a String does not fail.
        let _ = write!(text, " [{}]", self.code());
        if let Some(verdict) = self.verdict() {
            let _ = write!(text, "\npodbay: {verdict}");
        }
        if let Some(hint) = self.hint() {
            let _ = write!(text, "\nhint: {hint}");
        }
        text
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Session(error) => error
                .hint()
                .map(|hint| hint.in_words(&CommandLine))
                .filter(|hint| !hint.is_empty()),
            Self::Exists { session } => Some(format!(
                "{} -- COMMAND runs in it; another --name makes a new one",
                addressed(format!("podbay exec {session}"))
            )),
            _ => None,
        }
    }

    fn chain(&self) -> String {
        match self {
            Self::Session(error) => error.chain_in_words(&CommandLine),
            _ => match self.source() {
                Some(source) => format!("{self}: {source}"),
                None => self.to_string(),
            },
        }
    }
}

/// Tells a verdict on a command that ran.
pub(crate) fn tell_verdict(verdict: &Verdict) {
    note(&format!("podbay: {verdict}"));
    let hint = verdict.hint.in_words(&CommandLine);
    if !hint.is_empty() {
        note(&format!("hint: {hint}"));
    }
}

/// What a shell reports of a process that a signal ended.
pub(crate) fn of_signal(signal: Signal) -> u8 {
    narrow(EXIT_SIGNAL_BASE + signal.as_raw())
}

/// An exit code as the system has room for it, which is eight bits (`exit(3)`). One that does not fit becomes 255, so
/// that none becomes zero by it.
pub(crate) fn narrow(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(kind: io::ErrorKind) -> Failure {
        Error::LocalStream {
            what: "standard output",
            source: kind.into(),
        }
        .into()
    }

    #[test]
    fn what_was_asked_wrongly_is_usage_and_all_else_podbays_failure() {
        let id = Error::Id {
            id: "a b".into(),
            message: String::new(),
        };
        assert_eq!(Failure::from(id).exit_code(), 2);
        assert_eq!(Failure::from(Error::EmptyCommand).exit_code(), 2);
        assert_eq!(
            Failure::Usage {
                message: String::new()
            }
            .exit_code(),
            2
        );
        assert_eq!(
            Failure::from(Error::NoCluster {
                looked_for: String::new()
            })
            .exit_code(),
            125
        );
        assert_eq!(Failure::Exists { session: "a".into() }.exit_code(), 125);
        assert_eq!(local(io::ErrorKind::StorageFull).exit_code(), 125);
    }

    #[test]
    fn a_reader_that_left_ends_us_as_sigpipe_would() {
        assert_eq!(local(io::ErrorKind::BrokenPipe).exit_code(), 141);
        assert_eq!(Failure::Output(io::ErrorKind::BrokenPipe.into()).exit_code(), 141);
    }

    #[test]
    fn codes_keep_to_eight_bits_and_away_from_success() {
        assert_eq!(
            [narrow(0), narrow(3), narrow(255), narrow(256), narrow(-1)],
            [0, 3, 255, 255, 255]
        );
    }

    #[test]
    fn a_verdict_stands_on_its_own_line_with_its_hint() {
        let verdict = Verdict::new(
            podbay_protocol::Cause::Capacity,
            "0/1 nodes are available",
            "wait",
        );
        let start = Error::Start {
            session: "demo".into(),
            verdict: Box::new(verdict),
            times: podbay_protocol::PhaseTimes::default(),
            kept: false,
        };
        insta::assert_snapshot!(Failure::from(start).to_lines());
    }
}
