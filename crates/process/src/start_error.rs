//! A process that could not be started, said as a shell says it.

use std::ffi::OsStr;
use std::io;

use rustix::io::Errno;

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The process could not be made.
    #[error(transparent)]
    Process(#[from] io::Error),
    /// No terminal could be had for it.
    #[error("no terminal could be allocated")]
    Terminal(#[source] io::Error),
}

impl StartError {
    /// What the system said.
    const fn system(&self) -> &io::Error {
        match self {
            Self::Process(error) | Self::Terminal(error) => error,
        }
    }

    /// What a shell would print about `program`: `ls: command not found`.
    pub fn describe(&self, program: &OsStr) -> String {
        let program = program.display();
        let Self::Process(error) = self else {
            return format!("{program}: {self}: {}", self.system());
        };
        match Errno::from_io_error(error) {
            Some(Errno::NOENT) if !program.to_string().contains('/') => {
                format!("{program}: command not found")
            }
            Some(Errno::NOENT) => format!("{program}: No such file or directory"),
            Some(Errno::ACCESS) => format!("{program}: Permission denied"),
            _ => format!("{program}: {error}"),
        }
    }

    /// The errno's name, of those that starting a process gives (execve(2), fork(2), pipe(2), chdir(2)); another's
    /// number.
    pub fn reason(&self) -> String {
        let error = self.system();
        let Some(errno) = Errno::from_io_error(error) else {
            return error.kind().to_string();
        };
        let name = match errno {
            Errno::NOENT => "ENOENT",
            Errno::ACCESS => "EACCES",
            Errno::NOTDIR => "ENOTDIR",
            Errno::TOOBIG => "E2BIG",
            Errno::NOEXEC => "ENOEXEC",
            Errno::PERM => "EPERM",
            Errno::LOOP => "ELOOP",
            Errno::NAMETOOLONG => "ENAMETOOLONG",
            Errno::TXTBSY => "ETXTBSY",
            Errno::AGAIN => "EAGAIN",
            Errno::NOMEM => "ENOMEM",
            Errno::MFILE => "EMFILE",
            Errno::NFILE => "ENFILE",
            Errno::IO => "EIO",
            _ => return format!("errno {}", errno.raw_os_error()),
        };
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_as_a_shell_does() {
        for (program, errno, reason, message) in [
            ("nix", Errno::NOENT, "ENOENT", "nix: command not found"),
            (
                "./nix",
                Errno::NOENT,
                "ENOENT",
                "./nix: No such file or directory",
            ),
            ("/etc", Errno::ACCESS, "EACCES", "/etc: Permission denied"),
            (
                "a",
                Errno::TOOBIG,
                "E2BIG",
                "a: Argument list too long (os error 7)",
            ),
            (
                "a",
                Errno::XDEV,
                "errno 18",
                "a: Invalid cross-device link (os error 18)",
            ),
        ] {
            let error = StartError::Process(errno.into());
            assert_eq!(
                (error.reason(), error.describe(program.as_ref())),
                (reason.to_owned(), message.to_owned())
            );
        }
    }
}
