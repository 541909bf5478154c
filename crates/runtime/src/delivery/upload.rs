//! The upload of the agent into a pod whose shell waits for it.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use podbay_k8s_client::{
    Error as ClientError, ExecEnd, ExecOutput, ExecProcess, ExecRequest, ExecStdin, Kind, Object, StdinClosed,
};
use podbay_manifests::pod::CONTAINER;
use podbay_manifests::secret::SESSION_KEY;
use podbay_manifests::{AGENT_KEY_FILE, AGENT_PROGRAM, Record};
use podbay_protocol::{Blame, Cause, Retry, Verdict};
use secrecy::{ExposeSecret as _, SecretString};

use super::binary::AgentBinary;
use crate::context::{SessionContext, is_owned};
use crate::error::{Error, chain};

const UPLOAD: &str = include_str!("upload.sh");
const CHECK: &str = include_str!("check.sh");
/// The container's first process.
const FIRST_PROCESS: &str = "1";
/// How long an upload may take: the size of the agent at a slow connection's speed.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long the look may take whether the agent runs.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// Exit code of the script where the node is another machine, or can't run the agent.
const WRONG_MACHINE: i32 = 3;
const NOT_EXECUTABLE: i32 = 5;
/// Bytes that are sent at once.
const PIECE: usize = 64 * 1024;
/// Bytes of the script's words that are kept.
const WORDS: usize = 4096;

/// Why the agent could not be brought into a pod.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadFailure {
    #[error("the agent {} can't be read", binary.path.display())]
    Binary {
        binary: AgentBinary,
        #[source]
        source: std::io::Error,
    },
    #[error("the session's key can't be read")]
    Key(#[source] Box<Error>),
    #[error("the session's Secret has no key")]
    NoKey,
    #[error("the upload could not begin")]
    Exec(#[source] ClientError),
    #[error("the upload took more than {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("{said}")]
    Refused { code: i32, said: String },
    #[error("the upload ended: {0}")]
    Ended(ExecEnd),
}

impl UploadFailure {
    /// The verdict on a start that is nothing without the agent.
    pub(crate) fn verdict(&self) -> Verdict {
        let message = format!("the agent could not be brought in: {}", self.chain());
        let hint =
            "agent.binary names the agent that is uploaded, agent.delivery = \"auto\" goes on without one";
        let verdict = Verdict::new(Cause::ContainerStart, message, hint);
        match self {
            Self::Binary { .. }
            | Self::Refused {
                code: WRONG_MACHINE | NOT_EXECUTABLE,
                ..
            } => Verdict {
                blame: Blame::Configuration,
                retry: Retry::Never,
                ..verdict
            },
            _ => verdict,
        }
    }

    /// The text with those of all its sources.
    pub(crate) fn chain(&self) -> String {
        chain(self)
    }
}

/// Brings the agent into a pod, or finds that another client has. Safe to repeat, and to do at once with others.
pub(crate) async fn upload(
    session: SessionContext<'_>,
    record: &Record,
    pod: &str,
    binary: &AgentBinary,
) -> Result<(), UploadFailure> {
    let (program, hash) = binary.read().await.map_err(|source| UploadFailure::Binary {
        binary: binary.clone(),
        source,
    })?;
    let (size, token) = (
        program.len().to_string(),
        format!("{:08x}", rand::random::<u32>()),
    );
    let machine = binary.machine.as_str();
    let words = [
        AGENT_PROGRAM,
        AGENT_KEY_FILE,
        machine,
        &size,
        &hash,
        &token,
        FIRST_PROCESS,
    ];
    let work = async {
        let process = exec(session, pod, script(UPLOAD, &words), true).await?;
        carry(session, record, process, program).await
    };
    tokio::time::timeout(TIMEOUT, work)
        .await
        .unwrap_or(Err(UploadFailure::Timeout))
}

/// Whether the agent is the first process of a pod's container; `None` if that can't be told.
pub(crate) async fn is_running(session: SessionContext<'_>, pod: &str) -> Option<bool> {
    let look = async {
        let process = exec(session, pod, script(CHECK, &[]), false).await.ok()?;
        match process.end.await {
            ExecEnd::Exited { code: 0 } => Some(true),
            ExecEnd::Exited { code: 1 } => Some(false),
            _ => None,
        }
    };
    tokio::time::timeout(CHECK_TIMEOUT, look).await.ok().flatten()
}

async fn exec(
    session: SessionContext<'_>,
    pod: &str,
    argv: Vec<String>,
    stdin: bool,
) -> Result<ExecProcess, UploadFailure> {
    let request = ExecRequest {
        container: CONTAINER.to_owned(),
        argv,
        stdin,
        tty: false,
    };
    let ctx = session.ctx;
    let process = ctx.client.exec(&ctx.namespace, pod, request).await;
    process.map_err(UploadFailure::Exec)
}

/// Sends what the script asks for, and learns how it ended.
async fn carry(
    session: SessionContext<'_>,
    record: &Record,
    process: ExecProcess,
    program: Bytes,
) -> Result<(), UploadFailure> {
    let ExecProcess {
        stdin,
        mut stdout,
        stderr,
        resize: _,
        signals: _,
        end,
        guard: _guard,
    } = process;
    let send = async {
        // Nothing is asked for where another client has brought it.
        if stdout.next().await.is_none() {
            return Ok(());
        }
        if let Some(stdin) = stdin {
            let key = session_key(session, record).await?;
            let line = format!("{}\n", key.expose_secret());
            // One that no longer reads has failed, and its end says how.
            let _ = write(&stdin, line.into(), program).await;
            stdin.close();
        }
        while stdout.next().await.is_some() {}
        Ok(())
    };
    let (sent, said, end) = tokio::join!(send, text(stderr), end);
    sent?;
    match end {
        ExecEnd::Exited { code: 0 } => Ok(()),
        ExecEnd::Exited { code } if !said.is_empty() => Err(UploadFailure::Refused { code, said }),
        end => Err(UploadFailure::Ended(end)),
    }
}

async fn write(stdin: &ExecStdin, line: Bytes, mut program: Bytes) -> Result<(), StdinClosed> {
    stdin.write(line).await?;
    while !program.is_empty() {
        let piece = program.split_to(PIECE.min(program.len()));
        stdin.write(piece).await?;
    }
    Ok(())
}

/// The key that the session's Secret holds.
pub(crate) async fn session_key(
    session: SessionContext<'_>,
    record: &Record,
) -> Result<SecretString, UploadFailure> {
    let key = session.key(Kind::Secret, record.spec.names().secret());
    let found = session
        .get(&key)
        .await
        .map_err(|error| UploadFailure::Key(Box::new(error)))?;
    let secret = found
        .filter(|secret| is_owned(secret, &record.owner()))
        .and_then(Object::into_secret);
    let data = secret.and_then(|secret| secret.data?.remove(SESSION_KEY));
    let text = data.and_then(|bytes| String::from_utf8(bytes.0).ok());
    text.map(Into::into).ok_or(UploadFailure::NoKey)
}

/// The first words of an output, read to its end.
async fn text(mut output: ExecOutput) -> String {
    let mut kept = Vec::new();
    while let Some(piece) = output.next().await {
        let room = WORDS - kept.len();
        kept.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

/// A script with its arguments, without its comments: it stands in URLs and audit logs.
fn script(script: &str, arguments: &[&str]) -> Vec<String> {
    let lines = script.lines().map(str::trim_start);
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with('#')).collect();
    let words = ["/bin/sh", "-c", &lines.join("\n"), "podbay"].map(str::to_owned);
    let arguments = arguments.iter().map(|word| (*word).to_owned());
    words.into_iter().chain(arguments).collect()
}

#[cfg(test)]
mod tests;
