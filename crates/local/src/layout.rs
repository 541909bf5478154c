//! The directories that the commands of a session see.
//!
//! Nothing is mounted: a path `/p` of the request stands for `files/p`, and only the directory that commands start in is moved
//! there. A program that names `/p` itself sees the machine's.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

use podbay_process::HostEnvironment;

/// For nobody but the user.
const PRIVATE: u32 = 0o700;

/// The directories of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Where commands start.
    pub work: PathBuf,
    /// `HOME`.
    pub home: PathBuf,
    /// `TMPDIR`.
    pub temporary: PathBuf,
    /// Where the agent keeps output that nobody takes.
    pub spool: PathBuf,
}

impl Layout {
    /// The directories below `root`, of a session whose commands start in `work`, a path as a container would have it.
    pub fn below(root: &Path, work: &str) -> Self {
        Self {
            work: root.join(work_directory(work)),
            home: root.join("home"),
            temporary: root.join("tmp"),
            spool: root.join("spool"),
        }
    }

    /// Makes those that are missing.
    pub(crate) fn make(&self) -> io::Result<()> {
        let Self {
            work,
            home,
            temporary,
            spool,
        } = self;
        for directory in [work, home, temporary, spool] {
            DirBuilder::new()
                .recursive(true)
                .mode(PRIVATE)
                .create(directory)?;
        }
        Ok(())
    }

    /// All of a command's environment, by rising precedence: what of the host's is passed on, the session's own directories,
    /// and what its user gave.
    pub fn environment(
        &self,
        host: &HostEnvironment,
        terminal: bool,
        given: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> BTreeMap<OsString, OsString> {
        let mut environment = host.variables(terminal);
        environment.insert("HOME".into(), self.home.clone().into_os_string());
        environment.insert("TMPDIR".into(), self.temporary.clone().into_os_string());
        // The system ends a name at its first `=` and any string at a NUL: such a variable can't be passed on.
        environment.extend(given.into_iter().filter(|(name, value)| {
            let has = |text: &OsString, byte| text.as_encoded_bytes().contains(&byte);
            !name.is_empty() && !has(name, b'=') && !has(name, 0) && !has(value, 0)
        }));
        environment
    }
}

/// Where commands start, relative to a session's root. `..` never leads out of it.
pub fn work_directory(path: &str) -> PathBuf {
    let mut inside = PathBuf::from("files");
    let mut depth = 0;
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => {
                inside.push(name);
                depth += 1;
            }
            Component::ParentDir if depth > 0 => {
                inside.pop();
                depth -= 1;
            }
            Component::ParentDir | Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for (path, expected) in [
            ("/", "files"),
            ("/workspace", "files/workspace"),
            ("/a/./b//c/", "files/a/b/c"),
            ("/../../etc", "files/etc"),
            ("/a/../../b", "files/b"),
            ("a/b", "files/a/b"),
        ] {
            assert_eq!(work_directory(path), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn what_the_user_gave_counts_most_and_what_no_environment_holds_is_left_out() {
        let layout = Layout::below(Path::new("/r"), "/workspace");
        let host = HostEnvironment::from_variables([
            ("PATH".into(), "/p".into()),
            ("LANG".into(), "C".into()),
            ("AWS_SECRET_ACCESS_KEY".into(), "hunter2".into()),
        ]);
        let given = [
            ("LANG", "xx"),
            ("HOME", "/h"),
            ("A=B", "1"),
            ("N", "\0"),
            ("", "1"),
        ];
        let given = given.map(|(name, value)| (name.into(), value.into()));
        let environment = layout.environment(&host, false, given);
        let expected = [
            ("HOME", "/h"),
            ("LANG", "xx"),
            ("PATH", "/p"),
            ("TMPDIR", "/r/tmp"),
        ];
        let expected = expected.map(|(name, value)| (name.into(), value.into()));
        assert_eq!(environment, BTreeMap::from(expected));
    }
}
