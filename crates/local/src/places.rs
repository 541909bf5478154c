//! Where sessions are kept.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// Ours, in directories that others keep theirs in.
const OURS: &str = "podbay";
/// Where programs keep what lasts longer than one boot and is not worth a copy, below the user's own directory (XDG Base
/// Directory Specification, `XDG_STATE_HOME`).
const STATE: &str = ".local/state";
/// Where each user may make files (POSIX).
const TEMPORARY: &str = "/tmp";
/// For nobody but the user.
const PRIVATE: u32 = 0o700;
/// The bits that let others in.
const OTHERS: u32 = 0o077;

/// Where sessions are kept: their own directories, with sockets, where short paths are, and what commands work in, which may
/// be large, elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The sessions' directories: `$XDG_RUNTIME_DIR/podbay`, or `/tmp/podbay-UID` where there is no such variable, or what it
    /// names is not this user's.
    pub sessions: PathBuf,
    /// The directories that commands work in: `$XDG_STATE_HOME/podbay`, else `$HOME/.local/state/podbay`, else
    /// `/tmp/podbay-UID-files`.
    pub files: PathBuf,
}

/// A place can't be used.
#[derive(Debug, thiserror::Error)]
pub enum NoPlace {
    /// Others could reach into it.
    #[error(
        "{} is not a directory of user {user} alone (mode 0700): remove it, or set {variable} to a directory that is", path.display()
    )]
    NotPrivate {
        /// The place.
        path: PathBuf,
        /// Whose it should be.
        user: u32,
        /// The variable that names another place.
        variable: &'static str,
    },
    /// It can't be made or looked at.
    #[error("the directory {} can't be made", path.display())]
    Unusable {
        /// The place.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
}

impl Places {
    /// The places of this user, by the variables of an environment. Nothing is made.
    pub fn find(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let user = geteuid().as_raw();
        let directory = |name: &str| {
            variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let runtime = directory("XDG_RUNTIME_DIR").filter(|path| is_directory_of(path, user));
        let sessions = match runtime {
            Some(runtime) => runtime.join(OURS),
            None => Path::new(TEMPORARY).join(format!("{OURS}-{user}")),
        };
        let state = directory("XDG_STATE_HOME").or_else(|| directory("HOME").map(|home| home.join(STATE)));
        let files = match state {
            Some(state) => state.join(OURS),
            None => Path::new(TEMPORARY).join(format!("{OURS}-{user}-files")),
        };
        Self { sessions, files }
    }

    /// Makes both where they are missing, and refuses one that is not this user's alone.
    pub(crate) fn prepare(&self) -> Result<(), NoPlace> {
        prepare(&self.sessions, "XDG_RUNTIME_DIR")?;
        prepare(&self.files, "XDG_STATE_HOME")
    }

    /// Whether there may be sessions: their place is there, and is this user's alone.
    pub(crate) fn are_there(&self) -> Result<bool, NoPlace> {
        match check(&self.sessions, "XDG_RUNTIME_DIR") {
            Err(NoPlace::Unusable { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(false),
            checked => checked.map(|()| true),
        }
    }
}

fn is_directory_of(path: &Path, user: u32) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == user)
}

fn prepare(path: &Path, variable: &'static str) -> Result<(), NoPlace> {
    let unusable = |source| NoPlace::Unusable {
        path: path.to_owned(),
        source,
    };
    if let Some(parent) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(PRIVATE).create(parent);
        made.map_err(unusable)?;
    }
    match DirBuilder::new().mode(PRIVATE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(unusable(error)),
        _ => {}
    }
    check(path, variable)
}

/// What is at the path itself: a link could lead anywhere.
fn check(path: &Path, variable: &'static str) -> Result<(), NoPlace> {
    let found = fs::symlink_metadata(path).map_err(|source| NoPlace::Unusable {
        path: path.to_owned(),
        source,
    })?;
    let user = geteuid().as_raw();
    if found.is_dir() && found.uid() == user && found.mode() & OTHERS == 0 {
        return Ok(());
    }
    Err(NoPlace::NotPrivate {
        path: path.to_owned(),
        user,
        variable,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn find(variables: &[(&str, &Path)]) -> Places {
        Places::find(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| value.as_os_str().to_owned())
        })
    }

    #[test]
    fn variables_name_the_places_where_they_are_of_use() {
        let user = geteuid().as_raw();
        let there = tempfile::tempdir().unwrap();
        let places = find(&[
            ("XDG_RUNTIME_DIR", there.path()),
            ("XDG_STATE_HOME", Path::new("/state")),
            ("HOME", Path::new("/home/u")),
        ]);
        assert_eq!(places.sessions, there.path().join("podbay"));
        assert_eq!(places.files, Path::new("/state/podbay"));
        // Not there, or no absolute path: as if it were not set.
        let places = find(&[
            ("XDG_RUNTIME_DIR", Path::new("/no/such/directory")),
            ("XDG_STATE_HOME", Path::new("state")),
            ("HOME", Path::new("/home/u")),
        ]);
        assert_eq!(places.sessions, PathBuf::from(format!("/tmp/podbay-{user}")));
        assert_eq!(places.files, Path::new("/home/u/.local/state/podbay"));
        assert_eq!(
            find(&[]).files,
            PathBuf::from(format!("/tmp/podbay-{user}-files"))
        );
    }

    #[test]
    fn a_place_that_others_could_have_made_is_refused() {
        let there = tempfile::tempdir().unwrap();
        let places = Places {
            sessions: there.path().join("run/podbay"),
            files: there.path().join("state/podbay"),
        };
        assert!(!places.are_there().unwrap());
        places.prepare().unwrap();
        assert!(places.are_there().unwrap());
        let mode = fs::metadata(&places.sessions).unwrap().mode();
        assert_eq!(mode & 0o7777, PRIVATE);
        places.prepare().unwrap();
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&places.sessions, open).unwrap();
        assert!(matches!(places.prepare(), Err(NoPlace::NotPrivate { .. })));
        assert!(matches!(places.are_there(), Err(NoPlace::NotPrivate { .. })));
        fs::remove_dir(&places.sessions).unwrap();
        std::os::unix::fs::symlink(there.path(), &places.sessions).unwrap();
        let refused = places.prepare().unwrap_err().to_string();
        assert!(
            refused.contains("run/podbay") && refused.contains("XDG_RUNTIME_DIR"),
            "{refused}"
        );
    }
}
