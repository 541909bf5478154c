//! What to start.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// A process to be started.
///
/// No `Debug`: the environment holds secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProcessSpec {
    /// The program, by path or found in the environment's `PATH`, and its arguments; no shell is involved.
    pub argv: Vec<OsString>,
    /// All of its environment: nothing of this process's own is inherited.
    pub environment: BTreeMap<OsString, OsString>,
    /// The directory it starts in; `None` is this process's own.
    pub directory: Option<PathBuf>,
    /// Whether it gets a standard input to write to; without, it reads an end of file at once.
    pub stdin: bool,
    /// Whether it gets a terminal, whose size is 80 × 24 until it is set. Standard error then comes on standard
    /// output.
    pub terminal: bool,
}

impl ProcessSpec {
    /// A process without input or terminal, with `PATH` alone in its environment.
    pub fn new<A: AsRef<OsStr>>(argv: impl IntoIterator<Item = A>) -> Self {
        let argv = argv.into_iter().map(|word| word.as_ref().to_owned()).collect();
        Self {
            argv,
            environment: crate::HostEnvironment::from_variables([]).variables(false),
            ..Self::default()
        }
    }

    /// The program's name; empty if there is none.
    pub(crate) fn program(&self) -> &OsStr {
        self.argv.first().map(OsString::as_os_str).unwrap_or_default()
    }
}
