//! What a supervisor starts, as a file: a line of JSON, then the words that may hold any byte but NUL, each ended by one.
//! It stands in memory alone (memfd_create(2)), so that no secret of an environment is in an argument or on a disk,
//! and its length has no limit.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use podbay_protocol::{ProcessUser, TerminalSize};
use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

/// What to start.
///
/// No `Debug`: the environment holds secrets.
#[derive(Clone, PartialEq)]
pub(crate) struct Launch {
    /// The program and its arguments; at least one word.
    pub(crate) argv: Vec<OsString>,
    /// All variables, `NAME=value`.
    pub(crate) environment: Vec<OsString>,
    /// The directory it starts in.
    pub(crate) directory: Option<OsString>,
    /// All else.
    pub(crate) manner: Manner,
}

/// How to start it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manner {
    /// Which of its streams come as descriptors, in this order. One that does not is `/dev/null`, or the terminal.
    pub(crate) streams: Streams,
    /// The size of its terminal, if it is to have one.
    pub(crate) terminal: Option<TerminalSize>,
    /// Whether its standard input is the terminal; else it is empty.
    pub(crate) terminal_input: bool,
    /// The user.
    pub(crate) user: Option<UserChoice>,
    /// Whether the variable HOME is the user's own choice; else it is that of `/etc/passwd` where a user is named.
    pub(crate) keep_home: bool,
    /// Whether it must not gain rights.
    pub(crate) no_new_privileges: bool,
    /// How many descriptors it may open, the soft limit (getrlimit(2)).
    pub(crate) open_files: Option<u64>,
}

/// Which of a command's streams come as descriptors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Streams {
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

/// Who runs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserChoice {
    /// By number.
    Number(ProcessUser),
    /// By name.
    Name(String),
}

/// The line before the words.
#[derive(Serialize, Deserialize)]
struct Head {
    arguments: usize,
    variables: usize,
    directory: bool,
    manner: Manner,
}

/// The file is no launch.
#[derive(Debug, thiserror::Error)]
#[error("the description of what to start is not complete")]
pub(crate) struct Malformed;

impl Launch {
    /// Writes it to a file in memory, which the receiver reads from the beginning.
    pub(crate) fn to_file(&self) -> io::Result<OwnedFd> {
        let mut file = File::from(memfd_create("launch", MemfdFlags::CLOEXEC)?);
        file.write_all(&self.encode())?;
        file.rewind()?;
        Ok(file.into())
    }

    /// Reads what [`Launch::to_file`] wrote.
    pub(crate) fn from_file(file: OwnedFd) -> io::Result<Self> {
        let mut bytes = Vec::new();
        File::from(file).read_to_end(&mut bytes)?;
        Self::decode(&bytes).map_err(io::Error::other)
    }

    fn encode(&self) -> Vec<u8> {
        let head = Head {
            arguments: self.argv.len(),
            variables: self.environment.len(),
            directory: self.directory.is_some(),
            manner: self.manner.clone(),
        };
        // Numbers, flags and a text: there is nothing in it that JSON does not know.
        let mut bytes = serde_json::to_vec(&head).unwrap_or_default();
        bytes.push(b'\n');
        for word in self.argv.iter().chain(&self.environment).chain(&self.directory) {
            bytes.extend_from_slice(word.as_bytes());
            bytes.push(0);
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(Malformed)?;
        let (head, words) = bytes.split_at(end);
        let head: Head = serde_json::from_slice(head).map_err(|_| Malformed)?;
        let words = words.get(1..).ok_or(Malformed)?;
        let mut words = words.split_inclusive(|byte| *byte == 0);
        let mut next = || -> Result<OsString, Malformed> {
            let word = words.next().and_then(|word| word.strip_suffix(&[0]));
            Ok(OsString::from_vec(word.ok_or(Malformed)?.to_vec()))
        };
        let mut take = |count: usize| (0..count).map(|_| next()).collect::<Result<Vec<_>, _>>();
        let launch = Self {
            argv: take(head.arguments)?,
            environment: take(head.variables)?,
            directory: take(head.directory.into())?.pop(),
            manner: head.manner,
        };
        if launch.argv.is_empty() {
            return Err(Malformed);
        }
        Ok(launch)
    }
}

/// A variable as it stands in an environment.
pub(crate) fn variable(name: &OsStr, value: &OsStr) -> OsString {
    let mut text = name.to_owned();
    text.push("=");
    text.push(value);
    text
}

/// The name and value of a variable. The first byte is part of the name, as in the standard library.
pub(crate) fn split_variable(variable: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let bytes = variable.as_bytes();
    let at = 1 + bytes.get(1..)?.iter().position(|byte| *byte == b'=')?;
    Some((
        OsStr::from_bytes(&bytes[..at]),
        OsStr::from_bytes(&bytes[at + 1..]),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn word() -> impl Strategy<Value = OsString> {
        vec(1..=255u8, 0..6).prop_map(OsString::from_vec)
    }

    proptest! {
        #[test]
        fn any_words_survive_the_way(
            argv in vec(word(), 1..4),
            environment in vec(word(), 0..4),
            directory in proptest::option::of(word()),
            name in proptest::option::of(".*"),
        ) {
            let manner = Manner { user: name.map(UserChoice::Name), keep_home: true, ..Manner::default() };
            let launch = Launch { argv, environment, directory, manner };
            let read = Launch::from_file(launch.to_file().unwrap()).unwrap();
            prop_assert!(read == launch);
        }

        #[test]
        fn a_cut_file_is_refused(argv in vec(word(), 1..4), cut in 1..20usize) {
            let launch = Launch { argv, environment: vec![], directory: None, manner: Manner::default() };
            let mut bytes = launch.encode();
            bytes.truncate(bytes.len().saturating_sub(cut));
            prop_assert!(Launch::decode(&bytes).is_err());
        }
    }

    #[test]
    fn variables_are_split_at_the_first_sign() {
        let split = |text: &'static str| split_variable(OsStr::new(text));
        assert_eq!(split("A=b=c"), Some((OsStr::new("A"), OsStr::new("b=c"))));
        assert_eq!(split("=A=b"), Some((OsStr::new("=A"), OsStr::new("b"))));
        assert_eq!(split("A"), None);
    }
}
