//! An exec subresource that runs commands on this machine: the fallback where there is no agent.

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

/// A session without an agent, whose commands run on this machine.
pub(crate) async fn session_by_exec() -> Session {
    let cluster = ScriptedCluster::new();
    cluster.answer_exec_with(|_| Some(ExecAnswer::by(run)));
    let mut config = Config::default();
    config.agent.delivery = podbay_config::AgentDelivery::None;
    let podbay = Podbay::with_client(Arc::new(cluster), config);
    podbay.session("demo").image("debian:12").open().await.unwrap()
}

async fn run(call: ExecCall, streams: ExecStreams) -> ExecEnd {
    let (program, arguments) = call.request.argv.split_first().unwrap();
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            return ExecEnd::NotStarted {
                reason: "InternalError".to_owned(),
                message: error.to_string(),
            };
        }
    };
    let ExecStreams {
        stdin,
        stdout,
        stderr,
    } = streams;
    let mut input = child.stdin.take().unwrap();
    let writing = tokio::spawn(async move {
        if let Some(mut stdin) = stdin {
            while let Some(piece) = stdin.recv().await {
                if input.write_all(&piece).await.is_err() {
                    return;
                }
            }
        }
    });
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    tokio::join!(pass(out, stdout), pass(err, stderr));
    let status = child.wait().await.unwrap();
    writing.abort();
    ExecEnd::Exited {
        code: status.code().unwrap_or(137),
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Bytes>) {
    let mut buffer = vec![0; 32 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if to.send(Bytes::copy_from_slice(&buffer[..read])).await.is_err() {
            return;
        }
    }
}
