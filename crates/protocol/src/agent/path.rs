//! Where each resource of the API is.

use std::fmt::Write as _;

use crate::process::ProcessId;

/// Whether the server runs. Open to everybody.
pub const ALIVE: &str = "/alive";
/// What the server says of itself ([`super::ServerInfo`]). Open to everybody.
pub const SERVER_INFO: &str = "/server_info";
/// Where OpenHands' clients, version 0, ask for actions.
pub const EXECUTE_ACTION: &str = "/execute_action";
/// The proof that the server knows the key ([`super::proof`]). Open to everybody.
pub const PROOF: &str = "/podbay/v1/proof";
/// What the sandbox uses, and whether anybody needs it ([`super::Figures`]).
pub const FIGURES: &str = "/podbay/v1/figures";
/// Keeps the sandbox from being taken for idle ([`super::figures::HoldRequest`]).
pub const HOLD: &str = "/podbay/v1/hold";
/// All processes.
pub const PROCESSES: &str = "/podbay/v1/processes";
/// A file's content.
pub const FILES: &str = "/podbay/v1/files";
/// What is known of a file.
pub const STAT: &str = "/podbay/v1/files/stat";
/// What is in a directory.
pub const LIST: &str = "/podbay/v1/files/list";
/// Makes a directory.
pub const MAKE_DIRECTORY: &str = "/podbay/v1/files/mkdir";
/// Removes a file or a directory.
pub const REMOVE: &str = "/podbay/v1/files/remove";
/// Gives a file or a directory another name.
pub const MOVE: &str = "/podbay/v1/files/move";
/// How much of a resumable transfer the server has.
pub const TRANSFER: &str = "/podbay/v1/files/transfer";
/// Directories and files as archives of tar. With a parameter `name`, that is what the first member is called, and all others
/// are below it; without one, the first member is `./`, the directory itself.
pub const TREES: &str = "/podbay/v1/trees";

/// One process.
pub fn process(id: &ProcessId) -> String {
    format!("{PROCESSES}/{id}")
}

/// What there is below a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessPart {
    /// Its outputs.
    Output,
    /// What a reader has taken of them.
    Acknowledged,
    /// Its standard input.
    Stdin,
    /// Signals to it.
    Signal,
    /// The size of its terminal.
    Size,
    /// Its terminal, over a WebSocket ([`super::terminal`]).
    Terminal,
}

impl ProcessPart {
    /// Every part.
    pub const ALL: [Self; 6] = [
        Self::Output,
        Self::Acknowledged,
        Self::Stdin,
        Self::Signal,
        Self::Size,
        Self::Terminal,
    ];

    /// The last segment of its path.
    pub const fn segment(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Acknowledged => "acknowledged",
            Self::Stdin => "stdin",
            Self::Signal => "signal",
            Self::Size => "size",
            Self::Terminal => "terminal",
        }
    }

    /// Its path below the process `id`.
    pub fn of(self, id: &ProcessId) -> String {
        format!("{PROCESSES}/{id}/{}", self.segment())
    }
}

/// A value as it stands in a query: all but unreserved characters (RFC 3986, 2.3) and `/` percent-encoded.
pub fn encoded(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The bytes of a value in a query. `None` if a `%` is not followed by two hexadecimal digits. A `+` is a plus: the
/// encoding of forms, where it is a space, is not used.
pub fn decoded(value: &str) -> Option<Vec<u8>> {
    let mut bytes = value.bytes();
    let mut decoded = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
            decoded.push(high << 4 | low);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

/// The value of a hexadecimal digit.
fn digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_process_and_its_parts_have_paths() {
        let id = "a-1".parse().unwrap();
        assert_eq!(process(&id), "/podbay/v1/processes/a-1");
        assert_eq!(ProcessPart::Output.of(&id), "/podbay/v1/processes/a-1/output");
    }

    #[test]
    fn what_is_no_encoding_is_told() {
        assert_eq!(encoded(b"/a b\xff"), "/a%20b%FF");
        assert_eq!(decoded("/a%20b%fF+"), Some(b"/a b\xff+".to_vec()));
        for wrong in ["%", "%1", "%g0", "%+1"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_value_comes_back(value in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decoded(&encoded(&value)), Some(value));
        }
    }
}
