//! Commands of a pod as processes of this host: started in the pod's private directory with a cleaned environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use futures::FutureExt as _;
use podbay_k8s_client::{ExecEnd, ExecOutput, ExecProcess, ExecRequest, ExecStdin};
use podbay_process::{HostEnvironment, Output, Process, ProcessEnd, ProcessSpec};
use tokio_util::sync::CancellationToken;

use crate::kubelet::{Admitted, Closed, Place, Sandbox};

/// Runs a command in a container. The argv must not be empty.
pub(crate) fn run(
    sandbox: &Sandbox,
    container: &Admitted,
    host: &HostEnvironment,
    request: &ExecRequest,
) -> Result<ExecProcess, Closed> {
    sandbox.start(|directory, processes| {
        let spec = spec(directory, container, host, request);
        processes.start(&spec).map_or_else(
            |error| {
                not_started(ExecEnd::NotStarted {
                    reason: error.reason(),
                    message: error.describe(spec.argv.first().map(OsString::as_os_str).unwrap_or_default()),
                })
            },
            started,
        )
    })
}

/// The process that is to be started.
fn spec(
    directory: &Path,
    container: &Admitted,
    host: &HostEnvironment,
    request: &ExecRequest,
) -> ProcessSpec {
    ProcessSpec {
        argv: request.argv.iter().map(OsString::from).collect(),
        environment: environment(directory, container, host, request.tty),
        directory: Some(Place::Files.in_pod(directory).join(&container.working_directory)),
        stdin: request.stdin,
        terminal: request.tty,
    }
}

/// All of a command's environment, by rising precedence: what of the host's is passed on, the private directory as
/// `HOME` and `TMPDIR`, the container's.
fn environment(
    directory: &Path,
    container: &Admitted,
    host: &HostEnvironment,
    tty: bool,
) -> BTreeMap<OsString, OsString> {
    let mut environment = host.variables(tty);
    for (name, place) in [("HOME", Place::Home), ("TMPDIR", Place::Temporary)] {
        environment.insert(name.into(), place.in_pod(directory).into_os_string());
    }
    environment.extend(
        container
            .environment
            .iter()
            // The system ends a name at its first `=` and any string at a NUL: such a variable can't be passed on.
            .filter(|(name, value)| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains(&0))
            .map(|(name, value)| (name.into(), OsString::from_vec(value.clone()))),
    );
    environment
}

/// A process as a command of the cluster.
fn started(process: Process) -> ExecProcess {
    ExecProcess {
        stdin: process.stdin.map(|input| ExecStdin::new(input.into_sender())),
        stdout: output(process.stdout),
        stderr: output(process.stderr),
        resize: process.resize,
        signals: Some(process.signals),
        end: process.end.map(end).boxed(),
        guard: process.guard,
    }
}

fn output(output: Output) -> ExecOutput {
    let cut = output.cut();
    ExecOutput::new(output).cut_as(cut)
}

fn end(end: ProcessEnd) -> ExecEnd {
    match end {
        ProcessEnd::Exited { code } => ExecEnd::Exited { code },
        ProcessEnd::Signaled { signal } => ExecEnd::Signaled { signal },
        ProcessEnd::Lost { message } => ExecEnd::Lost { message },
        other => ExecEnd::Lost {
            message: format!("the command ended in a way that has no name here: {other:?}"),
        },
    }
}

/// A command that ended before it began.
fn not_started(end: ExecEnd) -> ExecProcess {
    ExecProcess {
        stdin: None,
        stdout: ExecOutput::new(futures::stream::empty()),
        stderr: ExecOutput::new(futures::stream::empty()),
        resize: None,
        signals: None,
        end: futures::future::ready(end).boxed(),
        guard: CancellationToken::new().drop_guard(),
    }
}
