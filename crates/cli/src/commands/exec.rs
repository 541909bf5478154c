//! `podbay exec`: a command in a session that is open.

use std::time::Duration;

use clap::Args;
use podbay_protocol::outcome::EXIT_FAILED;
use podbay_runtime::RunAs;
use tokio::time::Instant;

use super::run::listen;
use crate::addressing::addressed;
use crate::args::{GlobalArgs, OutcomeArgs, duration};
use crate::connection::{Needs, connect_to_sessions};
use crate::execution::{Execution, detach, execute};
use crate::exit::{Failure, narrow};
use crate::output::{note, print_line};
use crate::report::{Attempt, Channels, report};

/// Flags of `podbay exec`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExecArgs {
    /// The session
    session: String,
    /// Pass standard input on; without, the command's is empty
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Give the command a terminal
    #[arg(short, long, conflicts_with = "output")]
    tty: bool,
    /// Print the process's id and leave it to itself: podbay attach, ps and kill reach it; with -i its standard input stays open. Of each
    /// of its outputs the last 256 MiB are kept
    #[arg(short, long, conflicts_with_all = ["output", "outcome_file"])]
    detach: bool,
    /// Directory that the command starts in [default: the session's]
    #[arg(short, long, value_name = "DIRECTORY")]
    workdir: Option<String>,
    /// User that the command runs as, where the session's own is root [default: the session's]
    #[arg(long, value_name = "UID[:GID]")]
    user: Option<RunAs>,
    /// Kill the command after so long (30s, 5m, 1h30m), with exit code 124
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    outcome: OutcomeArgs,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  podbay exec demo -- make test
  podbay exec -it demo -- bash
  podbay exec -i demo -- tar -x < files.tar
  podbay exec --user 1000:1000 demo -- id
  id=$(podbay exec -d demo -- make test); podbay attach demo \"$id\"
  podbay exec demo --timeout 30s -o json -- ./check";

/// Runs a command in a session.
pub(crate) async fn run(global: &GlobalArgs, args: ExecArgs) -> Result<u8, Failure> {
    let ExecArgs {
        session: id,
        stdin,
        tty,
        detach: is_detached,
        workdir,
        user,
        timeout,
        outcome,
        command,
    } = args;
    let begun = Instant::now();
    let channels = Channels::prepare(&outcome)?;
    let signals = listen()?;
    let execution = Execution {
        argv: command.clone(),
        stdin,
        tty,
        workdir,
        user,
        timeout,
        keep: outcome.output.map(|_| outcome.max_output),
        signals: signals.clone(),
    };
    let session = async {
        let podbay = connect_to_sessions(global, Needs::default()).await?;
        Ok::<_, Failure>(podbay.existing(&id)?)
    };
    if is_detached {
        let cancelled = signals.token();
        let work = async { detach(&session.await?, execution).await };
        return tokio::select! {
            process = Box::pin(work) => print_line(process?).map(|()| 0),
            () = cancelled.cancelled() => {
                let ps = addressed(format!("podbay ps {id}"));
                note(&format!("podbay: the command may have been started: {ps} tells"));
                Ok(signals.exit_code().unwrap_or_else(|| narrow(EXIT_FAILED)))
            }
        };
    }
    let work = async { execute(&session.await?, execution).await };
    let left = || {
        let close = addressed(format!("podbay close {id}"));
        Some(format!(
            "the command may still run in session {id}: {close} ends all that does"
        ))
    };
    let result = match signals.guard(Box::pin(work), left).await {
        Ok(result) => result,
        Err(code) => return Ok(code),
    };
    let attempt = Attempt {
        session: Some(id.clone()),
        argv: command,
        start: None,
        seconds: begun.elapsed().as_secs_f64(),
        result,
        signalled: signals.exit_code(),
    };
    report(&attempt, channels)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn parse(line: &str) -> Result<ExecArgs, clap::Error> {
        match Args::try_parse_from(line.split(' '))?.command {
            Command::Exec(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_stand_before_or_after_the_session_and_dashes_are_optional() {
        for line in [
            "podbay exec -it demo -- ls -l",
            "podbay exec demo -it -- ls -l",
            "podbay exec -i -t demo ls -l",
        ] {
            let args = parse(line).unwrap();
            assert!(args.stdin && args.tty, "{line}");
            assert_eq!(
                (args.session.as_str(), args.command.as_slice()),
                ("demo", &["ls".into(), "-l".into()][..])
            );
        }
        let args =
            parse("podbay exec demo --workdir /w --timeout 5 -o json --max-output 10 -- ls -n x").unwrap();
        assert_eq!(args.workdir.as_deref(), Some("/w"));
        assert_eq!(args.timeout, Some(Duration::from_secs(5)));
        assert_eq!(
            (args.outcome.output.is_some(), args.outcome.max_output),
            (true, 10)
        );
        assert_eq!(args.command, ["ls", "-n", "x"]);
    }

    #[test]
    fn a_user_is_a_number_with_a_group_perhaps() {
        for (line, uid, gid) in [
            ("podbay exec --user 1000 demo id", 1000, None),
            ("podbay exec demo --user 1000:7 -- id", 1000, Some(7)),
            ("podbay exec --user root demo id", 0, None),
        ] {
            let user = parse(line).unwrap().user.unwrap();
            assert_eq!((user.uid(), user.gid()), (uid, gid), "{line}");
        }
        for user in ["openhands", "-1", "1:", ":1", "1:1:1"] {
            let error = parse(&format!("podbay exec --user={user} demo id")).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{user}");
        }
    }

    #[test]
    fn session_and_command_are_required() {
        for line in [
            "podbay exec",
            "podbay exec demo",
            "podbay exec demo --",
            "podbay exec -- ls",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
