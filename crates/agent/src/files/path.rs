//! Paths that a client may name.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::FileError;

/// A path from the root on, without NUL bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AbsolutePath(PathBuf);

impl AbsolutePath {
    /// Takes a path from a client.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, FileError> {
        let problem = if bytes.first() != Some(&b'/') {
            "is not absolute: it must begin with a slash"
        } else if bytes.contains(&0) {
            "has a NUL byte, which no name can have"
        } else {
            return Ok(Self(OsString::from_vec(bytes).into()));
        };
        Err(FileError::Path {
            path: bytes.escape_ascii().to_string(),
            problem,
        })
    }

    /// Takes a path from a client; one that is relative is so to `base`, the directory that processes start in.
    pub fn below(base: &Path, bytes: Vec<u8>) -> Result<Self, FileError> {
        if bytes.is_empty() || bytes.first() == Some(&b'/') {
            return Self::parse(bytes);
        }
        let mut absolute = base.as_os_str().as_bytes().to_vec();
        absolute.push(b'/');
        absolute.extend(bytes);
        Self::parse(absolute)
    }

    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The path of the directory it is in, and its name there; an error for paths that end with `.` or `..`, and for `/`.
    pub fn split(&self) -> Result<(&Path, &OsStr), FileError> {
        match (self.0.parent(), podbay_archive::name_of(&self.0)) {
            (Some(parent), Some(name)) => Ok((parent, name)),
            _ => Err(FileError::Path {
                path: self.0.display().to_string(),
                problem: "does not end with a name",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_below_the_start() {
        let below = |path: &str| AbsolutePath::below(Path::new("/w"), path.into()).unwrap().0;
        assert_eq!(below("a/b").as_os_str(), "/w/a/b");
        assert_eq!(below(".").as_os_str(), "/w/.");
        assert_eq!(below("/a").as_os_str(), "/a");
        assert!(AbsolutePath::below(Path::new("/w"), Vec::new()).is_err());
    }

    #[test]
    fn a_path_begins_at_the_root_and_ends_with_a_name_where_one_is_needed() {
        let path = AbsolutePath::parse(b"/a/\xff/".to_vec()).unwrap();
        assert_eq!(
            path.split().unwrap(),
            (Path::new("/a"), OsStr::from_bytes(b"\xff"))
        );
        for wrong in ["", "a", "./a", "/a\0"] {
            assert!(AbsolutePath::parse(wrong.into()).is_err(), "{wrong:?}");
        }
        for nameless in ["/", "/a/..", "/../", "/a/.", "/a/./", "/a/.//", "/."] {
            assert!(
                AbsolutePath::parse(nameless.into()).unwrap().split().is_err(),
                "{nameless}"
            );
        }
    }
}
