//! Every state from records, pods and events at a given time: no cluster, no clock.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use podbay_config::Config;
use podbay_manifests::{
    CreationValues, Record, RecordError, RuntimeId, ServerKind, SessionKey, SessionRequest, SessionSpec,
};
use podbay_protocol::{Cause, Degraded, PhaseTimes, SessionState, StartFailure, StartPhase, Verdict};
use serde_json::{Value, json};

use super::session_state;
use crate::pod::preferred_pod;

const UID: &str = "record-uid";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A record written at second 0.
fn record(server: bool) -> Record {
    let request = SessionRequest {
        image: Some("debian:12".to_owned()),
        server: server.then_some(ServerKind::Image),
        ..SessionRequest::default()
    };
    let (spec, _) =
        SessionSpec::validate("demo".parse().unwrap(), "default", &Config::default(), request).unwrap();
    let values = CreationValues {
        nonce: "nonce".to_owned(),
        runtime_id: RuntimeId::from_random([1; 16]),
        key: SessionKey::from_random([2; 32]),
    };
    let mut object = podbay_manifests::record::record(&spec, &values);
    object.metadata.uid = Some(UID.to_owned());
    object.metadata.creation_timestamp = Some(Time(at(0)));
    Record::parse(&object).unwrap()
}

fn plain() -> Record {
    record(false)
}

fn paused() -> Record {
    Record {
        paused: true,
        ..plain()
    }
}

/// One whose start failed, for the second time, at second 5.
fn failed() -> Record {
    let verdict = Verdict::new(Cause::ImageNotFound, "manifest unknown", "mend the name");
    Record {
        last_failure: Some(Box::new(StartFailure::new(
            verdict,
            PhaseTimes::default(),
            2,
            at(5),
        ))),
        ..plain()
    }
}

/// A pod of the record with this UID, that was created at second 1.
fn pod_of(record: &str, status: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": "p",
            "uid": "u",
            "creationTimestamp": at(1).to_string(),
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "r", "uid": record}],
        },
        "status": status,
    }))
    .unwrap()
}

fn pod(status: &Value) -> Pod {
    pod_of(UID, status)
}

fn deleted(pod: Pod) -> Pod {
    let mut pod = pod;
    pod.metadata.deletion_timestamp = Some(Time(at(1000)));
    pod
}

fn with_container(conditions: &Value, state: &Value) -> Pod {
    pod(&json!({
        "conditions": conditions,
        "containerStatuses":
            [{"name": "runtime", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}],
    }))
}

fn condition(kind: &str, holds: bool, since: i64) -> Value {
    let status = if holds { "True" } else { "False" };
    json!({"type": kind, "status": status, "lastTransitionTime": at(since).to_string()})
}

fn scheduled() -> Value {
    condition("PodScheduled", true, 2)
}

fn running() -> Pod {
    with_container(
        &json!([scheduled()]),
        &json!({"running": {"startedAt": at(5).to_string()}}),
    )
}

fn waiting(reason: &str, message: &str) -> Pod {
    with_container(
        &json!([scheduled()]),
        &json!({"waiting": {"reason": reason, "message": message}}),
    )
}

fn ended(code: i32) -> Pod {
    with_container(
        &json!([scheduled()]),
        &json!({"terminated": {"exitCode": code, "reason": "Error"}}),
    )
}

/// A pod whose server has (not) answered since a second; its container started at second 5.
fn server(answers: bool, since: i64) -> Pod {
    let mut pod = with_container(
        &json!([
            scheduled(),
            condition("ContainersReady", answers, since),
            condition("Ready", answers, since)
        ]),
        &json!({"running": {"startedAt": at(5).to_string()}}),
    );
    let status = pod.status.as_mut().unwrap();
    status.container_statuses.as_mut().unwrap()[0].ready = answers;
    pod
}

fn event(reason: &str, message: &str) -> Event {
    serde_json::from_value(
        json!({"metadata": {}, "involvedObject": {}, "reason": reason, "message": message}),
    )
    .unwrap()
}

/// What a table expects: the word of the state and the cause of its verdict.
fn told(state: &SessionState) -> (&'static str, Option<Cause>) {
    (state.as_str(), state.verdict().map(|verdict| verdict.cause))
}

/// Checks the word of the state and the cause of its verdict, long after the record was written.
fn check(what: &str, record: &Record, pods: &[Pod], expected: (&str, Option<Cause>)) {
    let state = session_state(Ok(record), pods, None, at(3600));
    assert_eq!(told(&state), expected, "{what}");
}

#[test]
fn a_start_is_told_by_its_step_until_the_session_is_ready() {
    let on_node = pod(&json!({"conditions": [scheduled()]}));
    let with_sandbox = pod(&json!({"conditions": [condition("PodReadyToStartContainers", true, 3)]}));
    let (plain, server_session) = (plain(), record(true));
    check("no status", &plain, &[pod(&json!({}))], ("Scheduling", None));
    check("on a node", &plain, &[on_node], ("Preparing", None));
    check("with its sandbox", &plain, &[with_sandbox], ("Starting", None));
    check("its container runs", &plain, &[running()], ("Ready", None));
    check(
        "a server not asked yet",
        &server_session,
        &[running()],
        ("Starting", None),
    );
    check(
        "a server that answers",
        &server_session,
        &[server(true, 6)],
        ("Ready", None),
    );
}

#[test]
fn a_session_whose_pod_is_no_more_is_lost() {
    let conditions = json!([
        scheduled(),
        condition("Ready", false, 9),
        condition("ContainersReady", true, 6)
    ]);
    let unreachable = with_container(&conditions, &json!({"running": {"startedAt": at(5).to_string()}}));
    let plain = plain();
    check("a record alone", &plain, &[], ("Lost", Some(Cause::Deleted)));
    check(
        "a program that ended",
        &plain,
        &[ended(3)],
        ("Lost", Some(Cause::Exited)),
    );
    check(
        "a pod being deleted",
        &plain,
        &[deleted(running())],
        ("Lost", Some(Cause::Deleted)),
    );
    check(
        "a node that does not answer",
        &plain,
        &[unreachable],
        ("Lost", Some(Cause::NodeLost)),
    );
}

#[test]
fn a_pause_and_a_close_are_told_by_the_record() {
    let paused = paused();
    check("a pause that is done", &paused, &[], ("Paused", None));
    check(
        "a pause under way",
        &paused,
        &[deleted(running())],
        ("Paused", None),
    );
    check("a paused pod that ended", &paused, &[ended(0)], ("Paused", None));
    check(
        "a pause that only marked the record",
        &paused,
        &[running()],
        ("Ready", None),
    );
    let closing = Record {
        deleted: Some(Time(at(9))),
        ..plain()
    };
    check(
        "a record being deleted",
        &closing,
        &[running()],
        ("Stopping", None),
    );
    check("a record held by a finalizer", &closing, &[], ("Stopping", None));
}

#[test]
fn a_record_that_can_not_be_read_says_nothing_of_its_session() {
    let error = RecordError::Missing {
        record: "r".to_owned(),
        part: "spec",
    };
    assert_eq!(
        session_state(Err(&error), [&running()], None, at(9)),
        SessionState::Unreadable
    );
}

#[test]
fn a_young_record_without_a_pod_is_being_created_and_an_old_one_is_lost() {
    let creating = SessionState::Starting(StartPhase::Creating);
    for (second, starting) in [
        (0, true),
        (29, true),
        (30, false),
        (3600, false),
        (-29, true),
        (-30, false),
    ] {
        let state = session_state(Ok(&plain()), [], None, at(second));
        assert_eq!(state == creating, starting, "at {second}: {state}");
    }
    let undated = Record {
        created: None,
        ..plain()
    };
    assert_eq!(
        told(&session_state(Ok(&undated), [], None, at(1))),
        ("Lost", Some(Cause::Deleted))
    );
}

#[test]
fn a_pod_of_an_earlier_record_is_not_the_sessions_own() {
    let earlier = deleted(pod_of("earlier-uid", &json!({"conditions": [scheduled()]})));
    let state = |pods: &[Pod]| session_state(Ok(&plain()), pods, None, at(3600));
    assert_eq!(
        state(std::slice::from_ref(&earlier)),
        SessionState::Starting(StartPhase::Creating)
    );
    assert_eq!(state(&[earlier.clone(), running()]), SessionState::Ready(None));
    assert_eq!(told(&state(&[ended(1), earlier])), ("Lost", Some(Cause::Exited)));
}

#[test]
fn a_jobs_pod_is_told_from_others_by_the_label_alone() {
    let mut pod = running();
    for reference in pod.metadata.owner_references.iter_mut().flatten() {
        "Job".clone_into(&mut reference.kind);
        "job-uid".clone_into(&mut reference.uid);
    }
    assert_eq!(
        session_state(Ok(&plain()), [&pod], None, at(3600)),
        SessionState::Ready(None)
    );
}

#[test]
fn what_only_events_tell_is_not_guessed_without_them() {
    let denied = || {
        let mut pod = waiting("ErrImagePull", "401 unauthorized");
        pod.spec = Some(
            serde_json::from_value(json!({"containers": [], "imagePullSecrets": [{"name": "s"}]})).unwrap(),
        );
        pod
    };
    let sandbox = event("FailedCreatePodSandBox", "no network");
    let preempted = event("Preempted", "by a pod on node n");
    let check = |what: &str, pod: &Pod, events: Option<&[Event]>, expected: (&str, Option<Cause>)| {
        let state = session_state(Ok(&plain()), [pod], events, at(3600));
        assert_eq!(told(&state), expected, "{what}");
    };
    let timed_out = waiting("ErrImagePull", "i/o timeout");
    check("a pull that may succeed", &timed_out, None, ("Preparing", None));
    check(
        "the same, with events",
        &timed_out,
        Some(&[]),
        ("Preparing", None),
    );
    let unknown = waiting("ErrImagePull", "manifest unknown");
    check(
        "no such image",
        &unknown,
        None,
        ("Failed", Some(Cause::ImageNotFound)),
    );
    check(
        "a refused pull with secrets",
        &denied(),
        None,
        ("Preparing", None),
    );
    check(
        "the same, with events",
        &denied(),
        Some(&[]),
        ("Failed", Some(Cause::ImageDenied)),
    );
    let on_node = pod(&json!({"conditions": [scheduled()]}));
    check(
        "a sandbox that may come",
        &on_node,
        Some(&[sandbox]),
        ("Preparing", None),
    );
    let preempted = [preempted];
    check(
        "an end without a reason",
        &ended(0),
        None,
        ("Lost", Some(Cause::Exited)),
    );
    check(
        "the same, with its event",
        &ended(0),
        Some(&preempted),
        ("Lost", Some(Cause::Preempted)),
    );
    check(
        "a pod that lives on",
        &running(),
        Some(&preempted),
        ("Ready", None),
    );
}

#[test]
fn a_server_that_stopped_answering_is_ready_with_a_complaint() {
    let silent = |message: Option<&str>| {
        SessionState::Ready(Some(Degraded::ServerUnresponsive {
            since: at(60),
            message: message.map(str::to_owned),
        }))
    };
    let state = |record: &Record, pod: &Pod, events: Option<&[Event]>| {
        session_state(Ok(record), [pod], events, at(3600))
    };
    let (with_server, stopped) = (record(true), server(false, 60));
    assert_eq!(state(&with_server, &stopped, None), silent(None));
    let events = [
        event(
            "Unhealthy",
            "Startup probe failed: Get \"http://h/alive\": connection refused",
        ),
        event(
            "Unhealthy",
            "Readiness probe failed: Get \"http://h/alive\": context deadline exceeded",
        ),
        event("Pulled", "done"),
    ];
    assert_eq!(
        state(&with_server, &stopped, Some(&events)),
        silent(Some("Get \"http://h/alive\": context deadline exceeded"))
    );
    assert_eq!(state(&with_server, &stopped, Some(&events[..1])), silent(None));
    // It has not answered yet: the kubelet wrote the condition when it took the pod on.
    for before in [3, 5] {
        let state = state(&with_server, &server(false, before), None);
        assert_eq!(
            state,
            SessionState::Starting(StartPhase::Starting),
            "since {before}"
        );
    }
    // Nothing in a plain session has to answer.
    assert_eq!(state(&plain(), &stopped, None), SessionState::Ready(None));
}

#[test]
fn of_several_pods_the_youngest_that_lives_counts() {
    let named = |name: &str, pod: Pod, second: i64| {
        let mut pod = pod;
        pod.metadata.name = Some(name.to_owned());
        pod.metadata.creation_timestamp = Some(Time(at(second)));
        pod
    };
    let failed = pod(&json!({"phase": "Failed"}));
    let pods = [
        named("old", running(), 1),
        named("young", running(), 2),
        named("going", deleted(running()), 3),
        named("failed", failed, 4),
    ];
    let name = |pods: &[Pod]| preferred_pod(pods).and_then(|pod| pod.metadata.name.clone());
    assert_eq!(name(&pods).as_deref(), Some("young"));
    assert_eq!(name(&pods[2..]).as_deref(), Some("failed"));
    assert_eq!(name(&[]), None);
}

#[test]
fn a_failed_session_is_that_whatever_is_left_of_its_pod() {
    let verdict = ("Failed", Some(Cause::ImageNotFound));
    check("no pod", &failed(), &[], verdict);
    let on_node = pod(&json!({"conditions": [scheduled()]}));
    for pod in [
        on_node,
        running(),
        ended(1),
        deleted(running()),
        waiting("ErrImagePull", "m"),
    ] {
        check("with a pod", &failed(), &[pod], verdict);
    }
    // The pod of an earlier session of the name says nothing of this one.
    check(
        "a pod of another",
        &failed(),
        &[pod_of("other", &json!({}))],
        verdict,
    );
}

#[test]
fn a_failed_session_that_is_paused_or_closed_is_told_as_that() {
    let paused = Record {
        paused: true,
        ..failed()
    };
    check("paused", &paused, &[], ("Paused", None));
    let closed = Record {
        deleted: Some(Time(at(1000))),
        ..failed()
    };
    check("closed", &closed, &[], ("Stopping", None));
}

#[test]
fn one_that_is_started_again_begins_once_more() {
    let again = |second| Record {
        started_again: Some(at(second)),
        ..plain()
    };
    check("a while ago", &again(3000), &[], ("Lost", Some(Cause::Deleted)));
    check("a moment ago", &again(3590), &[], ("Creating", None));
    check(
        "by another clock",
        &again(3700),
        &[],
        ("Lost", Some(Cause::Deleted)),
    );
    check("its pod runs", &again(3590), &[running()], ("Ready", None));
}
