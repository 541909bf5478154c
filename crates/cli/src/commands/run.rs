//! `podbay run`: a command in a session of its own, which is closed at the end.

use std::cell::Cell;
use std::time::Duration;

use clap::Args;
use podbay_protocol::{Outcome, PhaseTimes};
use podbay_runtime::{BackendKind, Error, Podbay, Session};
use tokio::time::Instant;

use crate::addressing::addressed;
use crate::args::{GlobalArgs, OutcomeArgs, SessionArgs, duration, our_variable};
use crate::connection::{Needs, connect};
use crate::execution::{Execution, execute};
use crate::exit::Failure;
use crate::output::{Progress, note};
use crate::report::{Attempt, Channels, report};
use crate::signals::Signals;
use crate::words::CommandLine;

/// Random bits of a name: a million names have a chance of 1 in 500 that two of them are the same.
const NAME_BITS: u32 = 48;

/// Flags of `podbay run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// Name of the session [default: run- and a random number]
    #[arg(long, value_name = "SESSION")]
    name: Option<String>,
    /// Leave the session open
    #[arg(long)]
    keep: bool,
    /// Pass standard input on; without, the command's is empty
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Give the command a terminal
    #[arg(short, long, conflicts_with = "output")]
    tty: bool,
    /// Kill the command after so long (30s, 5m, 1h30m), with exit code 124
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// How long the session may take to become ready
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    start_timeout: Option<Duration>,
    #[command(flatten)]
    outcome: OutcomeArgs,
    #[command(flatten)]
    session: SessionArgs,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  podbay run --image debian:12 -- cat /etc/os-release
  podbay run --backend local -- sh -c 'echo out; echo err >&2; exit 3'
  podbay run --image python:3.13 -i --timeout 5m -- python3 - < script.py
  podbay run --image debian:12 --env TOKEN -o json -- ./report    TOKEN's value is taken from here";

/// What a run goes by, once its flags are taken apart.
struct Run {
    id: String,
    afterwards: Afterwards,
    argv: Vec<String>,
    stdin: bool,
    tty: bool,
    timeout: Option<Duration>,
    start_timeout: Option<Duration>,
    keep_output: Option<usize>,
    session: SessionArgs,
    progress: Progress,
}

/// What becomes of a run's session when its command has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Afterwards {
    /// It stays open.
    Keep,
    /// It is closed; its claim is kept, if it has one.
    Close,
    /// It is closed, and its claim goes too: nobody named the session, or asked that its workspace be kept.
    Discard,
}

/// How far a run has come, for its record.
#[derive(Default)]
struct Passed {
    session: Option<String>,
    start: Option<PhaseTimes>,
}

/// Runs a command in a session of its own.
pub(crate) async fn run(global: &GlobalArgs, args: RunArgs) -> Result<u8, Failure> {
    let RunArgs {
        name,
        keep,
        stdin,
        tty,
        timeout,
        start_timeout,
        outcome,
        session,
        command,
    } = args;
    let begun = Instant::now();
    let channels = Channels::prepare(&outcome)?;
    let signals = listen()?;
    let run = Run {
        afterwards: match (keep, &name) {
            (true, _) => Afterwards::Keep,
            (false, None) if !session.persistent => Afterwards::Discard,
            (false, _) => Afterwards::Close,
        },
        id: name.unwrap_or_else(new_name),
        argv: command.clone(),
        stdin,
        tty,
        timeout,
        start_timeout,
        keep_output: outcome.output.map(|_| outcome.max_output),
        session,
        progress: Progress::new(global),
    };
    let id = run.id.clone();
    let mut passed = Passed::default();
    let backend = Cell::new(None);
    let left = || left_by(backend.get(), &id);
    let result = match signals
        .guard(Box::pin(run.go(global, &signals, &mut passed, &backend)), left)
        .await
    {
        Ok(result) => result,
        Err(code) => return Ok(code),
    };
    let Passed { session, start } = passed;
    let attempt = Attempt {
        session,
        argv: command,
        start: start.or_else(|| times_of(&result)),
        seconds: begun.elapsed().as_secs_f64(),
        result,
        signalled: signals.exit_code(),
    };
    report(&attempt, channels)
}

impl Run {
    async fn go(
        self,
        global: &GlobalArgs,
        signals: &Signals,
        passed: &mut Passed,
        backend: &Cell<Option<BackendKind>>,
    ) -> Result<Outcome, Failure> {
        let needs = Needs {
            session: Some(&self.session),
            start_timeout: self.start_timeout,
        };
        let podbay = connect(global, needs).await?;
        backend.set(Some(podbay.kind()));
        if self.afterwards == Afterwards::Keep && podbay.kind() == BackendKind::Local {
            let why = "on this machine a run is wholly within this process; podbay open and podbay exec use sessions that stay"
                .to_owned();
            return Err(Error::Unsupported { what: "--keep", why }.into());
        }
        let request = self.session.request(our_variable)?;
        passed.session = Some(self.id.clone());
        let starting = podbay
            .session(&self.id)
            .request(request)
            .cancel_on(signals.token())
            .start()?;
        let state = starting.state();
        let session = tokio::select! {
            opened = starting.ready() => opened?,
            never = self.progress.follow(&self.id, state) => match never {},
        };
        if session.report().attached {
            return Err(Failure::Exists { session: self.id });
        }
        passed.start = session.report().times;
        let execution = Execution {
            argv: self.argv,
            stdin: self.stdin,
            tty: self.tty,
            workdir: None,
            user: None,
            timeout: self.timeout,
            keep: self.keep_output,
            signals: signals.clone(),
        };
        let result = execute(&session, execution).await;
        if self.afterwards == Afterwards::Keep {
            kept(&self.id);
        } else {
            let succeeded = result.as_ref().is_ok_and(succeeded);
            let end = End {
                succeeded,
                discard: self.afterwards == Afterwards::Discard,
            };
            end.close(&podbay, session).await;
        }
        result
    }
}

/// How a run ended, as far as its session's end depends on it.
struct End {
    /// Whether the command did what it should.
    succeeded: bool,
    /// Whether its claim goes too.
    discard: bool,
}

impl End {
    /// Ends the session, or leaves it as the clean-up policy says. A failure to do so is told and changes nothing about how
    /// the command ended.
    async fn close(self, podbay: &Podbay, session: Session) {
        let id = session.id().to_owned();
        let ended = match session.finish(self.succeeded).await {
            // A claim that the configuration alone asked for, of a session that nobody can name again.
            Ok(Some(closed)) if closed.claim.is_some() && self.discard => {
                podbay.delete(&id, false).await.map(|_| None)
            }
            Ok(Some(closed)) => Ok(closed.claim),
            Ok(None) => {
                kept(&id);
                Ok(None)
            }
            Err(error) => Err(error),
        };
        match ended {
            Ok(Some(claim)) => note(&format!(
                "hint: its claim {} was kept; {} deletes it",
                claim.name,
                addressed(format!("podbay delete {id}"))
            )),
            Ok(None) => {}
            // Its processes are gone, and what is left of its directory is named.
            Err(error) if podbay.kind() == BackendKind::Local => {
                note(&format!(
                    "error: session {id} left something behind: {}",
                    error.chain()
                ));
            }
            Err(error) => {
                let namespace = podbay.namespace();
                note(&format!(
                    "error: session {id} could not be closed: {}\nhint: {} ends it",
                    error.chain_in_words(&CommandLine),
                    addressed(format!("podbay delete {id} -n {namespace}"))
                ));
            }
        }
    }
}

/// What a run that was dropped may have left, and how to remove it: before a backend was chosen there is nothing, and
/// sessions of this machine are nothing that another command finds.
fn left_by(backend: Option<BackendKind>, id: &str) -> Option<String> {
    match backend {
        Some(BackendKind::Cluster) => {
            let delete = addressed(format!("podbay delete {id}"));
            Some(format!("session {id} may be left: {delete} removes it"))
        }
        Some(BackendKind::Local) | None => None,
    }
}

fn kept(id: &str) {
    let close = addressed(format!("podbay close {id}"));
    note(&format!("session {id} was kept: {close} ends it"));
}

/// Whether a command ended well, for the clean-up policy.
fn succeeded(outcome: &Outcome) -> bool {
    outcome.end.exit_code() == 0 && outcome.verdict.is_none()
}

/// The times of a start that failed.
fn times_of(result: &Result<Outcome, Failure>) -> Option<PhaseTimes> {
    match result {
        Err(Failure::Session(error)) => match &**error {
            Error::Start { times, .. } => Some(*times),
            _ => None,
        },
        _ => None,
    }
}

/// A name that no other session has.
fn new_name() -> String {
    format!(
        "run-{:0digits$x}",
        rand::random::<u64>() >> (u64::BITS - NAME_BITS),
        digits = 12
    )
}

/// Starts to listen to signals.
pub(super) fn listen() -> Result<Signals, Failure> {
    Signals::listen().map_err(|source| Failure::Local {
        what: "signals can't be listened to".to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn parse(line: &str) -> Result<RunArgs, clap::Error> {
        match Args::try_parse_from(line.split(' '))?.command {
            Command::Run(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_and_command_are_told_apart() {
        let args = parse(
            "podbay run --name n --keep -i -t --timeout 1h30m --start-timeout 5m --outcome-file f --image i -- ls -l --",
        )
        .unwrap();
        assert_eq!(args.name.as_deref(), Some("n"));
        assert!(args.keep && args.stdin && args.tty);
        assert_eq!(args.timeout, Some(Duration::from_secs(5400)));
        assert_eq!(args.start_timeout, Some(Duration::from_secs(300)));
        assert_eq!(args.outcome.outcome_file.as_deref(), Some("f".as_ref()));
        assert_eq!(args.session.image.as_deref(), Some("i"));
        assert_eq!(args.command, ["ls", "-l", "--"]);
    }

    #[test]
    fn what_does_not_make_sense_is_a_usage_error() {
        for line in [
            "podbay run",
            "podbay run --",
            "podbay run ls",
            "podbay run --timeout 0 -- ls",
            "podbay run -t -o json -- ls",
            "podbay run -o yaml -- ls",
            "podbay run --backend docker -- ls",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn what_is_left_is_told_where_a_command_removes_it() {
        let hint = left_by(Some(BackendKind::Cluster), "run-1").unwrap();
        assert!(hint.contains("podbay delete run-1"), "{hint}");
        assert_eq!(left_by(Some(BackendKind::Local), "run-1"), None);
        assert_eq!(left_by(None, "run-1"), None);
    }

    #[test]
    fn names_are_readable_and_differ() {
        let name = new_name();
        assert_eq!(name.len(), "run-".len() + 12);
        assert_ne!(name, new_name());
    }
}
