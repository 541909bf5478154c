//! The session's side of a copy: paths there, what stands at them, how a command there ended.

use podbay_protocol::{End, Outcome};

use super::CopyError;

/// Characters of a program's standard error that an error repeats.
const WORDS_LIMIT: usize = 2000;

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
    /// Reads a path.
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

/// What stands at a path in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A directory.
    Directory,
    /// Something else.
    Other,
    /// Nothing, in a directory that is there.
    New,
    /// Nothing, nor a directory to put it into.
    Nowhere,
}

impl Standing {
    /// The argv that finds out. Builtins alone.
    pub(super) fn ask(path: &RemotePath) -> [String; 6] {
        let script = "if [ -d \"$1\" ]; then echo directory; elif [ -e \"$1\" ] || [ -L \"$1\" ]; then echo other; \
                      elif [ -d \"$2\" ]; then echo new; else echo nowhere; fi";
        ["/bin/sh", "-c", script, "podbay", &path.text, &path.parent].map(str::to_owned)
    }

    /// Reads the answer.
    pub(super) fn parse(answer: &str) -> Option<Self> {
        match answer.trim_end() {
            "directory" => Some(Self::Directory),
            "other" => Some(Self::Other),
            "new" => Some(Self::New),
            "nowhere" => Some(Self::Nowhere),
            _ => None,
        }
    }

    /// Where a copy of `source` (its name; none for what is in a directory) to `path` goes, as `cp` decides.
    pub(super) fn target(
        self,
        path: &RemotePath,
        source: Option<&[u8]>,
        is_directory: bool,
    ) -> Result<RemoteTarget, CopyError> {
        let RemotePath {
            text,
            parent,
            name,
            slash,
        } = path;
        match self {
            Self::Directory => Ok(RemoteTarget {
                directory: text.clone(),
                name: source.map(<[u8]>::to_vec),
            }),
            Self::Other if is_directory || *slash => {
                Err(CopyError::RemoteNotDirectory { path: text.clone() })
            }
            Self::New if *slash && !is_directory => Err(CopyError::NoRemoteDirectory { path: text.clone() }),
            Self::Other | Self::New => {
                let name = name.as_ref().map(|name| name.clone().into_bytes());
                Ok(RemoteTarget {
                    directory: parent.clone(),
                    name,
                })
            }
            Self::Nowhere => Err(CopyError::NoRemoteDirectory { path: parent.clone() }),
        }
    }
}

/// Whether a program in the session ended well.
pub(super) fn check(program: &'static str, outcome: &Outcome) -> Result<(), CopyError> {
    let words = || {
        let text = outcome.stderr_content.text();
        text.trim().chars().take(WORDS_LIMIT).collect::<String>()
    };
    let missing = |message: String| match program {
        "tar" => CopyError::NoTar { message },
        _ => CopyError::Remote {
            program,
            code: outcome.end.exit_code(),
            words: message,
        },
    };
    match &outcome.end {
        End::Exited { code: 0 } => Ok(()),
        End::Exited { code: 126 | 127 } => Err(missing(words())),
        End::NotFound { message } | End::CannotExecute { message } => Err(missing(message.clone())),
        End::Exited { code } => Err(CopyError::Remote {
            program,
            code: *code,
            words: words(),
        }),
        End::Signaled { .. } => Err(CopyError::Remote {
            program,
            code: outcome.end.exit_code(),
            words: words(),
        }),
        End::Cancelled => Err(CopyError::Cancelled),
        End::Lost { message } => Err(CopyError::Lost {
            message: message.clone(),
        }),
        End::Killed | End::TimedOut { .. } => {
            let message = outcome.verdict.as_ref().map(|verdict| verdict.message.clone());
            Err(CopyError::Lost {
                message: message.unwrap_or_else(|| format!("{program} was killed")),
            })
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
        assert!(RemotePath::parse("").is_err());
        assert!(RemotePath::parse("a\0").is_err());
    }

    #[test]
    fn a_copy_goes_where_cp_would_put_it() {
        let to = |standing: Standing, path: &str, source: Option<&str>, is_directory| {
            standing
                .target(
                    &RemotePath::parse(path).unwrap(),
                    source.map(str::as_bytes),
                    is_directory,
                )
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
            to(Standing::Directory, "/w/", Some("f"), false),
            at("/w", Some("f"))
        );
        assert_eq!(to(Standing::Directory, "/w", None, true), at("/w", None));
        assert_eq!(to(Standing::Other, "/w/g", Some("f"), false), at("/w", Some("g")));
        assert_eq!(to(Standing::New, "g", Some("f"), false), at(".", Some("g")));
        assert_eq!(to(Standing::New, "/w/g/", Some("d"), true), at("/w", Some("g")));
        let refused = [
            (
                Standing::New,
                "/w/g/",
                false,
                "there is no directory /w/g in the session",
            ),
            (
                Standing::Nowhere,
                "/no/g",
                true,
                "there is no directory /no in the session",
            ),
            (
                Standing::Other,
                "/w/g",
                true,
                "/w/g in the session is not a directory",
            ),
            (
                Standing::Other,
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
