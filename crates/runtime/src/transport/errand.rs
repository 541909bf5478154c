//! Short commands of our own in a container, which look after others.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use podbay_k8s_client::{Error as ClientError, ErrorKind, ExecEnd, ExecOutput, ExecProcess, ExecRequest};
use podbay_manifests::pod::CONTAINER;

use super::connections::begin;
use crate::error::{Error, ForSession as _};
use crate::session::ClusterSession;

/// How long one may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes of each stream that are kept.
const CAPTURE: usize = 64 * 1024;

/// How a short command of our own ended, and what it wrote.
pub(super) struct Errand {
    pub(super) end: ExecEnd,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs a short command of our own in the session's container.
pub(super) async fn run(session: &ClusterSession, argv: Vec<String>) -> Result<Errand, Error> {
    let request = ExecRequest {
        container: CONTAINER.to_owned(),
        argv,
        stdin: false,
        tty: false,
    };
    let run = async {
        let process = session.exec_request(request).await.for_session(session.id())?;
        Ok(carry(process, None).await)
    };
    within_timeout(session, run).await
}

/// The same once the session is ready, with this input.
pub(super) async fn run_when_ready(
    session: &ClusterSession,
    argv: Vec<String>,
    input: Option<Bytes>,
) -> Result<Errand, Error> {
    let request = ExecRequest {
        container: CONTAINER.to_owned(),
        argv,
        stdin: input.is_some(),
        tty: false,
    };
    let process = begin(session, request).await?;
    within_timeout(session, async { Ok(carry(process, input).await) }).await
}

async fn within_timeout<T>(
    session: &ClusterSession,
    run: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(TIMEOUT, run).await.unwrap_or_else(|_| {
        Err(Error::Call {
            session: session.id().to_owned(),
            source: ClientError::new("exec in the pod", ErrorKind::Deadline(TIMEOUT)),
        })
    })
}

impl Errand {
    /// Waits for the end of a command that was started without input.
    pub(super) async fn of(process: ExecProcess) -> Self {
        carry(process, None).await
    }
}

async fn carry(process: ExecProcess, input: Option<Bytes>) -> Errand {
    let ExecProcess {
        stdin,
        stdout,
        stderr,
        resize: _,
        signals: _,
        end,
        guard: _guard,
    } = process;
    if let (Some(stdin), Some(input)) = (stdin, input) {
        // One that no longer reads has failed, and its end says how.
        let _ = stdin.write(input).await;
        stdin.close();
    }
    let (stdout, stderr, end) = tokio::join!(text(stdout), text(stderr), end);
    Errand { end, stdout, stderr }
}

/// The first bytes of an output, read to its end.
async fn text(mut output: ExecOutput) -> String {
    let mut kept = Vec::new();
    while let Some(piece) = output.next().await {
        let room = CAPTURE - kept.len();
        kept.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}
