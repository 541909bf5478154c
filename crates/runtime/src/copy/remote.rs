//! The session's side of a copy: paths there, and where a copy goes.

use super::CopyError;
use crate::transport::FileKind;

/// A path in a session, absolute or relative to the directory that its commands start in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RemotePath {
    /// As it was given, without slashes at its end.
    pub(super) text: String,
    /// The directory it is in.
    pub(super) parent: String,
    /// Its name there; none for `/` and for paths that end with `.` or `..`.
    pub(super) name: Option<String>,
    /// Whether it ended with a slash.
    pub(super) slash: bool,
}

impl RemotePath {
    /// Reads the path of a destination: a `.` at its end says, as a slash does, that it is a directory.
    pub(super) fn parse_destination(path: &str) -> Result<Self, CopyError> {
        let mut trimmed = path.trim_end_matches('/');
        while let Some(shorter) = trimmed.strip_suffix("/.") {
            trimmed = shorter.trim_end_matches('/');
        }
        match trimmed {
            same if same.len() == path.len() => Self::parse(path),
            "" => Self::parse("/"),
            directory => Self::parse(&format!("{directory}/")),
        }
    }

    /// Reads the path of a source: one that ends with `.` stands for what is in the directory.
    pub(super) fn parse(path: &str) -> Result<Self, CopyError> {
        let invalid = |message| CopyError::RemotePath {
            path: path.to_owned(),
            message,
        };
        if path.is_empty() {
            return Err(invalid("it is empty"));
        }
        if path.contains('\0') {
            return Err(invalid("it contains a NUL"));
        }
        let trimmed = path.trim_end_matches('/');
        let slash = trimmed.len() < path.len();
        let text = if trimmed.is_empty() { "/" } else { trimmed }.to_owned();
        let (parent, name) = trimmed.rsplit_once('/').unwrap_or((".", trimmed));
        if matches!(name, "" | "." | "..") {
            return Ok(Self {
                parent: text.clone(),
                text,
                name: None,
                slash,
            });
        }
        // The slash of the root stays.
        let parent = if parent.is_empty() { "/" } else { parent }.to_owned();
        Ok(Self {
            text,
            parent,
            name: Some(name.to_owned()),
            slash,
        })
    }
}

/// The directory to extract into, and the name of the copy there; none puts what is in the source there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RemoteTarget {
    pub(super) directory: String,
    pub(super) name: Option<Vec<u8>>,
}

impl RemoteTarget {
    /// Where a copy of `source` (its name; `None` for what is in a directory) to `path` goes, where this is what is at
    /// `path`: as `docker cp` decides.
    pub(super) fn find(
        path: &RemotePath,
        at: FileKind,
        source: Option<&[u8]>,
        is_directory: bool,
    ) -> Result<Self, CopyError> {
        let RemotePath {
            text,
            parent,
            name,
            slash,
        } = path;
        match at {
            FileKind::Directory => Ok(Self {
                directory: text.clone(),
                name: source.map(<[u8]>::to_vec),
            }),
            FileKind::File | FileKind::Other if is_directory || *slash => {
                Err(CopyError::RemoteNotDirectory { path: text.clone() })
            }
            FileKind::Missing if *slash && !is_directory => {
                Err(CopyError::NoRemoteDirectory { path: text.clone() })
            }
            FileKind::File | FileKind::Other | FileKind::Missing => {
                let name = name.as_ref().map(|name| name.clone().into_bytes());
                Ok(Self {
                    directory: parent.clone(),
                    name,
                })
            }
            FileKind::NoDirectory => Err(CopyError::NoRemoteDirectory { path: parent.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_directory_and_a_name() {
        for (path, parent, name, slash) in [
            ("/a/b", "/a", Some("b"), false),
            ("/a/b//", "/a", Some("b"), true),
            ("/a", "/", Some("a"), false),
            ("a", ".", Some("a"), false),
            ("-a", ".", Some("-a"), false),
            ("a/b", "a", Some("b"), false),
            ("/", "/", None, true),
            (".", ".", None, false),
            ("/a/..", "/a/..", None, false),
            ("/a/.", "/a/.", None, false),
        ] {
            let parsed = RemotePath::parse(path).unwrap();
            let found = (parsed.parent.as_str(), parsed.name.as_deref(), parsed.slash);
            assert_eq!(found, (parent, name, slash), "{path}");
        }
        for (path, text, slash) in [
            ("/a/.", "/a", true),
            ("/a/././", "/a", true),
            ("/.", "/", true),
            (".", ".", false),
        ] {
            let parsed = RemotePath::parse_destination(path).unwrap();
            assert_eq!((parsed.text.as_str(), parsed.slash), (text, slash), "{path}");
        }
        assert!(RemotePath::parse("").is_err());
        assert!(RemotePath::parse("a\0").is_err());
    }

    #[test]
    fn a_copy_goes_where_cp_would_put_it() {
        let to = |at: FileKind, path: &str, source: Option<&str>, is_directory| {
            let path = RemotePath::parse_destination(path).unwrap();
            RemoteTarget::find(&path, at, source.map(str::as_bytes), is_directory)
                .map(|target| {
                    (
                        target.directory,
                        target.name.map(|name| String::from_utf8(name).unwrap()),
                    )
                })
                .map_err(|error| error.to_string())
        };
        let at = |directory: &str, name: Option<&str>| Ok((directory.to_owned(), name.map(str::to_owned)));
        assert_eq!(
            to(FileKind::Directory, "/w/", Some("f"), false),
            at("/w", Some("f"))
        );
        assert_eq!(to(FileKind::Directory, "/w", None, true), at("/w", None));
        assert_eq!(to(FileKind::File, "/w/g", Some("f"), false), at("/w", Some("g")));
        assert_eq!(to(FileKind::Missing, "g", Some("f"), false), at(".", Some("g")));
        assert_eq!(
            to(FileKind::Missing, "/w/g/", Some("d"), true),
            at("/w", Some("g"))
        );
        let refused = [
            (
                FileKind::Missing,
                "/w/g/",
                false,
                "there is no directory /w/g in the session",
            ),
            (
                FileKind::NoDirectory,
                "/no/g",
                true,
                "there is no directory /no in the session",
            ),
            (
                FileKind::File,
                "/w/g",
                true,
                "/w/g in the session is not a directory",
            ),
            (
                FileKind::File,
                "/w/g/",
                false,
                "/w/g in the session is not a directory",
            ),
        ];
        for (standing, path, is_directory, message) in refused {
            assert_eq!(
                to(standing, path, Some("f"), is_directory),
                Err(message.to_owned())
            );
        }
    }
}
