//! A command that could not be started, said as a shell says it.

use std::io;

use podbay_k8s_client::{ExecEnd, ExecRequest};
use rustix::io::Errno;

/// Why a command could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The process could not be made.
    #[error(transparent)]
    Process(#[from] io::Error),
    /// No terminal could be had for it.
    #[error("no terminal could be allocated")]
    Terminal(#[source] io::Error),
}

impl Failure {
    /// As the command's end: `reason` is the errno's name, `message` what a shell would print.
    pub(crate) fn describe(&self, request: &ExecRequest) -> ExecEnd {
        let program = request.argv.first().map(String::as_str).unwrap_or_default();
        let (error, message) = match self {
            Self::Process(error) => (error, says(program, error)),
            Self::Terminal(error) => (error, format!("{program}: {self}: {error}")),
        };
        ExecEnd::NotStarted {
            reason: reason(error),
            message,
        }
    }
}

fn says(program: &str, error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT) if !program.contains('/') => format!("{program}: command not found"),
        Some(Errno::NOENT) => format!("{program}: No such file or directory"),
        Some(Errno::ACCESS) => format!("{program}: Permission denied"),
        _ => format!("{program}: {error}"),
    }
}

/// The names of the errnos that starting a process gives (execve(2), fork(2), pipe(2), chdir(2)); another's number.
fn reason(error: &io::Error) -> String {
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
            let request = ExecRequest {
                container: String::new(),
                argv: vec![program.to_owned()],
                stdin: false,
                tty: false,
            };
            let end = Failure::Process(errno.into()).describe(&request);
            assert_eq!(
                end,
                ExecEnd::NotStarted {
                    reason: reason.to_owned(),
                    message: message.to_owned()
                }
            );
        }
    }
}
