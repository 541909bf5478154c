//! What is known of a file, and requests about files.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::raw_text::RawText;
use crate::choices;

choices! {
    /// What stands under a name.
    pub enum FileKind: "kind of file" {
        /// A regular file.
        File = "file",
        /// A directory.
        Directory = "directory",
        /// A symbolic link.
        Symlink = "symlink",
        /// A named pipe.
        Fifo = "fifo",
        /// A socket.
        Socket = "socket",
        /// A character device, a terminal for example.
        CharacterDevice = "character_device",
        /// A block device.
        BlockDevice = "block_device",
    }
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Its size in bytes; some filesystems (`/proc`) say 0 of files that have content.
    pub size: u64,
    /// Its permissions with set-user-ID, set-group-ID and sticky bit, as a number.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// When it was last modified: seconds since 1970.
    pub modified: i64,
    /// The nanoseconds of that second.
    pub modified_nanoseconds: u32,
    /// Where it leads, if it is a symbolic link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<RawText>,
}

impl FileStat {
    /// A file of this kind and size; the rest is 0 and for the caller to set.
    pub const fn new(kind: FileKind, size: u64) -> Self {
        Self {
            kind,
            size,
            mode: 0,
            uid: 0,
            gid: 0,
            modified: 0,
            modified_nanoseconds: 0,
            link: None,
        }
    }
}

/// A file of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NamedFile {
    /// Its name in the directory.
    pub name: RawText,
    /// What is known of it.
    pub stat: FileStat,
}

/// What is in a directory, in no order: the answer to `GET` of [`super::path::LIST`], which is sent as it is read. That it
/// is whole shows in that it is whole JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileList {
    /// The files, without `.` and `..`.
    pub entries: Vec<NamedFile>,
}

/// Makes a directory: the body of a POST to [`super::path::MAKE_DIRECTORY`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MakeDirectory {
    /// Its absolute path.
    pub path: RawText,
    /// Its permissions, as a number; those of the directories above it are 0755. What the server's umask says is taken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// Whether those above it are made too, and one that is there is no error.
    #[serde(default)]
    pub parents: bool,
}

/// Removes a file or a directory: the body of a POST to [`super::path::REMOVE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Remove {
    /// Its absolute path. A link is removed itself, not what it leads to.
    pub path: RawText,
    /// Whether a directory goes with all that is in it; what is mounted there stays.
    #[serde(default)]
    pub recursive: bool,
}

/// Gives a file or a directory another name: the body of a POST to [`super::path::MOVE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Move {
    /// Its absolute path.
    pub from: RawText,
    /// The new one.
    pub to: RawText,
    /// Whether it may take the place of what is there.
    #[serde(default)]
    pub replace: bool,
}

/// A file that was written: the answer to `PUT` of [`super::path::FILES`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Written {
    /// How much the server has of it, in bytes.
    pub offset: u64,
    /// Lower-case hexadecimal SHA-256 of the whole file, once it has its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Written {
    /// So much is there; with a hash, the file has its name.
    pub const fn new(offset: u64, sha256: Option<String>) -> Self {
        Self { offset, sha256 }
    }
}

/// The name of a transfer that can be resumed, chosen by the client: 1 to 64 letters, digits, dashes and underscores of
/// ASCII. Two transfers into one directory have different ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TransferId(String);

/// The text is no name of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no name of a transfer: 1 to 64 letters, digits, dashes and underscores")]
pub struct InvalidTransferId {
    /// The text.
    pub text: String,
}

impl TransferId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TransferId {
    type Err = InvalidTransferId;

    fn from_str(text: &str) -> Result<Self, InvalidTransferId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTransferId {
                text: text.to_owned(),
            })
        }
    }
}

/// A tree that was written: the answer to `PUT` of [`super::path::TREES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TreeWritten {
    /// Regular files.
    pub files: u64,
    /// Directories, those that were there before included.
    pub directories: u64,
    /// Symbolic links.
    #[serde(default)]
    pub links: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Links that were left out.
    pub skipped_links: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_shape_on_the_wire() {
        let mut stat = FileStat::new(FileKind::Symlink, 3);
        stat.link = Some(RawText::from(b"a\xff".to_vec()));
        let list = FileList {
            entries: vec![NamedFile {
                name: "x".into(),
                stat,
            }],
        };
        let text = serde_json::to_string(&list).unwrap();
        assert_eq!(
            text,
            r#"{"entries":[{"name":"x","stat":{"kind":"symlink","size":3,"mode":0,"uid":0,"gid":0,"modified":0,"modified_nanoseconds":0,"link":{"hex":"61ff"}}}]}"#
        );
        assert_eq!(serde_json::from_str::<FileList>(&text).unwrap(), list);
    }

    #[test]
    fn a_transfer_has_a_name_that_can_be_part_of_a_files() {
        for text in ["a", "A-b_9", &"x".repeat(64)] {
            assert_eq!(text.parse::<TransferId>().unwrap().as_str(), text);
        }
        for text in ["", ".", "a/b", "é", &"x".repeat(65)] {
            assert!(text.parse::<TransferId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_may_be_left_out_is_careful() {
        let remove: Remove = serde_json::from_str(r#"{"path":"/a"}"#).unwrap();
        assert!(!remove.recursive);
        let moved: Move = serde_json::from_str(r#"{"from":"/a","to":"/b"}"#).unwrap();
        assert!(!moved.replace);
        let made: MakeDirectory = serde_json::from_str(r#"{"path":"/a"}"#).unwrap();
        assert!(!made.parents && made.mode.is_none());
    }
}
