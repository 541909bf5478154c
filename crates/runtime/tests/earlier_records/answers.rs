//! What a command answers, without what differs from run to run.

use std::sync::Arc;

use podbay_fake_cluster::ScriptedCluster;
use podbay_k8s_client::{ClusterClient as _, Kind};
use podbay_runtime::{Config, Error, LogRequest, Podbay, Session};
use serde_json::{Value, json};

use crate::fixture::NAMESPACE;

const ID: &str = "s";

/// The commands, by their names on the command line.
pub(crate) const COMMANDS: [&str; 9] = [
    "ls", "show", "exec", "open", "pause", "resume", "close", "delete", "logs",
];

/// Fields of `ls` and `show` that differ from run to run, or tell of the cluster and not of the session.
const VARYING: [&str; 5] = ["created", "ip", "node", "pod", "events"];

/// The answer of a command on the cluster's only session.
pub(crate) async fn answer(command: &str, cluster: &ScriptedCluster) -> Value {
    let podbay = Podbay::with_client(Arc::new(cluster.clone()), Config::default());
    let session = || podbay.existing(ID).unwrap();
    match command {
        "ls" => ls(&podbay).await,
        "show" => told(session().describe().await.map(|shown| steady(json!(shown)))),
        "exec" => told(session().exec(["true"]).await.map(|outcome| json!(outcome.end))),
        "logs" => told(
            session()
                .logs(LogRequest::default())
                .await
                .map(|_| json!("a log")),
        ),
        "open" => {
            let builder = podbay
                .session(ID)
                .image("debian:12")
                .env("TOKEN", "hunter2".to_owned());
            used(builder.open().await).await
        }
        "resume" => used(podbay.resume(ID).await).await,
        "pause" => {
            let paused = told(podbay.pause(ID, true).await.map(|()| json!("paused")));
            json!({"pause": paused, "then": ls(&podbay).await})
        }
        "close" => {
            left(
                told(podbay.close(ID, true).await.map(|closed| json!(closed))),
                cluster,
            )
            .await
        }
        "delete" => {
            left(
                told(podbay.delete(ID, true).await.map(|closed| json!(closed))),
                cluster,
            )
            .await
        }
        other => panic!("{other}"),
    }
}

async fn ls(podbay: &Podbay) -> Value {
    let listed = podbay.list("").await;
    told(listed.map(|sessions| sessions.into_iter().map(|found| steady(json!(found))).collect()))
}

/// What opening came to, and whether a command runs then.
async fn used(opened: Result<Session, Error>) -> Value {
    match opened {
        Ok(session) => {
            let report = session.report();
            json!({
                "attached": report.attached,
                "recreated": report.recreated,
                "resumed": report.resumed,
                "differences": report.differences.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "exec": told(session.exec(["true"]).await.map(|outcome| json!(outcome.end))),
            })
        }
        Err(error) => told(Err(error)),
    }
}

/// The answer, and how many objects are left of each kind.
async fn left(answer: Value, cluster: &ScriptedCluster) -> Value {
    let mut left = Vec::new();
    for kind in [
        Kind::ConfigMap,
        Kind::PersistentVolumeClaim,
        Kind::Secret,
        Kind::Job,
        Kind::Pod,
    ] {
        let count = cluster.list(kind, NAMESPACE, "").await.unwrap().len();
        if count > 0 {
            left.push(format!("{kind} {count}"));
        }
    }
    json!({"answer": answer, "left": left})
}

/// An error by its code, its kind and the cause of its verdict: sentences may improve.
fn told(result: Result<Value, Error>) -> Value {
    result.unwrap_or_else(|error| {
        let debug = format!("{error:?}");
        let kind = debug.split([' ', '{', '(']).next().unwrap_or_default();
        json!({
            "code": error.code(),
            "error": kind,
            "cause": error.verdict().map(|verdict| verdict.cause),
        })
    })
}

/// Without what differs from run to run; of a verdict the cause alone.
fn steady(mut shown: Value) -> Value {
    if let Value::Object(fields) = &mut shown {
        fields.retain(|name, _| !VARYING.contains(&name.as_str()));
        if let Some(verdict) = fields.get_mut("verdict") {
            *verdict = verdict["cause"].take();
        }
    }
    shown
}
