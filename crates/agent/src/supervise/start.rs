//! Starting a command, as a child of its supervisor.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use podbay_protocol::TerminalSize;
use process_wrap::std::{CommandWrap, ProcessSession};
use pty_process::{Size, blocking};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, chdir, getegid, geteuid, getgroups, getrlimit, setrlimit};

use super::direct;
use super::launch::{Launch, split_variable};
use super::user::{Identity, UserError, identify};

/// A command that runs.
pub(super) struct Running {
    pub(super) pid: Pid,
    /// The outer side of its terminal.
    pub(super) terminal: Option<OwnedFd>,
}

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("{}", describe(program, source))]
    Program { program: String, source: io::Error },
    #[error("working directory {directory}: {source}")]
    Directory { directory: String, source: io::Error },
    #[error(transparent)]
    User(#[from] UserError),
    #[error("running as user {uid}: {source}")]
    Identity { uid: u32, source: io::Error },
    #[error("giving it a terminal: {source}")]
    Terminal { source: io::Error },
    #[error("keeping it from gaining rights: {source}")]
    Privileges { source: io::Error },
    #[error("{problem}")]
    Request { problem: String },
}

/// What a shell would print: `ls: command not found`.
fn describe(program: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound if !program.contains('/') => format!("{program}: command not found"),
        io::ErrorKind::NotFound => format!("{program}: No such file or directory"),
        io::ErrorKind::PermissionDenied => format!("{program}: Permission denied"),
        _ => format!("{program}: {error}"),
    }
}

impl StartError {
    /// The errno's name, or a word.
    pub(super) fn reason(&self) -> String {
        let source = match self {
            Self::Directory { .. } => return "working_directory".to_owned(),
            Self::Program { source, .. }
            | Self::Identity { source, .. }
            | Self::Terminal { source }
            | Self::Privileges { source }
            | Self::User(UserError::Read { source, .. }) => source,
            Self::User(UserError::Unknown { .. } | UserError::Number { .. }) => {
                return "unknown_user".to_owned();
            }
            Self::Request { .. } => return "bad_request".to_owned(),
        };
        reason(source)
    }
}

/// The name of an error's errno.
pub(crate) fn reason(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(
        || error.kind().to_string(),
        |errno| format!("{:?}", nix::errno::Errno::from_raw(errno)),
    )
}

/// Starts a command as the leader of a session of its own.
pub(super) fn start(launch: &Launch, descriptors: Vec<OwnedFd>) -> Result<Running, StartError> {
    let manner = &launch.manner;
    let identity = manner.user.as_ref().map(identify).transpose()?;
    let mut command = command(launch, identity.as_ref())?;
    let mut descriptors = descriptors.into_iter();
    let mut stream = |comes: bool| if comes { descriptors.next() } else { None };
    let streams = [manner.streams.stdin, manner.streams.stdout, manner.streams.stderr].map(&mut stream);
    if manner.no_new_privileges {
        rustix::thread::set_no_new_privs(true)
            .map_err(|errno| StartError::Privileges { source: errno.into() })?;
    }
    if let Some(soft) = manner.open_files {
        let hard = getrlimit(Resource::Nofile).maximum;
        // Not worth a command: it was started with a higher one then.
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(soft),
                maximum: hard,
            },
        )
        .ok();
    }
    let own = identity.as_ref().map(become_user).transpose()?;
    let started = enter(launch).and_then(|()| match manner.terminal {
        Some(size) => with_terminal(
            command,
            streams.map(|one| one.map(Stdio::from)),
            manner.terminal_input,
            size,
        ),
        None => with_streams(&mut command, streams),
    });
    if let Some(own) = own {
        own.restore();
    }
    started
}

/// The program with its words and variables.
fn command(launch: &Launch, identity: Option<&Identity>) -> Result<Command, StartError> {
    let (program, arguments) = launch.argv.split_first().ok_or_else(|| StartError::Request {
        problem: "no program is named".to_owned(),
    })?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    command.envs(
        launch
            .environment
            .iter()
            .filter_map(|variable| split_variable(variable)),
    );
    if let Some(identity) = identity
        && !launch.manner.keep_home
    {
        command.env("HOME", &identity.home);
    }
    Ok(command)
}

/// Changes to the command's directory, with the rights of its user: said apart from a program that is missing.
fn enter(launch: &Launch) -> Result<(), StartError> {
    let Some(directory) = &launch.directory else {
        return Ok(());
    };
    chdir(directory.as_os_str()).map_err(|errno| StartError::Directory {
        directory: directory.display().to_string(),
        source: errno.into(),
    })
}

fn program_failed(program: &OsStr, path: Option<&OsStr>, source: io::Error) -> StartError {
    // execvp(3) says this of a name when one of the directories can't be searched, though no other has it either.
    let is_denied = source.kind() == io::ErrorKind::PermissionDenied;
    let is_name = !program.as_encoded_bytes().contains(&b'/');
    let source = match path {
        Some(path) if is_denied && is_name && !is_in(path, program) => Errno::NOENT.into(),
        _ => source,
    };
    StartError::Program {
        program: program.display().to_string(),
        source,
    }
}

/// Whether a directory of the search path is seen to have such a file.
fn is_in(path: &OsStr, program: &OsStr) -> bool {
    std::env::split_paths(path).any(|directory| directory.join(program).exists())
}

/// The search path that a command was given.
pub(super) fn search_path(command: &Command) -> Option<OsString> {
    let path = command.get_envs().find(|(name, _)| *name == "PATH");
    path.and_then(|(_, value)| value.map(OsStr::to_owned))
}

/// Its session has no terminal, so that a program which asks `/dev/tty` for a password fails at once instead of waiting.
fn with_streams(command: &mut Command, streams: [Option<OwnedFd>; 3]) -> Result<Running, StartError> {
    if let Some(pid) = direct::spawn(command, &streams) {
        return Ok(Running { pid, terminal: None });
    }
    let [stdin, stdout, stderr] = streams.map(|stream| stream.map_or_else(Stdio::null, Stdio::from));
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    let (program, path) = (command.get_program().to_owned(), search_path(command));
    let command = std::mem::replace(command, Command::new(""));
    let child = CommandWrap::from(command)
        .wrap(ProcessSession)
        .spawn()
        .map_err(|source| program_failed(&program, path.as_deref(), source))?;
    Ok(Running {
        pid: pid(child.id())?,
        terminal: None,
    })
}

fn with_terminal(
    command: Command,
    streams: [Option<Stdio>; 3],
    input: bool,
    size: TerminalSize,
) -> Result<Running, StartError> {
    let terminal_failed = |error: pty_process::Error| StartError::Terminal {
        source: if let pty_process::Error::Io(error) = error {
            error
        } else if let pty_process::Error::Rustix(errno) = error {
            errno.into()
        } else {
            io::Error::other(error)
        },
    };
    let (pty, inner) = blocking::open().map_err(terminal_failed)?;
    pty.resize(Size::new(size.height, size.width))
        .map_err(terminal_failed)?;
    let (program, path) = (command.get_program().to_owned(), search_path(&command));
    let mut command = blocking::Command::from(command);
    let [stdin, stdout, stderr] = streams;
    if let Some(stdin) = stdin.or_else(|| (!input).then(Stdio::null)) {
        command = command.stdin(stdin);
    }
    if let Some(stdout) = stdout {
        command = command.stdout(stdout);
    }
    if let Some(stderr) = stderr {
        command = command.stderr(stderr);
    }
    let child = command.spawn(inner).map_err(|error| {
        if let pty_process::Error::Io(error) = error {
            program_failed(&program, path.as_deref(), error)
        } else {
            terminal_failed(error)
        }
    })?;
    Ok(Running {
        pid: pid(child.id())?,
        terminal: Some(pty.into()),
    })
}

fn pid(id: u32) -> Result<Pid, StartError> {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| StartError::Request {
        problem: format!("the system gave it the id {id}"),
    })
}

/// What the supervisor was before it took a command's user on.
struct Own {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

/// Takes a command's user on for as long as it is being started, the saved id alone kept (setresuid(2)): a program that
/// is executed then has no way back, since it gets its saved ids from its effective ones (execve(2)).
///
/// The standard library's own way (`Command::uid`) drops all supplementary groups.
fn become_user(identity: &Identity) -> Result<Own, StartError> {
    let own = Own {
        uid: geteuid().as_raw(),
        gid: getegid().as_raw(),
        groups: getgroups()
            .unwrap_or_default()
            .iter()
            .map(|gid| gid.as_raw())
            .collect(),
    };
    let failed = |errno: nix::errno::Errno| StartError::Identity {
        uid: identity.uid,
        source: errno.into(),
    };
    let is_own = own.uid == identity.uid && own.gid == identity.gid;
    if is_own && own.uid != 0 {
        return Ok(own); // What is asked for is there, and nothing can be changed without rights.
    }
    let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    let change = || {
        setgroups(&groups)?;
        setresgid(gid, gid, Gid::from_raw(own.gid))?;
        setresuid(uid, uid, Uid::from_raw(own.uid))
    };
    if let Err(errno) = change() {
        own.restore();
        return Err(failed(errno));
    }
    Ok(own)
}

impl Own {
    /// Goes back. The supervisor outlives its command's signals by that: they have different users.
    fn restore(&self) {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let groups: Vec<Gid> = self.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        // From the saved id; it can't fail but where nothing was changed.
        setresuid(uid, uid, uid).ok();
        setresgid(gid, gid, gid).ok();
        setgroups(&groups).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_said_as_a_shell_says_it() {
        for (program, errno, name, message) in [
            ("nix", 2, "ENOENT", "nix: command not found"),
            ("./nix", 2, "ENOENT", "./nix: No such file or directory"),
            ("/etc", 13, "EACCES", "/etc: Permission denied"),
            ("a", 7, "E2BIG", "a: Argument list too long (os error 7)"),
        ] {
            let error = program_failed(OsStr::new(program), None, io::Error::from_raw_os_error(errno));
            assert_eq!(
                (error.reason().as_str(), error.to_string().as_str()),
                (name, message)
            );
        }
    }
    #[test]
    fn a_directory_that_can_not_be_searched_makes_no_program_denied() {
        let denied = || io::Error::from(Errno::ACCESS);
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("there"), "").unwrap();
        for (program, name) in [("there", "EACCES"), ("nix", "ENOENT"), ("./nix", "EACCES")] {
            let path = Some(directory.path().as_os_str());
            let error = program_failed(OsStr::new(program), path, denied());
            assert_eq!(error.reason(), name, "{program}");
        }
    }
}
