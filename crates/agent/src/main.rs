//! The agent's program, in its modes:
//!
//! * `podbay-agent serve` is the server of a sandbox, as its PID 1; its arguments are in [`serve::Arguments`].
//! * `podbay-agent init [--grace SECONDS] -- COMMAND [ARGUMENT…]` runs an image's own program as the sandbox's main
//!   command.
//! * `podbay-agent stdio --port PORT` is a connection to a port of the sandbox over standard input and output, for clients that
//!   have no other way to it than an exec.
//! * `podbay-agent install DIRECTORY` copies itself there, as an init container does that brings it into another one.
//! * `podbay-agent supervise` is for itself alone: it stands above one command.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use podbay_agent::bridge::{self, BridgeError};
use podbay_agent::init::{block_faults_of_others, run_main_command};
use podbay_agent::log::Level;
use podbay_agent::serve::{self, ServeError};
use podbay_agent::supervise::supervise;
use podbay_protocol::agent::SUPERVISE_MODE;

/// How long processes have to end by themselves, a little less than Kubernetes waits (30 s).
const GRACE: Duration = Duration::from_secs(25);
/// Exit code for a wrong use, as the command line has it.
const USAGE: u8 = 2;
/// What this program is called where it is installed.
const NAME: &str = "podbay-agent";
/// This program, whatever has become of its file.
const OWN_PROGRAM: &str = "/proc/self/exe";

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match words.split_first() {
        Some((mode, [])) if mode == SUPERVISE_MODE => {
            Level::default().install(); // Its environment is empty.
            supervise()
        }
        Some((mode, rest)) if mode == "serve" => serve(rest),
        Some((mode, rest)) if mode == "init" => match init_arguments(rest) {
            Some((grace, argv)) => init(grace, argv),
            None => usage(),
        },
        Some((mode, rest)) if mode == "stdio" => stdio(rest),
        Some((mode, [directory])) if mode == "install" => install(Path::new(directory)),
        _ => usage(),
    }
}

/// Copies this program into `directory`. It gets its name when it is whole.
fn install(directory: &Path) -> ExitCode {
    let (place, unfinished) = (directory.join(NAME), directory.join(format!(".{NAME}.new")));
    let installed = std::fs::copy(OWN_PROGRAM, &unfinished)
        .and_then(|_| std::fs::set_permissions(&unfinished, Permissions::from_mode(0o755)))
        .and_then(|()| std::fs::rename(&unfinished, &place));
    match installed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("podbay-agent: installing {}: {error}", place.display())),
    }
}

/// `[--grace SECONDS] -- COMMAND [ARGUMENT…]`
fn init_arguments(words: &[OsString]) -> Option<(Duration, Vec<OsString>)> {
    let (grace, words) = match words {
        [flag, seconds, rest @ ..] if flag == "--grace" => {
            let seconds = seconds.to_str()?.parse().ok()?;
            (Duration::try_from_secs_f64(seconds).ok()?, rest)
        }
        _ => (GRACE, words),
    };
    match words {
        [dashes, argv @ ..] if dashes == "--" && !argv.is_empty() => Some((grace, argv.to_vec())),
        _ => None,
    }
}

fn init(grace: Duration, argv: Vec<OsString>) -> ExitCode {
    Level::from_environment().install();
    let runtime = block_faults_of_others()
        .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build());
    match runtime {
        Ok(runtime) => runtime.block_on(run_main_command(Path::new(OWN_PROGRAM), argv, grace)),
        Err(error) => complain(&format!("podbay-agent: {error}")),
    }
}

fn serve(words: &[OsString]) -> ExitCode {
    match serve::run(words.to_vec()) {
        Ok(code) => code,
        Err(error) => {
            let failed = tell(&error);
            match error {
                ServeError::Arguments(_) => ExitCode::from(USAGE),
                _ => failed,
            }
        }
    }
}

fn stdio(words: &[OsString]) -> ExitCode {
    match bridge::run(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let failed = tell(&error);
            match error {
                BridgeError::Arguments { .. } => ExitCode::from(USAGE),
                _ => failed,
            }
        }
    }
}

/// Says what is wrong, with all its causes.
fn tell(error: &dyn std::error::Error) -> ExitCode {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    complain(&causes.fold(format!("podbay-agent: {error}"), |text, cause| {
        format!("{text}: {cause}")
    }))
}

fn usage() -> ExitCode {
    complain(
        "usage: podbay-agent serve [ARGUMENT...]\n       podbay-agent init [--grace SECONDS] -- COMMAND [ARGUMENT...]\n       \
         podbay-agent stdio --port PORT\n       podbay-agent install DIRECTORY",
    );
    ExitCode::from(USAGE)
}

fn complain(text: &str) -> ExitCode {
    writeln!(std::io::stderr(), "{text}").ok(); // Nobody is left to be told.
    ExitCode::FAILURE
}
