//! Sandboxes to run in, and commands run to their end.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use podbay_local::{Sandbox, SandboxCommand};
use podbay_process::{Output, Process, ProcessEnd};

/// How a command ended, or that it was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Exited { code: i32 },
    Signaled { signal: i32 },
    Lost,
    NotStarted { reason: String, message: String },
}

impl From<ProcessEnd> for End {
    fn from(end: ProcessEnd) -> Self {
        match end {
            ProcessEnd::Exited { code } => Self::Exited { code },
            ProcessEnd::Signaled { signal } => Self::Signaled { signal },
            ProcessEnd::Lost { .. } => Self::Lost,
            other => panic!("{other:?}"),
        }
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) end: End,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Ran {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

/// Ends a test that hangs; far longer than anything here takes.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), future)
        .await
        .expect("hangs")
}

pub(crate) fn sandbox() -> Arc<Sandbox> {
    with(&[])
}

/// A sandbox with these variables.
pub(crate) fn with(variables: &[(&str, &str)]) -> Arc<Sandbox> {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    let uid = format!("test-{:016x}", rand::random::<u64>());
    Arc::new(Sandbox::open(&uid, "/workspace", variables.collect::<BTreeMap<_, _>>()).unwrap())
}

pub(crate) fn request<'a>(argv: impl IntoIterator<Item = &'a str>) -> SandboxCommand {
    SandboxCommand {
        argv: argv.into_iter().map(str::to_owned).collect(),
        ..SandboxCommand::default()
    }
}

pub(crate) fn shell(script: &str) -> SandboxCommand {
    request(["sh", "-c", script])
}

pub(crate) fn start(sandbox: &Sandbox, command: SandboxCommand) -> Process {
    sandbox.start(command).unwrap().unwrap()
}

/// Runs a command to its end.
pub(crate) async fn run(sandbox: &Sandbox, command: SandboxCommand) -> Ran {
    let program = command.argv[0].clone();
    match sandbox.start(command).unwrap() {
        Ok(process) => within(finish(process)).await,
        Err(error) => Ran {
            end: End::NotStarted {
                reason: error.reason(),
                message: error.describe(program.as_ref()),
            },
            stdout: Vec::new(),
            stderr: Vec::new(),
        },
    }
}

/// Reads a command's output to its end, side by side.
pub(crate) async fn finish(process: Process) -> Ran {
    let Process {
        stdin,
        mut stdout,
        mut stderr,
        resize: _resize,
        signals: _signals,
        end,
        guard,
    } = process;
    drop(stdin);
    let (stdout, stderr, end) = tokio::join!(read(&mut stdout), read(&mut stderr), end);
    drop(guard);
    Ran {
        end: end.into(),
        stdout,
        stderr,
    }
}

pub(crate) async fn read(output: &mut Output) -> Vec<u8> {
    output.collect::<Vec<Bytes>>().await.concat()
}

/// Reads an output up to and with the first `mark`.
pub(crate) async fn read_until(output: &mut Output, mark: &str) -> String {
    let mut text = Vec::new();
    within(async {
        while !text.windows(mark.len()).any(|window| window == mark.as_bytes()) {
            text.extend(output.next().await.expect("the output ended too soon"));
        }
    })
    .await;
    String::from_utf8(text).unwrap()
}

/// Reads the process id a command prints on a line of its own.
pub(crate) async fn read_pid(output: &mut Output) -> u32 {
    read_until(output, "\n").await.trim().parse().unwrap()
}

/// What `seq` prints.
pub(crate) fn lines(numbers: impl IntoIterator<Item = i32>, ending: &str) -> String {
    numbers
        .into_iter()
        .flat_map(|number| [number.to_string(), ending.to_owned()])
        .collect()
}

/// Whether a process runs (a zombie doesn't).
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
}
