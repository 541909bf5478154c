//! Commands in pods, and their logs.

use futures::StreamExt as _;
use podbay_k8s_client::{ExecOutput, ExecRequest, Kind, LogRequest};
use serde_json::{Value, json};

use crate::behaviour::fate::Fate;
use crate::behaviour::stage::holds;
use crate::behaviour::{Observed, Stage};

fn request(container: &str, script: &str) -> ExecRequest {
    ExecRequest {
        container: container.to_owned(),
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        stdin: false,
        tty: false,
    }
}

async fn ready_pod(stage: &Stage) {
    stage.create(Kind::Pod, Fate::Runs.pod("p")).await;
    let key = stage.key(Kind::Pod, "p");
    stage.until(&key, "ready", |state| holds(state, "Ready")).await;
}

async fn try_exec(stage: &Stage, seen: &mut Observed, what: &str, pod: &str, container: &str) {
    let started = stage
        .client
        .exec(&stage.namespace, pod, request(container, "true"))
        .await;
    seen.outcome(what, &started);
}

pub(super) async fn absent_pod(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    try_exec(&stage, &mut seen, "absent", "absent", "main").await;
    stage.create(Kind::Pod, Fate::NoSuchNode.pod("nowhere")).await;
    try_exec(&stage, &mut seen, "without a node", "nowhere", "main").await;
    seen
}

pub(super) async fn absent_container(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    ready_pod(&stage).await;
    try_exec(&stage, &mut seen, "absent", "p", "absent").await;
    seen
}

pub(super) async fn pod_that_has_ended(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage.create(Kind::Pod, Fate::Exits(0).pod("p")).await;
    let key = stage.key(Kind::Pod, "p");
    stage
        .until(&key, "over", |state| state["status"]["phase"] == "Succeeded")
        .await;
    try_exec(&stage, &mut seen, "ended", "p", "main").await;
    seen
}

async fn text(output: ExecOutput) -> String {
    let pieces: Vec<_> = output.collect().await;
    String::from_utf8(pieces.concat()).expect("text")
}

pub(super) async fn output_and_code(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    ready_pod(&stage).await;
    for script in ["true", "echo out; echo err >&2; exit 3", "kill -9 $$"] {
        let process = stage
            .client
            .exec(&stage.namespace, "p", request("main", script))
            .await;
        let process = process.expect("it starts");
        let (stdout, stderr, end) = tokio::join!(text(process.stdout), text(process.stderr), process.end);
        let saw = json!({"stdout": stdout, "stderr": stderr, "end": format!("{end:?}")});
        seen.note(script, saw);
    }
    seen
}

pub(super) async fn logs(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let of = |container: &str, tail_lines| LogRequest {
        container: container.to_owned(),
        tail_lines,
        ..LogRequest::default()
    };
    let absent = stage
        .client
        .logs(&stage.namespace, "absent", of("main", None))
        .await;
    seen.outcome("absent", &absent);
    ready_pod(&stage).await;
    let unknown = stage.client.logs(&stage.namespace, "p", of("other", None)).await;
    seen.outcome("another container", &unknown);
    for tail_lines in [None, Some(0), Some(1)] {
        let log = stage
            .client
            .logs(&stage.namespace, "p", of("main", tail_lines))
            .await;
        let pieces: Vec<_> = log
            .expect("a log")
            .map(|piece| piece.expect("a piece"))
            .collect()
            .await;
        let log = String::from_utf8(pieces.concat()).expect("text");
        seen.note(&format!("last {tail_lines:?} lines"), Value::String(log));
    }
    seen
}
