//! Pods to run in, and commands run to their end.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Container;
use podbay_embedded::{EmbeddedCluster, HOST_IMAGE};
use podbay_fake_cluster::testing::object;
use podbay_k8s_client::{ClusterClient, ExecEnd, ExecOutput, ExecProcess, ExecRequest, Kind, Object};
use serde_json::json;

/// The namespace everything is in.
pub(crate) const NAMESPACE: &str = "test";
/// The pod of [`cluster`], and its container.
pub(crate) const POD: &str = "pod";
/// See [`POD`].
pub(crate) const CONTAINER: &str = "main";

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) end: ExecEnd,
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

pub(crate) fn container() -> Container {
    Container {
        name: CONTAINER.to_owned(),
        image: Some(HOST_IMAGE.to_owned()),
        working_dir: Some("/workspace".to_owned()),
        ..Container::default()
    }
}

pub(crate) fn pod(container: &Container) -> Object {
    let json = json!({"metadata": {"name": POD}, "spec": {"containers": [container]}});
    object(Kind::Pod, NAMESPACE, json)
}

/// A cluster with one pod that runs.
pub(crate) async fn cluster() -> EmbeddedCluster {
    let cluster = EmbeddedCluster::new().unwrap();
    cluster.create(pod(&container())).await.unwrap();
    cluster
}

pub(crate) fn request<'a>(argv: impl IntoIterator<Item = &'a str>) -> ExecRequest {
    let argv = argv.into_iter().map(str::to_owned).collect();
    ExecRequest {
        container: CONTAINER.to_owned(),
        argv,
        stdin: false,
        tty: false,
    }
}

pub(crate) fn shell(script: &str) -> ExecRequest {
    request(["sh", "-c", script])
}

pub(crate) async fn start(cluster: &EmbeddedCluster, request: ExecRequest) -> ExecProcess {
    cluster.exec(NAMESPACE, POD, request).await.unwrap()
}

/// Runs a command to its end.
pub(crate) async fn run(cluster: &EmbeddedCluster, request: ExecRequest) -> Ran {
    within(finish(start(cluster, request).await)).await
}

/// Reads a command's output to its end, side by side.
pub(crate) async fn finish(process: ExecProcess) -> Ran {
    let ExecProcess {
        stdin,
        stdout,
        stderr,
        resize: _resize,
        signals: _signals,
        end,
        guard,
    } = process;
    drop(stdin);
    let (stdout, stderr, end) = tokio::join!(read(stdout), read(stderr), end);
    drop(guard);
    Ran { end, stdout, stderr }
}

pub(crate) async fn read(output: ExecOutput) -> Vec<u8> {
    output.collect::<Vec<Bytes>>().await.concat()
}

/// Reads an output up to and with the first `mark`.
pub(crate) async fn read_until(output: &mut ExecOutput, mark: &str) -> String {
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
pub(crate) async fn read_pid(output: &mut ExecOutput) -> u32 {
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
