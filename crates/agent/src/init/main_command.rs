//! An image's own program as the sandbox's main command, below an init that reaps, passes signals on and ends in time.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::Pid;
use rustix::stdio::{stderr, stdin, stdout};

use super::children::Children;
use super::signals::{EndingSignals, PassedOn};
use crate::supervise::{Event, Launch, Manner, Order, Streams, Supervisor, Told, kill_left, variable};

/// What a shell adds to a signal's number to make an exit code of it.
const BY_SIGNAL: i32 = 128;
/// Exit code for a command that does not exist (POSIX shell, `env`, `docker run`).
const NOT_FOUND: i32 = 127;
/// Exit code for a command that exists and cannot be executed.
const CANNOT_EXECUTE: i32 = 126;
/// Exit code for a failure of our own, as `docker run` has it.
const FAILED: i32 = 125;
/// How long what was killed is waited for. What is not gone then can't be killed.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// Runs `argv` with this program's streams, directory and environment until it ends, and ends with its exit code (128
/// and the number of the signal that ended it); what it leaves behind is killed. On SIGTERM or SIGINT it and all it
/// started get SIGTERM, after `grace` SIGKILL, and the code is 128 and the number of the signal: 143 or 130. Other
/// signals are passed on to it.
pub async fn run_main_command(program: &Path, argv: Vec<OsString>, grace: Duration) -> ExitCode {
    let code = run(program, argv, grace).await.unwrap_or_else(|error| {
        complain(&format!("running the main command: {error}"));
        FAILED
    });
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}

async fn run(program: &Path, argv: Vec<OsString>, grace: Duration) -> io::Result<i32> {
    let children = Children::of_this_program()?;
    let mut ending = EndingSignals::listen()?;
    let mut passed_on = PassedOn::listen()?;
    let launch = Launch {
        argv,
        environment: std::env::vars_os()
            .map(|(name, value)| variable(&name, &value))
            .collect(),
        directory: None,
        manner: Manner {
            streams: Streams {
                stdin: true,
                stdout: true,
                stderr: true,
            },
            keep_home: true,
            ..Manner::default()
        },
    };
    let streams: [BorrowedFd<'_>; 3] = [stdin(), stdout(), stderr()];
    let supervisor = Supervisor::start(&children, program, &launch, &streams)?;
    let mut command = None;
    let code = loop {
        tokio::select! {
            told = supervisor.told() => match told {
                Told::Event(Event::Started { pid }, _) => command = Pid::from_raw(pid),
                Told::Event(Event::NotItsToKill, _) => {} // Nobody has more rights here.
                Told::Event(Event::Ended { code, signal, .. }, _) => {
                    break code.or_else(|| signal.map(|signal| BY_SIGNAL + signal)).unwrap_or(FAILED);
                }
                Told::Event(Event::NotStarted { reason, message }, _) => {
                    complain(&message);
                    break if reason == "ENOENT" { NOT_FOUND } else { CANNOT_EXECUTE };
                }
                Told::Gone => {
                    complain("the main command's supervisor was killed, and so is what it had started");
                    kill_left(command, None);
                    return Ok(FAILED);
                }
            },
            number = passed_on.next() => supervisor.order(Order::Signal { number, tree: false }).await,
            number = ending.next() => {
                let terminate = Order::Signal { number: TERMINATE, tree: true };
                supervisor.order(terminate).await;
                if tokio::time::timeout(grace, gone(&supervisor)).await.is_ok() {
                    return Ok(BY_SIGNAL + number);
                }
                break BY_SIGNAL + number;
            }
        }
    };
    supervisor.order(Order::Kill).await;
    if tokio::time::timeout(KILLED_WITHIN, gone(&supervisor))
        .await
        .is_err()
    {
        complain("processes are left that can't be killed");
    }
    Ok(code)
}

/// SIGTERM.
const TERMINATE: i32 = 15;

/// Waits until nothing is left.
async fn gone(supervisor: &Supervisor) {
    while !matches!(supervisor.told().await, Told::Gone) {}
}

/// To those who read the container's log.
fn complain(text: &str) {
    writeln!(io::stderr(), "podbay-agent: {text}").ok(); // Nobody is left to be told.
}
