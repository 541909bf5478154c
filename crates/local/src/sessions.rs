//! All sessions that outlive the processes that use them.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podbay_process::remove_tree;

use crate::error::Error;
use crate::file::SessionFile;
use crate::layout::{Layout, work_directory};
use crate::lock::{self, Locked, read_secret, session_file};
use crate::look::{Life, look};
use crate::name::SessionName;
use crate::places::Places;

/// What the name of a directory begins with that is not finished.
const UNFINISHED: &str = ".new-";
/// When one that nobody has locked was left by whoever began it: making one takes milliseconds.
const LEFT: Duration = Duration::from_secs(60);
/// Characters of a socket's path, at most: the field has 108 bytes, of which one ends it (unix(7)).
const PATH_LIMIT: usize = 107;

/// The sessions of this user on this machine.
#[derive(Clone, Debug)]
pub struct Sessions {
    places: Places,
}

/// What a new session is made from.
pub struct NewSession<'a> {
    /// Tells it from others that have or had its name; marks its processes.
    pub uid: &'a str,
    /// The directory that its commands start in, as a container would have it.
    pub work: &'a str,
    /// What the caller keeps of it.
    pub record: serde_json::Value,
    /// What nobody else may know.
    pub secret: &'a [u8],
}

/// What came of making a session.
#[derive(Debug)]
pub enum Created {
    /// It was made, and this process has it locked.
    New(Locked),
    /// There is one of that name.
    Exists,
}

/// A session that was found.
#[derive(Debug)]
pub struct Found {
    /// The name of its directory.
    pub name: SessionName,
    /// What is written down of it.
    pub file: Result<SessionFile, Error>,
    /// What is going on with it.
    pub life: Life,
}

impl Sessions {
    /// Those that are kept in these places. Nothing is made or looked at.
    pub const fn new(places: Places) -> Self {
        Self { places }
    }

    /// The directory of a session.
    pub fn directory(&self, name: &SessionName) -> PathBuf {
        self.places.sessions.join(name.as_str())
    }

    /// Where the agent of a session is reached.
    pub fn socket(&self, name: &SessionName) -> PathBuf {
        lock::socket(&self.directory(name))
    }

    /// Where VS Code of a session is reached, which its agent starts.
    pub fn vscode_socket(&self, name: &SessionName) -> PathBuf {
        self.socket(name).with_file_name("vscode")
    }

    /// What the agent of a session complains of.
    pub fn log(&self, name: &SessionName) -> PathBuf {
        lock::log(&self.directory(name))
    }

    /// Makes a session. It is there as a whole or not at all; of many who make one of a name, one succeeds.
    pub fn create(&self, name: &SessionName, new: NewSession<'_>) -> Result<Created, Error> {
        self.places.prepare()?;
        let directory = self.directory(name);
        let socket = lock::socket(&directory);
        if socket.as_os_str().len() > PATH_LIMIT {
            return Err(Error::PathTooLong { path: socket });
        }
        if directory
            .try_exists()
            .map_err(Error::system("looking for", &directory))?
        {
            return Ok(Created::Exists);
        }
        let random: u64 = rand::random();
        let unfinished = self.places.sessions.join(format!("{UNFINISHED}{random:016x}"));
        let made = DirBuilder::new().mode(0o700).create(&unfinished);
        made.map_err(Error::system("making", &unfinished))?;
        let made = self.fill(name, new, unfinished.clone());
        match made.and_then(|mut locked| match locked.rename(directory.clone()) {
            Ok(()) => Ok(Created::New(locked)),
            Err(error) if is_taken(&error) => Ok(Created::Exists),
            Err(error) => Err(Error::system("making", directory)(error)),
        }) {
            Ok(Created::New(locked)) => Ok(Created::New(locked)),
            other => {
                remove_tree(&unfinished)?;
                other
            }
        }
    }

    fn fill(&self, name: &SessionName, new: NewSession<'_>, unfinished: PathBuf) -> Result<Locked, Error> {
        let NewSession {
            uid,
            work,
            record,
            secret,
        } = new;
        let locked = Locked::fresh(unfinished)?;
        let random: u32 = rand::random();
        let files = self.places.files.join(format!("{name}-{random:08x}"));
        let file = SessionFile::new(uid.to_owned(), files, work_directory(work), record);
        locked.write_secret(secret)?;
        locked.write(&file)?;
        Ok(locked)
    }

    /// Locks a session, once nobody else has it locked, for `patience` at most. `None` if there is none of that name.
    pub async fn lock(&self, name: &SessionName, patience: Duration) -> Result<Option<Locked>, Error> {
        if !self.places.are_there()? {
            return Ok(None);
        }
        Locked::wait(&self.directory(name), patience).await
    }

    /// Makes this process the only one that asks for that, once no other is, for `patience` at most: for what is counted and then
    /// made.
    pub async fn alone(&self, patience: Duration) -> Result<Option<Locked>, Error> {
        self.places.prepare()?;
        Locked::wait(&self.places.sessions, patience).await
    }

    /// Ends a session of which nothing can be read but its name: its agent, and its directories.
    pub async fn remove_unreadable(&self, name: &SessionName, locked: Locked) -> Result<(), Error> {
        locked.remove(self.files_of(name)).await
    }

    /// The directories that commands of sessions of this name worked in.
    fn files_of(&self, name: &SessionName) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.places.files).into_iter().flatten().flatten();
        let prefix = format!("{name}-");
        let is_its = |entry: &fs::DirEntry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|text| text.starts_with(&prefix))
        };
        entries.filter(is_its).map(|entry| entry.path()).collect()
    }

    /// Looks for a session.
    pub fn find(&self, name: &SessionName) -> Result<Option<Found>, Error> {
        if !self.places.are_there()? {
            return Ok(None);
        }
        let directory = self.directory(name);
        let life = look(&directory)?;
        let file = match SessionFile::read(&session_file(&directory)) {
            Ok(None) => return Ok(None),
            Ok(Some(file)) => Ok(file),
            Err(error) => Err(error),
        };
        let name = name.clone();
        Ok(Some(Found { name, file, life }))
    }

    /// What is written down of a session, without a look at its agent. `None` if there is none of that name.
    pub fn file(&self, name: &SessionName) -> Result<Option<SessionFile>, Error> {
        if !self.places.are_there()? {
            return Ok(None);
        }
        SessionFile::read(&session_file(&self.directory(name)))
    }

    /// What nobody else may know of a session.
    pub fn secret(&self, name: &SessionName) -> Result<Vec<u8>, Error> {
        read_secret(&self.directory(name))
    }

    /// All sessions, by name. What is left of one that was never finished is removed.
    pub fn list(&self) -> Result<Vec<Found>, Error> {
        if !self.places.are_there()? {
            return Ok(Vec::new());
        }
        let place = &self.places.sessions;
        let listing = |source| Error::system("listing", place)(source);
        let mut found = Vec::new();
        for entry in fs::read_dir(place).map_err(listing)? {
            let entry = entry.map_err(listing)?;
            let Some(text) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            if text.starts_with(UNFINISHED) {
                remove_if_left(&entry.path());
            } else if let Some(name) = SessionName::read(&text) {
                // One that is removed meanwhile is not there.
                found.extend(self.find(&name)?);
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }
}

/// Makes the directories that the commands of a session work in, where they are missing.
pub(crate) fn make_files(file: &SessionFile) -> Result<Layout, Error> {
    let layout = Layout {
        work: file.files.join(&file.work_directory),
        ..Layout::below(&file.files, "")
    };
    layout.make().map_err(Error::system("making", &file.files))?;
    Ok(layout)
}

/// Whether a directory could not get a name because there is something of that name.
fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
    )
}

/// Removes a directory that whoever began it will not finish. One that can't be removed is in nobody's way.
fn remove_if_left(path: &Path) {
    let changed = fs::symlink_metadata(path).and_then(|found| found.modified());
    let is_old = changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > LEFT));
    if is_old
        && let Ok(false) = Locked::is_held(path)
        && let Err(left) = remove_tree(path)
    {
        tracing::debug!(error = %left.source, "{left}");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn sessions(root: &Path) -> Sessions {
        Sessions::new(Places {
            sessions: root.join("run"),
            files: root.join("state"),
        })
    }

    fn new<'a>(uid: &'a str, secret: &'a [u8]) -> NewSession<'a> {
        NewSession {
            uid,
            work: "/workspace",
            record: serde_json::json!({"id": uid}),
            secret,
        }
    }

    #[tokio::test]
    async fn one_of_many_makes_a_session_and_it_is_private() {
        let there = tempfile::tempdir().unwrap();
        let sessions = sessions(there.path());
        let name = SessionName::of(None, "demo");
        assert!(sessions.find(&name).unwrap().is_none());
        assert!(sessions.list().unwrap().is_empty());
        let made: Vec<Created> = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8)
                .map(|number| {
                    let (sessions, name) = (&sessions, &name);
                    scope.spawn(move || sessions.create(name, new(&number.to_string(), b"s")).unwrap())
                })
                .collect();
            tries.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut own = made.into_iter().filter_map(|created| match created {
            Created::New(locked) => Some(locked),
            Created::Exists => None,
        });
        let locked = own.next().unwrap();
        assert!(own.next().is_none());
        assert_eq!(fs::read_dir(there.path().join("run")).unwrap().count(), 1);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(locked.path()), 0o700);
        for file in ["session.json", "secret.json"] {
            assert_eq!(mode(&locked.path().join(file)), 0o600, "{file}");
        }
        // Whoever looks finds it whole, and that somebody is busy with it; when that one is gone, that it is lost.
        let found = sessions.find(&name).unwrap().unwrap();
        assert_eq!(found.life, Life::Changing);
        assert_eq!(
            found.file.unwrap().record["id"],
            locked.read().unwrap().unwrap().uid
        );
        locked.unlock();
        assert_eq!(sessions.find(&name).unwrap().unwrap().life, Life::Ended);
        assert_eq!(sessions.list().unwrap().len(), 1);
    }

    #[test]
    fn what_was_never_finished_is_no_session_and_goes_in_time() {
        let there = tempfile::tempdir().unwrap();
        let sessions = sessions(there.path());
        sessions.places.prepare().unwrap();
        let (old, young) = (there.path().join("run/.new-1"), there.path().join("run/.new-2"));
        for path in [&old, &young] {
            fs::create_dir(path).unwrap();
        }
        let past = std::time::SystemTime::now() - 2 * LEFT;
        fs::File::open(&old).unwrap().set_modified(past).unwrap();
        assert!(sessions.list().unwrap().is_empty());
        assert!(!old.exists() && young.exists());
    }

    #[test]
    fn a_socket_s_path_that_is_too_long_is_refused_before_anything_is_made() {
        let there = tempfile::tempdir().unwrap();
        let sessions = sessions(&there.path().join("x".repeat(90)));
        let refused = sessions.create(&SessionName::of(None, "demo"), new("u", b""));
        assert!(matches!(refused, Err(Error::PathTooLong { .. })));
        assert!(sessions.list().unwrap().is_empty());
    }
}
