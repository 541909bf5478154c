//! A session without an agent, whose commands an API server's exec carries: the scripted cluster's, which runs them here.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use podbay_config::Config;
use podbay_fake_cluster::{ExecAnswer, ExecCall, ExecStreams, ScriptedCluster};
use podbay_k8s_client::ExecEnd;
use podbay_runtime::{Podbay, Session};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::mpsc;

/// Bytes in one message, at most, as the API server has it.
const MESSAGE: usize = 32 * 1024;

/// A session without an agent.
pub(crate) struct Container {
    pub(crate) session: Session,
    _directory: tempfile::TempDir,
}

pub(crate) async fn container() -> Container {
    let cluster = ScriptedCluster::new();
    let directory = tempfile::tempdir().unwrap();
    let workspace: PathBuf = directory.path().to_owned();
    cluster.answer_exec_with(move |_: &ExecCall| {
        let workspace = workspace.clone();
        Some(ExecAnswer::by(move |call, streams| {
            let workspace = workspace.clone();
            async move { run(call, streams, &workspace).await }
        }))
    });
    let mut config = Config::default();
    config.agent.delivery = podbay_config::AgentDelivery::None;
    config.workspace_mount_path_in_sandbox = directory.path().display().to_string();
    let podbay = Podbay::with_client(Arc::new(cluster), config);
    let session = podbay.session("demo").image("debian:12").open().await.unwrap();
    Container {
        session,
        _directory: directory,
    }
}

/// Runs a command as a container's runtime does.
async fn run(call: ExecCall, streams: ExecStreams, workspace: &Path) -> ExecEnd {
    let ExecStreams {
        stdin,
        stdout,
        stderr,
    } = streams;
    let argv = call.request.argv;
    let spawned = Command::new(&argv[0])
        .args(&argv[1..])
        .current_dir(workspace)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(if stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Whoever gives a command up closes its connection.
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            return ExecEnd::NotStarted {
                reason: "InternalError".to_owned(),
                message: format!("exec: {:?}: {error}", argv[0]),
            };
        }
    };
    let feeding = child.stdin.take().zip(stdin).map(|(mut sink, mut pieces)| {
        tokio::spawn(async move {
            while let Some(piece) = pieces.recv().await {
                if sink.write_all(&piece).await.is_err() {
                    return;
                }
            }
        })
    });
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (status, (), ()) = tokio::join!(child.wait(), carry(out, stdout), carry(err, stderr));
    if let Some(feeding) = feeding {
        feeding.abort();
    }
    let status = status.unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    let code = status.code().unwrap_or_else(|| 128 + signal.unwrap_or_default());
    ExecEnd::Exited { code }
}

async fn carry(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Bytes>) {
    let mut buffer = vec![0; MESSAGE];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        // A reader who left does not stop the command.
        let _ = to.send(Bytes::copy_from_slice(&buffer[..read])).await;
    }
}
