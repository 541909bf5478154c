//! Values of command-line flags.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::raw::Raw;

/// The value that a command-line flag gives a setting: text, a path, a number or a switch.
#[derive(Clone)]
pub struct FlagValue(Content);

#[derive(Clone)]
enum Content {
    Raw(Raw),
    /// Paths and arguments need not be UTF-8; settings must.
    Os(OsString),
}

impl FlagValue {
    /// The value, or what was given as far as it can be shown when it is not UTF-8.
    pub(crate) fn into_raw(self) -> Result<Raw, String> {
        match self.0 {
            Content::Raw(raw) => Ok(raw),
            Content::Os(text) => text
                .into_string()
                .map(Raw::Text)
                .map_err(|text| text.to_string_lossy().into_owned()),
        }
    }
}

macro_rules! from {
    ($($From:ty => |$value:ident| $content:expr;)+) => {
        $(impl From<$From> for FlagValue {
            fn from($value: $From) -> Self {
                FlagValue($content)
            }
        })+
    };
}

from! {
    &str => |value| Content::Raw(Raw::Text(value.to_owned()));
    String => |value| Content::Raw(Raw::Text(value));
    bool => |value| Content::Raw(Raw::Bool(value));
    u32 => |value| Content::Raw(Raw::Integer(value.into()));
    u64 => |value| Content::Raw(Raw::Integer(value.into()));
    &OsStr => |value| Content::Os(value.to_owned());
    OsString => |value| Content::Os(value);
    &Path => |value| Content::Os(value.into());
    PathBuf => |value| Content::Os(value.into());
}
