//! This process's standard streams, for asynchronous use.
//!
//! Not `tokio::io::stdout()` and its like: they go through the standard library's line buffer, which splits
//! every piece of binary output in two. A duplicate of the descriptor is written as it comes.

use std::fs::File as StdFile;
use std::io;
use std::os::fd::AsFd;

use tokio::fs::File;

use crate::exit::Failure;

/// Standard input.
pub(crate) fn input() -> Result<File, Failure> {
    duplicate(io::stdin(), "standard input")
}

/// Standard output.
pub(crate) fn output() -> Result<File, Failure> {
    duplicate(io::stdout(), "standard output")
}

/// Standard error.
pub(crate) fn error() -> Result<File, Failure> {
    duplicate(io::stderr(), "standard error")
}

fn duplicate(stream: impl AsFd, name: &str) -> Result<File, Failure> {
    let copy = stream
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| Failure::Local {
            what: format!("{name} can't be used"),
            source,
        })?;
    Ok(File::from_std(StdFile::from(copy)))
}
