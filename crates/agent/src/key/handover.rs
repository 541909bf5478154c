//! A process without the key in its environment takes the place of one that has it there.
//!
//! What the kernel shows as `/proc/PID/environ` is the memory that exec filled; no safe call wipes it. So a process that
//! finds the key in its environment puts it into a pipe, and replaces itself, by exec, with the same program, the pipe
//! as standard input and the variables removed. Its pid stays, which matters to PID 1. The new process reads the
//! key to the end of the pipe, after which there is nothing left to read for anybody, and has `/dev/null` in its place.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::source::{self, VARIABLES};
use super::{KeyError, SessionKey};

/// Where a process looks for its key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources<'a> {
    /// Standard input has it: the process took the place of one that had it in its environment.
    pub stdin: bool,
    /// A file that is removed once it is read.
    pub file: Option<&'a Path>,
}

/// Takes the key, if there is one: from standard input, else from a file, else from the environment.
///
/// If the environment holds a key, used or not, this process is replaced by what `again` gives, which must be the same
/// program and come here with [`Sources::stdin`]; then this call does not return. To be called before any thread is
/// started, and before anything is read from standard input.
pub fn take(
    sources: Sources<'_>,
    again: impl FnOnce() -> io::Result<Command>,
) -> Result<Option<SessionKey>, KeyError> {
    if sources.stdin {
        return from_stdin().map(Some);
    }
    let from_file = sources.file.map(source::from_file).transpose()?;
    let from_environment = source::from_environment(|name| std::env::var_os(name))?;
    match (from_file, from_environment) {
        (from_file, Some(from_environment)) => {
            let key = from_file.unwrap_or(from_environment);
            Err(hand_over(&key, again))
        }
        (from_file, None) => Ok(from_file),
    }
}

/// This program as it was started, perhaps with one argument more. Its name is kept; `/proc/self/exe` would be shown as `exe`.
pub fn this_program(more: Option<&str>) -> io::Result<Command> {
    let mut arguments = std::env::args_os();
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).args(more);
    Ok(command)
}

/// Replaces this process; returns if that failed.
fn hand_over(key: &SessionKey, again: impl FnOnce() -> io::Result<Command>) -> KeyError {
    let replaced = || -> io::Result<io::Error> {
        let (reader, mut writer) = io::pipe()?;
        // A key is smaller than the buffer of any pipe (4,096 bytes at least, pipe(7)): this waits for no reader.
        writer.write_all(key.expose())?;
        drop(writer);
        let mut command = again()?;
        for name in VARIABLES {
            command.env_remove(name);
        }
        Ok(command.stdin(Stdio::from(reader)).exec())
    };
    KeyError::HandOver {
        source: replaced().unwrap_or_else(|error| error),
    }
}

/// Reads the key from standard input, which is empty from then on.
fn from_stdin() -> Result<SessionKey, KeyError> {
    let read = || {
        // Not through `io::stdin`, whose buffer would keep the key.
        let mut stdin = File::from(rustix::io::dup(rustix::stdio::stdin())?);
        let text = source::read_bounded(&mut stdin)?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        io::Result::Ok(text)
    };
    let text = read().map_err(|source| KeyError::Stdin { source })?;
    SessionKey::new(&text)
}
