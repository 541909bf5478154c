//! The user a session's container runs as.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A user id and perhaps a group id, as Kubernetes' `runAsUser` and `runAsGroup` take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunAs {
    uid: u32,
    gid: Option<u32>,
}

/// Largest id Kubernetes takes (`IsValidUserID`: 0 to 2³¹ − 1).
const MAX_ID: u32 = i32::MAX as u32;

/// Why a text names no user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunAsError {
    /// A user name that only the image could look up.
    #[error("{0:?} is no number, and Kubernetes takes numbers only: give UID[:GID], or root")]
    Name(String),
    /// Numbers, but not ids.
    #[error("{0:?} is not UID[:GID] with numbers from 0 to {MAX_ID}")]
    Range(String),
}

impl RunAs {
    /// The user `uid` in the group `gid`; neither above 2³¹ − 1.
    pub(crate) fn new(uid: u32, gid: Option<u32>) -> Self {
        Self { uid, gid }
    }

    /// The user id.
    pub fn uid(self) -> i64 {
        self.uid.into()
    }

    /// The group id, when one was given. Otherwise the container runtime looks it up in the image.
    pub fn gid(self) -> Option<i64> {
        self.gid.map(Into::into)
    }

    /// Whether this is uid 0.
    pub fn is_root(self) -> bool {
        self.uid == 0
    }
}

impl FromStr for RunAs {
    type Err = RunAsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "root" {
            return Ok(Self { uid: 0, gid: None });
        }
        if text.is_empty() || text.chars().any(|c| !c.is_ascii_digit() && c != ':') {
            return Err(RunAsError::Name(text.into()));
        }
        let id = |part: &str| match part.parse() {
            Ok(id) if id <= MAX_ID => Ok(id),
            _ => Err(RunAsError::Range(text.into())),
        };
        let (uid, gid) = match text.split_once(':') {
            Some((uid, gid)) => (uid, Some(gid)),
            None => (text, None),
        };
        Ok(Self {
            uid: id(uid)?,
            gid: gid.map(id).transpose()?,
        })
    }
}

impl TryFrom<String> for RunAs {
    type Error = RunAsError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RunAs> for String {
    fn from(user: RunAs) -> Self {
        user.to_string()
    }
}

impl fmt::Display for RunAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.gid {
            Some(gid) => write!(f, "{}:{gid}", self.uid),
            None => write!(f, "{}", self.uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_numbers_are_users() {
        for (text, uid, gid, shown) in [
            ("root", 0, None, "0"),
            ("0", 0, None, "0"),
            ("1000", 1000, None, "1000"),
            ("1000:100", 1000, Some(100), "1000:100"),
            ("2147483647:0", i64::from(MAX_ID), Some(0), "2147483647:0"),
        ] {
            let user: RunAs = text.parse().unwrap();
            assert_eq!(
                (user.uid(), user.gid(), user.to_string().as_str()),
                (uid, gid, shown)
            );
            assert_eq!(user.is_root(), uid == 0);
            assert_eq!(shown.parse(), Ok(user));
        }
    }

    #[test]
    fn names_and_other_numbers_are_refused() {
        for text in ["", "node", "root:root", "1000:users", "-1", "+1"] {
            assert_eq!(text.parse::<RunAs>(), Err(RunAsError::Name(text.into())));
        }
        for text in [":", "1:", ":1", "1:2:3", "2147483648", "1:4294967296"] {
            assert_eq!(text.parse::<RunAs>(), Err(RunAsError::Range(text.into())));
        }
    }
}
