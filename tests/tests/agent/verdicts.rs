//! Why a command has no end of its own: what became of its pod, its node or the connection to it, and whether to try again.
//!
//! The command runs by a real agent up to the moment at which the connection is cut for good. From there on nothing is real but
//! the client: time stands still and jumps.

use podbay_fake_cluster::Incident;
use podbay_k8s_client::ClusterClient as _;
use podbay_runtime::protocol::{Blame, Cause, End, Hint, Retry};
use podbay_runtime::{Error, Outcome, Session};
use tokio::io::AsyncReadExt as _;

use crate::faults::Faults;
use crate::sandbox::{Sandbox, sandbox};

/// A command that has written a line when its connection is cut, and what came of it. `happens` is given the name of its pod.
async fn cut(happens: impl AsyncFnOnce(&Sandbox, &str)) -> Outcome {
    let sandbox = sandbox(Faults::none()).await;
    let (mut reader, writer) = tokio::io::duplex(64);
    let command = sandbox.session.command(["sh", "-c", "echo begun; sleep 1000"]);
    let running = Box::pin(command.stdout(writer).start()).await.unwrap();
    let outcome = tokio::spawn(Box::pin(running.outcome()));
    let mut line = [0; 6];
    reader.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"begun\n");
    tokio::time::pause();
    sandbox.faults.unplug();
    happens(&sandbox, &sandbox.session.pod_name()).await;
    let outcome = outcome.await.unwrap().unwrap();
    assert_eq!(
        (outcome.stdout.bytes, outcome.stdout.truncated),
        (6, true),
        "{outcome:?}"
    );
    assert_eq!(outcome.end.exit_code(), 125, "{outcome:?}");
    assert!(!outcome.success());
    outcome
}

/// Checks who is to blame, and what to do.
fn is(outcome: &Outcome, cause: Cause, blame: Blame, retry: Retry) {
    let verdict = outcome.verdict.as_ref().unwrap();
    assert_eq!(
        (verdict.cause, verdict.blame, verdict.retry),
        (cause, blame, retry),
        "{verdict:?}"
    );
    assert!(!verdict.hint.to_string().is_empty(), "{verdict:?}");
}

fn namespace(sandbox: &Sandbox) -> &str {
    sandbox.session.podbay().namespace()
}

#[tokio::test]
async fn the_pod_ran_out_of_memory() {
    let outcome = cut(async |sandbox, pod| {
        sandbox
            .cluster
            .run_out_of_memory(namespace(sandbox), pod)
            .unwrap();
    })
    .await;
    assert_eq!(outcome.end, End::Killed);
    is(&outcome, Cause::OutOfMemory, Blame::Task, Retry::MoreResources);
}

#[tokio::test]
async fn the_pod_was_evicted() {
    let outcome = cut(async |sandbox, pod| sandbox.cluster.evict(namespace(sandbox), pod).unwrap()).await;
    assert_eq!(outcome.end, End::Killed);
    is(&outcome, Cause::Evicted, Blame::Infrastructure, Retry::Elsewhere);
}

#[tokio::test]
async fn the_pod_was_preempted() {
    let outcome = cut(async |sandbox, pod| sandbox.cluster.preempt(namespace(sandbox), pod).unwrap()).await;
    assert_eq!(outcome.end, End::Killed);
    is(&outcome, Cause::Preempted, Blame::Infrastructure, Retry::Same);
}

#[tokio::test]
async fn the_pod_was_deleted() {
    let outcome = cut(async |sandbox, pod| {
        sandbox
            .cluster
            .happen(namespace(sandbox), pod, &Incident::Delete)
            .unwrap();
    })
    .await;
    assert_eq!(outcome.end, End::Killed);
    is(&outcome, Cause::Deleted, Blame::Infrastructure, Retry::Same);
}

#[tokio::test]
async fn the_pod_was_replaced_by_another_one_of_its_name() {
    let outcome = cut(async |sandbox, pod| {
        let key = podbay_k8s_client::ObjectKey::new(podbay_k8s_client::Kind::Pod, namespace(sandbox), pod);
        let found = sandbox.cluster.get(&key).await.unwrap().unwrap();
        let mut json = serde_json::to_value(found.into_pod().unwrap()).unwrap();
        json.as_object_mut().unwrap().remove("status");
        json["spec"].as_object_mut().unwrap().remove("nodeName");
        for field in ["uid", "resourceVersion", "creationTimestamp"] {
            json["metadata"].as_object_mut().unwrap().remove(field);
        }
        sandbox
            .cluster
            .happen(namespace(sandbox), pod, &Incident::Delete)
            .unwrap();
        while sandbox.cluster.get(&key).await.unwrap().is_some() {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        let again = podbay_k8s_client::Object::from_json(podbay_k8s_client::Kind::Pod, json).unwrap();
        sandbox.cluster.create(again).await.unwrap();
    })
    .await;
    assert_eq!(outcome.end, End::Killed);
    is(&outcome, Cause::Deleted, Blame::Infrastructure, Retry::Same);
}

#[tokio::test]
async fn the_node_was_lost() {
    let outcome = cut(async |sandbox, pod| {
        let node = sandbox.cluster.node_of(namespace(sandbox), pod).unwrap();
        sandbox.cluster.lose_node(&node);
    })
    .await;
    // It may run on there.
    assert!(matches!(outcome.end, End::Lost { .. }), "{outcome:?}");
    is(&outcome, Cause::NodeLost, Blame::Infrastructure, Retry::Elsewhere);
}

#[tokio::test]
async fn the_connection_was_lost_for_longer_than_the_limit() {
    let outcome = cut(async |_, _| {}).await;
    assert!(matches!(outcome.end, End::Lost { .. }), "{outcome:?}");
    is(
        &outcome,
        Cause::ConnectionLost,
        Blame::Infrastructure,
        Retry::Same,
    );
    assert_eq!(outcome.verdict.unwrap().hint, Hint::LookBeforeRunningAgain);
    assert!(outcome.seconds > 50.0, "{}", outcome.seconds);
}

/// The agent itself is ended, and its pod says that it runs: nobody knows how the command ended.
#[tokio::test]
async fn there_is_no_record_of_an_end() {
    let outcome = cut(async |sandbox, _| {
        let agent = sandbox.agent().to_string();
        assert!(
            std::process::Command::new("kill")
                .args(["-9", &agent])
                .status()
                .unwrap()
                .success()
        );
    })
    .await;
    assert!(matches!(outcome.end, End::Lost { .. }), "{outcome:?}");
    is(
        &outcome,
        Cause::ConnectionLost,
        Blame::Infrastructure,
        Retry::Same,
    );
}

/// Of a pod that a pause took away the cluster tells only that it was deleted.
#[tokio::test]
async fn the_session_was_paused() {
    let outcome = cut(async |sandbox, _| {
        sandbox.session.podbay().pause("demo", false).await.unwrap();
    })
    .await;
    assert_eq!(outcome.end, End::Killed);
    is(&outcome, Cause::Deleted, Blame::Configuration, Retry::Same);
    let session = "demo".to_owned();
    assert_eq!(outcome.verdict.unwrap().hint, Hint::Resume { session });
}

/// What each call on a session says of it.
async fn said(session: &Session) -> [Error; 4] {
    let id = "a".parse().unwrap();
    [
        Box::pin(session.exec(["true"])).await.unwrap_err(),
        session.list_processes().await.unwrap_err(),
        session.figures().await.unwrap_err(),
        Box::pin(session.attach(id).output()).await.unwrap_err(),
    ]
}

/// Its agent answers until the pod's time to end is over.
#[tokio::test]
async fn a_session_that_is_paused_takes_nothing_while_its_pod_still_ends() {
    let sandbox = sandbox(Faults::none()).await;
    let podbay = sandbox.session.podbay();
    podbay.pause("demo", false).await.unwrap();
    for error in said(&podbay.existing("demo").unwrap()).await {
        assert!(matches!(error, Error::Paused { .. }), "{error:?}");
    }
}

/// As a command does that ends process 1 of its pod.
#[tokio::test]
async fn a_session_whose_agent_ended_is_told_alike_by_all_who_need_it() {
    let sandbox = sandbox(Faults::none()).await;
    let agent = rustix::process::Pid::from_raw(sandbox.agent().cast_signed()).unwrap();
    rustix::process::kill_process(agent, rustix::process::Signal::KILL).unwrap();
    tokio::time::pause();
    sandbox.faults.unplug();
    let pod = sandbox.session.pod_name();
    sandbox.cluster.exit(namespace(&sandbox), &pod, 0).unwrap();
    let podbay = sandbox.session.podbay();
    for error in said(&podbay.existing("demo").unwrap()).await {
        assert!(matches!(error, Error::Lost { .. }), "{error:?}");
        assert_eq!(
            error.verdict().map(|verdict| verdict.cause),
            Some(Cause::Exited),
            "{error:?}"
        );
    }
}
