//! The file that a command's record is written to. It is looked at before anything runs, so that a place that can't be
//! written is told in time.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, OFlags, accessat};

use crate::exit::Failure;

/// How many symbolic links are followed: as many as the system does (path_resolution(7)).
const LINKS: usize = 40;

/// Where the record goes.
#[derive(Debug)]
pub(crate) struct OutcomeFile {
    /// As it was given.
    named: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// There is nothing yet; links led here.
    New(PathBuf),
    /// A plain file, open for writing.
    Plain { path: PathBuf, file: File },
    /// What is no plain file, or one of this process's own descriptors: written to as it is.
    Through(File),
    /// A named pipe, which can't be opened before somebody reads it.
    Pipe(PathBuf),
}

impl OutcomeFile {
    /// Sees to it that the file can be written. Makes and changes nothing.
    pub(crate) fn prepare(path: &Path) -> Result<Self, Failure> {
        let named = path.to_owned();
        match place(path) {
            Ok(place) => Ok(Self { named, place }),
            Err(source) => Err(failed(&named, source)),
        }
    }

    /// Writes the record. A reader of a plain file sees all of it or none, where the file can be replaced by another with
    /// the same owner and mode; a file with several names, or in a directory that is not ours to write, is written in
    /// place.
    pub(crate) fn write(self, text: &str) -> Result<(), Failure> {
        let written = match self.place {
            Place::New(path) => replace(&path, text, None),
            Place::Plain { path, file } => write_plain(&path, file, text),
            Place::Through(mut file) => file.write_all(text.as_bytes()),
            Place::Pipe(path) => OpenOptions::new()
                .write(true)
                .open(path)
                .and_then(|mut pipe| pipe.write_all(text.as_bytes())),
        };
        written.map_err(|source| failed(&self.named, source))
    }
}

fn failed(path: &Path, source: io::Error) -> Failure {
    Failure::Local {
        what: format!("the outcome can't be written to {}", path.display()),
        source,
    }
}

/// Follows symbolic links to what is to be written.
fn place(path: &Path) -> io::Result<Place> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let there = match fs::symlink_metadata(&path) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                accessat(
                    CWD,
                    directory(&path),
                    Access::WRITE_OK | Access::EXEC_OK,
                    AtFlags::EACCESS,
                )?;
                return Ok(Place::New(path));
            }
            Err(error) => return Err(error),
        };
        let kind = there.file_type();
        if kind.is_symlink() {
            if let Some(file) = own_descriptor(&path)? {
                return Ok(Place::Through(file));
            }
            path = directory(&path).join(fs::read_link(&path)?);
        } else if kind.is_file() {
            let file = OpenOptions::new().write(true).open(&path)?;
            return Ok(Place::Plain { path, file });
        } else if kind.is_fifo() {
            accessat(CWD, &path, Access::WRITE_OK, AtFlags::EACCESS)?;
            return Ok(Place::Pipe(path));
        } else {
            return open_through(&path).map(Place::Through);
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// What a link of `/proc/PID/fd` leads to (`/dev/stdout`, `/dev/fd/3`): a name of the file it shows may not be there, and
/// replacing that file would not reach who holds it open. `None` if it is no such link.
fn own_descriptor(link: &Path) -> io::Result<Option<File>> {
    if !is_on_proc(directory(link))? {
        return Ok(None);
    }
    let ours = fs::canonicalize(directory(link))?.starts_with(format!("/proc/{}", std::process::id()));
    let copy = match link.file_name().and_then(|name| name.to_str()) {
        // Written where the stream stands, after what the command wrote to it.
        Some("1") if ours => io::stdout().as_fd().try_clone_to_owned()?,
        Some("2") if ours => io::stderr().as_fd().try_clone_to_owned()?,
        _ => return open_through(link).map(Some),
    };
    Ok(Some(copy.into()))
}

#[cfg(target_os = "linux")]
fn is_on_proc(directory: &Path) -> io::Result<bool> {
    Ok(rustix::fs::statfs(directory)?.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

#[cfg(not(target_os = "linux"))]
fn is_on_proc(_directory: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Opens what is there for writing, behind what it holds. Does not wait for a device.
fn open_through(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOCTTY.bits().cast_signed();
    OpenOptions::new().append(true).custom_flags(flags).open(path)
}

fn write_plain(path: &Path, mut file: File, text: &str) -> io::Result<()> {
    let there = file.metadata()?;
    if there.nlink() == 1 && replace(path, text, Some(&there)).is_ok() {
        return Ok(());
    }
    file.set_len(0)?;
    file.write_all(text.as_bytes())
}

/// Writes beside the file first, then in its place.
fn replace(path: &Path, text: &str, like: Option<&Metadata>) -> io::Result<()> {
    // As any new file: what the umask leaves of it, where temporary files are for their owner alone.
    let permissions = fs::Permissions::from_mode(0o666);
    let file = tempfile::Builder::new()
        .prefix(".podbay-outcome-")
        .permissions(permissions)
        .tempfile_in(directory(path))?;
    if let Some(like) = like {
        let made = file.as_file().metadata()?;
        if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
            fchown(file.as_file(), Some(like.uid()), Some(like.gid()))?;
        }
        file.as_file().set_permissions(like.permissions())?;
    }
    file.as_file().write_all(text.as_bytes())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The directory a path is in.
fn directory(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(path: &Path, text: &str) -> Result<(), Failure> {
        OutcomeFile::prepare(path)?.write(text)
    }

    #[test]
    fn the_file_is_replaced_whole_and_what_is_no_file_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outcome.json");
        write(&path, "old").unwrap();
        write(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        write(Path::new("/dev/null"), "x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn what_cannot_be_written_is_told_before_and_nothing_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let gone = directory.path().join("none/outcome.json");
        assert!(OutcomeFile::prepare(&gone).is_err());
        assert!(OutcomeFile::prepare(directory.path()).is_err());
        symlink("loop", directory.path().join("loop")).unwrap();
        assert!(OutcomeFile::prepare(&directory.path().join("loop")).is_err());
        OutcomeFile::prepare(&directory.path().join("new")).unwrap();
        assert!(!directory.path().join("new").exists());
    }

    #[test]
    fn links_are_followed_and_stay() {
        let directory = tempfile::tempdir().unwrap();
        let in_it = |name: &str| directory.path().join(name);
        for (link, target) in [("l", "t"), ("dangling", "sub/new"), ("twice", "l")] {
            symlink(target, in_it(link)).unwrap();
        }
        fs::create_dir(in_it("sub")).unwrap();
        fs::write(in_it("t"), "old").unwrap();
        for (link, target) in [("l", "t"), ("dangling", "sub/new"), ("twice", "t")] {
            write(&in_it(link), link).unwrap();
            assert!(fs::symlink_metadata(in_it(link)).unwrap().is_symlink(), "{link}");
            assert_eq!(fs::read_to_string(in_it(target)).unwrap(), link);
        }
    }

    #[test]
    fn mode_owner_and_other_names_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("a"), directory.path().join("b"));
        fs::write(&path, "long before").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write(&path, "x").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        fs::hard_link(&path, &other).unwrap();
        write(&path, "y").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "y");
        // Only root can give a file away.
        if std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).is_ok() {
            fs::remove_file(&other).unwrap();
            write(&path, "z").unwrap();
            let now = fs::metadata(&path).unwrap();
            assert_eq!(
                (now.uid(), now.gid(), now.mode() & 0o7777),
                (65_534, 65_534, 0o640)
            );
        }
    }

    #[test]
    fn a_named_pipe_gets_the_record() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mkfifoat(CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        let prepared = OutcomeFile::prepare(&path).unwrap();
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read_to_string(path).unwrap()
        });
        prepared.write("record").unwrap();
        assert_eq!(reader.join().unwrap(), "record");
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
    }
}
