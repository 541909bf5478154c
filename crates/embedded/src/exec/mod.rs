//! Commands as processes of this host: started in a pod's private directory with a cleaned environment, each
//! in a session of its own, their streams carried to and from the caller.
//!
//! A command ends when its process does. What it wrote until then is always delivered; what the processes it
//! left behind still write to its streams is delivered for at most a second. (A container runtime
//! waits without end there, so that one forgotten daemon hangs an exec.) They themselves go on until the pod is
//! deleted.

mod host_environment;
mod pump;
mod queue;
mod start_failure;
mod streams;
mod supervisor;
mod terminal;

pub(crate) use host_environment::HostEnvironment;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::process::Stdio;

use futures::FutureExt as _;
use podbay_k8s_client::{ExecEnd, ExecOutput, ExecProcess, ExecRequest};
use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessSession};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::kubelet::{Admitted, Closed, Place, Sandbox};
use crate::processes::{Mark, VARIABLE};
use streams::Streams;
use supervisor::Supervisor;

/// A process that was started, with its streams connected.
struct Started {
    child: Box<dyn ChildWrapper>,
    streams: Streams,
}

/// Runs a command in a container. The argv must not be empty.
pub(crate) fn run(
    sandbox: &Sandbox,
    container: &Admitted,
    host: &HostEnvironment,
    request: &ExecRequest,
) -> Result<ExecProcess, Closed> {
    sandbox.start(|directory, mark| {
        let command = command(directory, container, host, request, &mark);
        let started = if request.tty {
            terminal::start(command, request.stdin)
        } else {
            start(command, request.stdin).map_err(start_failure::Failure::from)
        };
        match started {
            Ok(Started { child, streams }) => {
                let supervisor = Supervisor::new(child, mark, sandbox.leaders().clone());
                streams.into_process(supervisor)
            }
            Err(failure) => not_started(failure.describe(request)),
        }
    })
}

/// The process as it is to be started, without its streams.
fn command(
    directory: &Path,
    container: &Admitted,
    host: &HostEnvironment,
    request: &ExecRequest,
    mark: &Mark,
) -> Command {
    let mut argv = request.argv.iter();
    let mut command = Command::new(argv.next().map(String::as_str).unwrap_or_default());
    command
        .args(argv)
        .current_dir(Place::Files.in_pod(directory).join(&container.working_directory))
        .env_clear()
        .envs(environment(directory, container, host, request.tty, mark));
    command
}

/// All of a command's environment, by rising precedence: what of the host's is passed on, the container's, and
/// what the private directory and the mark dictate.
fn environment(
    directory: &Path,
    container: &Admitted,
    host: &HostEnvironment,
    tty: bool,
    mark: &Mark,
) -> BTreeMap<OsString, OsString> {
    let mut environment = host.variables(tty);
    environment.extend(
        container
            .environment
            .iter()
            // The system ends a name at its first `=` and any string at a NUL: such a variable can't be passed on.
            .filter(|(name, value)| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains(&0))
            .map(|(name, value)| (name.into(), OsString::from_vec(value.clone()))),
    );
    for (name, value) in [
        ("HOME", Place::Home.in_pod(directory).as_os_str()),
        ("TMPDIR", Place::Temporary.in_pod(directory).as_os_str()),
        (VARIABLE, OsStr::from_bytes(mark.value().as_bytes())),
    ] {
        environment.insert(name.into(), value.to_owned());
    }
    environment
}

/// Starts a process with pipes, in a session of its own: it has no controlling terminal, so that a program which
/// asks `/dev/tty` for a password fails at once instead of being stopped, or of meeting our user.
fn start(mut command: Command, stdin: bool) -> std::io::Result<Started> {
    command
        .stdin(if stdin { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // The inner child: the wrapper's own waits for the whole group.
    let mut child = CommandWrap::from(command)
        .wrap(ProcessSession)
        .spawn()?
        .into_inner();
    let streams = Streams::Pipes {
        stdin: child.stdin().take(),
        stdout: child.stdout().take(),
        stderr: child.stderr().take(),
    };
    Ok(Started { child, streams })
}

/// A command that ended before it began.
fn not_started(end: ExecEnd) -> ExecProcess {
    ExecProcess {
        stdin: None,
        stdout: ExecOutput::new(futures::stream::empty()),
        stderr: ExecOutput::new(futures::stream::empty()),
        resize: None,
        end: futures::future::ready(end).boxed(),
        guard: CancellationToken::new().drop_guard(),
    }
}
