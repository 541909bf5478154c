//! `podbay`: agent sandboxes on Kubernetes, from the command line.
//!
//! ```text
//!   addressing   whose session a name means
//!   args/        what can be typed: flags that commands share, and the values they take
//!   commands/    one file a command: its own flags, its help, what it does
//!   connection   from flags to configuration to cluster
//!   execution    a command's streams tied to this process's own, or to a terminal
//!   report       how a command ended: exit code, record, words
//!   outcome_file where the record goes, seen to before anything runs
//!   output/      tables, JSON, YAML, progress, notes on standard error
//!   words        what fields and operations are called here: flags and commands
//!   signals      the first signal ends things in order, the second at once
//! ```

mod addressing;
mod args;
mod commands;
mod connection;
mod execution;
mod exit;
mod logging;
mod outcome_file;
mod output;
mod report;
mod signals;
mod standard;
mod terminal;
mod words;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, not_utf8};
use crate::exit::{EXIT_USAGE, Failure};

fn main() -> ExitCode {
    podbay_process::keep_descriptors_from_commands();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            if let Some(failure) = not_utf8(&error, std::env::args_os()) {
                return ExitCode::from(failure.tell());
            }
            // `--help` and `--version` come this way too, and go to standard output with code 0. What can't be
            // printed has nowhere else to be told.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    give_temporary_files_a_directory();
    addressing::hint_with(args.global.owner.as_deref());
    logging::start(args.global.verbose);
    let mut builder = if matches!(args.command, args::Command::Serve(_)) {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        // One thread: it carries the streams of one command, and is up sooner than a pool.
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => {
            return ExitCode::from(
                Failure::Local {
                    what: "the asynchronous runtime can't start".to_owned(),
                    source,
                }
                .tell(),
            );
        }
    };
    let code = runtime
        .block_on(commands::dispatch(args))
        .unwrap_or_else(|failure| failure.tell());
    // A read of standard input that blocks must not hold the process.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// An empty `TMPDIR` is as good as none, for which POSIX has `/tmp`: the standard library would take the working
/// directory.
fn give_temporary_files_a_directory() {
    if std::env::var_os("TMPDIR").is_some_and(|directory| directory.is_empty()) {
        // Fails only where a directory was chosen before, and nothing has run yet.
        let _ = tempfile::env::override_temp_dir(Path::new("/tmp"));
    }
}
