//! Starting a process.

use std::io;
use std::process::Stdio;

use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessSession};
use tokio::process::Command;

use crate::dispositions::take_over_ignored;
use crate::process::Process;
use crate::spec::ProcessSpec;
use crate::start_error::StartError;
use crate::streams::Streams;
use crate::supervisor::Supervisor;
use crate::terminal;
use crate::tree::{Leaders, Mark, VARIABLE};

/// A process that was started, with its streams connected.
pub(crate) struct Started {
    pub(crate) child: Box<dyn ChildWrapper>,
    pub(crate) streams: Streams,
}

/// Starts a process that carries `mark`, and the tasks that look after it.
pub(crate) fn start(spec: &ProcessSpec, mark: Mark, leaders: Leaders) -> Result<Process, StartError> {
    take_over_ignored();
    let mut command = Command::new(spec.program());
    command
        .args(spec.argv.iter().skip(1))
        .env_clear()
        .envs(&spec.environment)
        .env(VARIABLE, mark.value());
    if let Some(directory) = &spec.directory {
        command.current_dir(directory);
    }
    let Started { child, streams } = if spec.terminal {
        terminal::start(command, spec.stdin)?
    } else {
        with_pipes(command, spec.stdin)?
    };
    Ok(streams.into_process(Supervisor::new(child, mark, leaders)))
}

/// Starts a process with pipes, in a session of its own: it has no controlling terminal, so that a program which
/// asks `/dev/tty` for a password fails at once instead of being stopped, or of meeting our user.
fn with_pipes(mut command: Command, stdin: bool) -> io::Result<Started> {
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
