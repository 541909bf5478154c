//! A command's streams tied to this process's own, or to its terminal.

use std::time::Duration;

use podbay_runtime::protocol::{Outcome, ProcessId};
use podbay_runtime::{Command, RunAs, Running, Session};

use crate::exit::Failure;
use crate::output::warn;
use crate::signals::Signals;
use crate::standard;
use crate::terminal::{self, RawTerminal};

/// How a command is run.
#[derive(Debug)]
pub(crate) struct Execution {
    /// The program and its arguments.
    pub(crate) argv: Vec<String>,
    /// Whether it reads our standard input.
    pub(crate) stdin: bool,
    /// Whether it gets a terminal.
    pub(crate) tty: bool,
    /// The directory it starts in, in place of the session's.
    pub(crate) workdir: Option<String>,
    /// The user it runs as, in place of the session's.
    pub(crate) user: Option<RunAs>,
    /// When it is killed.
    pub(crate) timeout: Option<Duration>,
    /// Keeps so many bytes of each stream in place of passing them on.
    pub(crate) keep: Option<usize>,
    /// Signals to this process, which it is told first.
    pub(crate) signals: Signals,
}

/// Starts a command and leaves it to itself.
pub(crate) async fn detach(session: &Session, execution: Execution) -> Result<ProcessId, Failure> {
    let Execution {
        argv,
        stdin,
        tty,
        workdir,
        user,
        timeout,
        keep: _,
        signals: _,
    } = execution;
    let mut command = settled(session.command(argv), workdir, user, timeout);
    if tty {
        command = command.terminal(terminal::size());
    }
    if stdin {
        command = command.open_stdin();
    }
    Ok(command.detach().await?)
}

/// The command with what was asked for.
fn settled(
    mut command: Command,
    workdir: Option<String>,
    user: Option<RunAs>,
    timeout: Option<Duration>,
) -> Command {
    if let Some(timeout) = timeout {
        command = command.timeout(timeout);
    }
    if let Some(workdir) = workdir {
        command = command.workdir(workdir);
    }
    if let Some(user) = user {
        command = command.user(user);
    }
    command
}

/// Runs a command to its end.
pub(crate) async fn execute(session: &Session, execution: Execution) -> Result<Outcome, Failure> {
    let Execution {
        argv,
        stdin,
        tty,
        workdir,
        user,
        timeout,
        keep,
        signals,
    } = execution;
    let grace = Duration::from_secs(session.podbay().config().podbay.termination_grace_seconds);
    let command = session.command(argv).cancel_on(signals.token());
    let mut command = settled(command, workdir, user, timeout);
    if stdin {
        command = command.stdin(standard::input()?);
    }
    command = match keep {
        Some(bytes) => command.capture(bytes),
        None => command
            .capture(0)
            .stdout(standard::output()?)
            .stderr(standard::error()?),
    };
    let input_is_terminal = terminal::is_input_terminal();
    if tty && (input_is_terminal || !stdin || refuse_terminal()) {
        command = command.terminal(terminal::size());
    }
    let running = command.start().await?;
    to_its_end(running.signals(signals.pass_on(grace)), stdin).await
}

/// Carries a command to its end; where it has a terminal, our own goes along: its size, and its input as it is typed.
pub(crate) async fn to_its_end(running: Running, stdin: bool) -> Result<Outcome, Failure> {
    let Some(sizes) = running.resizer() else {
        return Ok(running.outcome().await?);
    };
    // Raw from here on only: while the command starts, Ctrl-C still ends this process.
    let _raw = (stdin && terminal::is_input_terminal())
        .then(RawTerminal::set)
        .transpose()
        .map_err(|error| Failure::Local {
            what: "the terminal can't be set to raw mode".to_owned(),
            source: error.into(),
        })?;
    let follow = async {
        terminal::follow_size(sizes).await;
        std::future::pending::<Result<Outcome, Failure>>().await
    };
    tokio::select! {
        outcome = running.outcome() => Ok(outcome?),
        never = follow => never,
    }
}

/// Goes on without a terminal, as kubectl does.
fn refuse_terminal() -> bool {
    warn("unable to use a TTY: standard input is no terminal");
    false
}
