//! Names of sessions' directories.

use std::fmt;

use podbay_protocol::hex::to_hex;
use sha2::{Digest as _, Sha256};

/// Bytes of the hash that a name has, two characters each. A socket's path may have 107 characters (unix(7)), so that a name is
/// short; that two sessions of one user meet in it takes about 10^12 of them, and is seen by what is written down of them.
const BYTES: usize = 10;
/// Stands between owner and id in what is hashed. Neither contains it.
const SEPARATOR: u8 = 0;

/// The name of a session's directory: the same for the same owner and id, whatever characters these have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionName(String);

impl SessionName {
    /// The name for the session `id`, of `owner` if it has one.
    pub fn of(owner: Option<&str>, id: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(owner.unwrap_or_default());
        hash.update([SEPARATOR]);
        hash.update(id);
        let mut digits = to_hex(&hash.finalize());
        digits.truncate(2 * BYTES);
        Self(digits)
    }

    /// The name of a directory, if it is one of ours.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let is_name =
            text.len() == 2 * BYTES && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_name.then(|| Self(text.to_owned()))
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_tells_owner_and_id() {
        let long = "x".repeat(64);
        let names = [
            SessionName::of(None, "demo"),
            SessionName::of(None, "Demo"),
            SessionName::of(Some("demo"), ""),
            SessionName::of(Some("a"), "b"),
            SessionName::of(Some("ab"), ""),
            SessionName::of(None, &long),
            SessionName::of(None, "ä/../"),
        ];
        for (index, name) in names.iter().enumerate() {
            assert_eq!(SessionName::read(name.as_str()).as_ref(), Some(name));
            assert!(!names[..index].contains(name), "{name}");
        }
        // `printf '\0demo' | sha256sum`
        assert_eq!(names[0].as_str(), "f0d79f7fbb79db1def42");
        for other in ["", ".new-0", "demo", &names[0].as_str().to_uppercase()] {
            assert_eq!(SessionName::read(other), None, "{other}");
        }
    }
}
