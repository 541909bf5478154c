//! Starting a program without a copy of the supervisor: with posix_spawn(3) the child has the supervisor's memory until it
//! executes the program, and nothing needs to be copied that it throws away at once.
//!
//! Where a program can't be executed so, nothing was started, and the standard library's way is taken: it tells why, and has
//! the rules of execvp(3) for files that are no programs.

use std::ffi::CString;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::process::Command;

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, open};
use rustix::process::Pid;

use super::launch::variable;
use super::start::search_path;

/// `POSIX_SPAWN_SETSID` of POSIX.1-2024, as the GNU C library and musl have it on Linux (`spawn.h`): the child is the leader of a
/// session of its own. The library that names the other flags does not name it.
const SET_SID: i32 = 0x80;

/// Starts `command`, with these as its standard streams, `/dev/null` where there is none. `None` if it was not started.
pub(super) fn spawn(command: &Command, streams: &[Option<OwnedFd>; 3]) -> Option<Pid> {
    let program = executable(command)?;
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let argv: Vec<CString> = words
        .map(|word| CString::new(word.as_bytes()).ok())
        .collect::<Option<_>>()?;
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(variable(name, value?)));
    let variables: Vec<CString> = variables
        .map(|variable| CString::new(variable.into_vec()).ok())
        .collect::<Option<_>>()?;
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut actions = PosixSpawnFileActions::init().ok()?;
    for (number, stream) in (0..).zip(streams) {
        // No other descriptor is inherited: all are closed when a program is executed.
        let stream = stream.as_ref().unwrap_or(&null);
        actions.add_dup2(stream.as_raw_fd(), number).ok()?;
    }
    let attributes = attributes().ok()?;
    let pid = posix_spawn(program.as_path(), &actions, &attributes, &argv, &variables).ok()?;
    Pid::from_raw(pid.as_raw())
}

/// A session of its own, no signal blocked, and SIGPIPE, which this program ignores, as it is by default.
fn attributes() -> nix::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    let flags = PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
        | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
        | PosixSpawnFlags::from_bits_retain(SET_SID);
    attributes.set_flags(flags)?;
    attributes.set_sigdefault(&SigSet::from_iter([Signal::SIGPIPE]))?;
    attributes.set_sigmask(&SigSet::empty())?;
    Ok(attributes)
}

/// The file of the program: the first of its name in the command's search path that may be executed.
fn executable(command: &Command) -> Option<PathBuf> {
    let program = command.get_program();
    if program.as_bytes().contains(&b'/') {
        return Some(program.into());
    }
    let path = search_path(command)?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS).is_ok())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_program_is_started_so_with_a_session_of_its_own() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::new("sh");
        let fields =
            "read -r line </proc/$$/stat; set -- $line; echo $1 $6; readlink /proc/$$/fd/0; echo $WORD";
        let path = std::env::var_os("PATH").unwrap();
        command
            .env_clear()
            .env("PATH", path)
            .env("WORD", "a b")
            .args(["-c", fields]);
        let pid = spawn(&command, &[None, Some(writer.into()), None]).unwrap();
        let pid = pid.as_raw_nonzero();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("{pid} {pid}\n/dev/null\na b\n"));
    }

    #[test]
    fn what_can_not_be_started_so_is_not_started() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("no-program");
        std::fs::write(&script, "echo").unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        for program in [
            script.as_os_str(),
            OsStr::new("/no/such"),
            OsStr::new("no-such"),
            OsStr::new("a\0b"),
        ] {
            let mut command = Command::new(program);
            command.env_clear().env("PATH", "/usr/bin:/bin");
            assert_eq!(spawn(&command, &[None, None, None]), None, "{program:?}");
        }
    }
}
