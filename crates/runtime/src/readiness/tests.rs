//! The state machine over scripted pods and times: no cluster, no clock.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_protocol::{Blame, Cause, Retry, StartPhase};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::end::{end_by_events, end_of_pod};
use super::progress::{Decision, GracePeriods, StartMonitor};

const GRACES: GracePeriods = GracePeriods {
    start: Duration::from_secs(300),
    unschedulable: Duration::from_secs(4),
    capacity: Duration::from_secs(60),
    image_pull: Duration::from_secs(20),
    config: Duration::from_secs(3),
    volume: Duration::from_secs(30),
    claim: Duration::from_secs(30),
    node: Duration::from_secs(10),
};

fn pod(status: &Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p", "uid": "u"}, "status": status})).unwrap()
}

fn event(reason: &str, message: &str) -> Event {
    serde_json::from_value(
        json!({"metadata": {}, "involvedObject": {}, "reason": reason, "message": message}),
    )
    .unwrap()
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message})
}

fn unschedulable(message: &str) -> Pod {
    pod(&json!({"conditions": [condition("PodScheduled", "False", "Unschedulable", message)]}))
}

fn scheduled(state: &Value) -> Pod {
    pod(&json!({
        "conditions": [condition("PodScheduled", "True", "", "")],
        "containerStatuses": [{"name": "runtime", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}],
    }))
}

fn waiting(reason: &str, message: &str) -> Pod {
    scheduled(&json!({"waiting": {"reason": reason, "message": message}}))
}

fn start() -> (StartMonitor, Instant) {
    let now = Instant::now();
    (
        StartMonitor::new(GRACES, false, Duration::from_millis(10), now),
        now,
    )
}

fn cause(decision: Decision) -> Cause {
    match decision {
        Decision::GiveUp(verdict) => verdict.cause,
        other => panic!("{other:?} is no verdict"),
    }
}

#[test]
fn a_pod_that_runs_is_ready_and_its_steps_are_timed() {
    let (mut start, begun) = start();
    let after = |millis| begun + Duration::from_millis(millis);
    assert_eq!(
        start.observe(None, &[], begun),
        Decision::Wait(begun + GRACES.start)
    );
    start.observe(Some(&waiting("ContainerCreating", "")), &[], after(100));
    assert_eq!(start.phase(), StartPhase::Preparing);
    let running = scheduled(&json!({"running": {}}));
    assert_eq!(start.observe(Some(&running), &[], after(400)), Decision::Ready);
    let times = start.times(after(400));
    let near = |seconds: f64, expected: f64| (seconds - expected).abs() < 1e-9;
    assert!(
        near(times.creating, 0.01) && near(times.scheduling, 0.1) && near(times.preparing, 0.3),
        "{times:?}"
    );
    assert!(near(times.total, 0.41), "{times:?}");
}

#[test]
fn an_image_with_a_server_is_ready_when_its_probe_says_so() {
    let begun = Instant::now();
    let mut start = StartMonitor::new(GRACES, true, Duration::ZERO, begun);
    let running = scheduled(&json!({"running": {}}));
    assert!(matches!(
        start.observe(Some(&running), &[], begun),
        Decision::Wait(_)
    ));
    let mut ready = running;
    let containers = ready
        .status
        .as_mut()
        .unwrap()
        .container_statuses
        .as_mut()
        .unwrap();
    containers[0].ready = true;
    assert_eq!(start.observe(Some(&ready), &[], begun), Decision::Ready);
}

#[test]
fn what_cannot_get_better_is_told_at_once() {
    for (pod, expected) in [
        (
            waiting("ErrImagePull", "docker.io/x:1: not found"),
            Cause::ImageNotFound,
        ),
        (waiting("ErrImagePull", "401 Unauthorized"), Cause::ImageDenied),
        (waiting("InvalidImageName", "x"), Cause::ImageInvalid),
        (
            scheduled(&json!({"terminated": {"exitCode": 128, "reason": "StartError",
                "message": "exec: \"/bin/sh\": stat /bin/sh: no such file or directory"}})),
            Cause::ImageUnsupported,
        ),
        (
            scheduled(&json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})),
            Cause::OutOfMemory,
        ),
        (
            scheduled(&json!({"terminated": {"exitCode": 1, "reason": "Error"}})),
            Cause::Exited,
        ),
    ] {
        let (mut start, begun) = start();
        assert_eq!(cause(start.observe(Some(&pod), &[], begun)), expected);
    }
}

/// Trouble that may pass: nothing before its grace is over, then one look at the events, then the verdict.
#[test]
fn what_may_get_better_is_waited_for() {
    for (pod, grace, expected) in [
        (
            waiting("ErrImagePull", "connection refused"),
            GRACES.image_pull,
            Cause::ImagePull,
        ),
        (
            unschedulable("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."),
            GRACES.unschedulable,
            Cause::NodeMismatch,
        ),
        (
            unschedulable(
                "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
            ),
            GRACES.capacity,
            Cause::Capacity,
        ),
        (
            unschedulable("pod has unbound immediate PersistentVolumeClaims"),
            GRACES.claim,
            Cause::ClaimPending,
        ),
        (
            waiting("CreateContainerConfigError", "secret \"x\" not found"),
            GRACES.config,
            Cause::ContainerConfig,
        ),
    ] {
        let (mut start, begun) = start();
        let mut seen = begun;
        if expected == Cause::ClaimPending {
            // One look before, at what is said of the claim itself.
            seen = begun + Duration::from_secs(5);
            assert_eq!(start.observe(Some(&pod), &[], begun), Decision::Wait(seen));
            assert_eq!(start.observe(Some(&pod), &[], seen), Decision::ReadEvents);
        }
        assert_eq!(
            start.observe(Some(&pod), &[], seen),
            Decision::Wait(begun + grace),
            "{expected}"
        );
        let almost = begun + grace - Duration::from_millis(1);
        assert_eq!(
            start.observe(Some(&pod), &[], almost),
            Decision::Wait(begun + grace)
        );
        assert_eq!(
            start.observe(Some(&pod), &[], begun + grace),
            Decision::ReadEvents
        );
        assert_eq!(cause(start.observe(Some(&pod), &[], begun + grace)), expected);
    }
}

#[test]
fn trouble_that_passes_is_forgotten() {
    let (mut start, begun) = start();
    let later = begun + Duration::from_secs(15);
    start.observe(Some(&waiting("ErrImagePull", "connection refused")), &[], begun);
    start.observe(Some(&waiting("ContainerCreating", "")), &[], later);
    let failing = waiting("ErrImagePull", "connection refused");
    assert_eq!(
        start.observe(Some(&failing), &[], later),
        Decision::Wait(later + GRACES.image_pull)
    );
}

#[test]
fn a_pull_that_fails_and_backs_off_is_one_trouble_with_its_first_words() {
    let (mut start, begun) = start();
    start.observe(Some(&waiting("ErrImagePull", "connection refused")), &[], begun);
    let backing_off = waiting("ImagePullBackOff", "Back-off pulling image \"x\"");
    let over = begun + GRACES.image_pull;
    assert_eq!(start.observe(Some(&backing_off), &[], over), Decision::ReadEvents);
    match start.observe(Some(&backing_off), &[], over) {
        Decision::GiveUp(verdict) => assert_eq!(verdict.message, "connection refused"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_autoscaler_at_work_is_waited_for() {
    let (mut start, begun) = start();
    let pod = unschedulable("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.");
    start.observe(Some(&pod), &[], begun);
    let over = begun + GRACES.unschedulable;
    assert_eq!(start.observe(Some(&pod), &[], over), Decision::ReadEvents);
    let events = [event("TriggeredScaleUp", "pod triggered scale-up")];
    let deadline = begun + GRACES.start;
    assert_eq!(start.observe(Some(&pod), &events, over), Decision::Wait(deadline));
    assert_eq!(
        cause(start.observe(Some(&pod), &events, deadline)),
        Cause::NodeMismatch
    );
}

#[test]
fn a_volume_that_cannot_be_mounted_shows_in_events_alone() {
    let (mut start, begun) = start();
    let pod = waiting("ContainerCreating", "");
    let first = begun + Duration::from_secs(5);
    assert_eq!(start.observe(Some(&pod), &[], begun), Decision::Wait(first));
    assert_eq!(start.observe(Some(&pod), &[], first), Decision::ReadEvents);
    let events = [event("FailedMount", "MountVolume.SetUp failed for volume \"x\"")];
    // It may pass, and is looked at again before it is given up.
    let over = begun + GRACES.volume;
    assert_eq!(start.observe(Some(&pod), &events, first), Decision::Wait(over));
    assert_eq!(start.observe(Some(&pod), &events, over), Decision::ReadEvents);
    assert_eq!(cause(start.observe(Some(&pod), &events, over)), Cause::Volume);
    // Without such an event it goes on, and is looked at again as much later.
    let mut start = StartMonitor::new(GRACES, false, Duration::ZERO, begun);
    start.observe(Some(&pod), &[], begun);
    start.observe(Some(&pod), &[], first);
    assert_eq!(
        start.observe(Some(&pod), &[], first),
        Decision::Wait(first + GRACES.volume)
    );
}

#[test]
fn a_volume_of_what_is_not_there_is_told_at_the_first_look() {
    let (mut start, begun) = start();
    let pod = waiting("ContainerCreating", "");
    let first = begun + Duration::from_secs(5);
    start.observe(Some(&pod), &[], begun);
    assert_eq!(start.observe(Some(&pod), &[], first), Decision::ReadEvents);
    let events = [event(
        "FailedMount",
        "MountVolume.SetUp failed for volume \"v\" : configmap \"x\" not found",
    )];
    assert_eq!(
        cause(start.observe(Some(&pod), &events, first)),
        Cause::ContainerConfig
    );
}

#[test]
fn a_claim_that_is_not_there_has_the_grace_of_the_configuration() {
    let (mut start, begun) = start();
    let pod = unschedulable("0/1 nodes are available: persistentvolumeclaim \"x\" not found. not found");
    let over = begun + GRACES.config;
    assert_eq!(start.observe(Some(&pod), &[], begun), Decision::Wait(over));
    assert_eq!(start.observe(Some(&pod), &[], over), Decision::ReadEvents);
    assert_eq!(cause(start.observe(Some(&pod), &[], over)), Cause::ClaimPending);
}

#[test]
fn a_refused_pull_with_credentials_has_its_events_read_once() {
    let (mut start, begun) = start();
    let mut pod = waiting("ErrImagePull", "401 Unauthorized");
    pod.spec =
        serde_json::from_value(json!({"containers": [], "imagePullSecrets": [{"name": "nope"}]})).unwrap();
    assert_eq!(start.observe(Some(&pod), &[], begun), Decision::ReadEvents);
    let events = [event(
        "FailedToRetrieveImagePullSecret",
        "Unable to retrieve some image pull secrets (nope); attempting to pull the image may not succeed.",
    )];
    match start.observe(Some(&pod), &events, begun) {
        Decision::GiveUp(verdict) => {
            assert_eq!(verdict.cause, Cause::ImageDenied);
            assert!(
                verdict.hint.to_string().contains("Secret nope"),
                "{}",
                verdict.hint
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_wrong_and_nothing_ready_ends_at_the_deadline() {
    let (mut start, begun) = start();
    let deadline = begun + GRACES.start;
    assert_eq!(cause(start.observe(None, &[], deadline)), Cause::Deadline);
}

#[test]
fn the_end_of_a_pod_is_told_by_its_conditions() {
    let ended = |reason: &str, disruption: &str| {
        let mut conditions = Vec::new();
        if !disruption.is_empty() {
            conditions.push(condition("DisruptionTarget", "True", disruption, "said so"));
        }
        end_of_pod(&pod(
            &json!({"phase": "Failed", "reason": reason, "conditions": conditions}),
        ))
        .unwrap()
        .cause
    };
    assert_eq!(ended("Evicted", ""), Cause::Evicted);
    assert_eq!(ended("", "EvictionByEvictionAPI"), Cause::Evicted);
    assert_eq!(ended("Evicted", "TerminationByKubelet"), Cause::Evicted);
    assert_eq!(ended("", "PreemptionByScheduler"), Cause::Preempted);
    assert_eq!(ended("", "DeletionByTaintManager"), Cause::NodeLost);
    assert_eq!(ended("", "DeletionByPodGC"), Cause::NodeLost);
    assert_eq!(ended("Terminated", "TerminationByKubelet"), Cause::NodeLost);
    assert_eq!(ended("DeadlineExceeded", ""), Cause::Deadline);
    assert_eq!(ended("OutOfcpu", ""), Cause::Capacity);
    let running = scheduled(&json!({"running": {}}));
    assert_eq!(end_of_pod(&running), None);
    let mut deleted = running;
    deleted.metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    assert_eq!(end_of_pod(&deleted).unwrap().cause, Cause::Deleted);
}

#[test]
fn an_eviction_for_disk_names_the_limit() {
    let evicted = |message: &str| {
        end_of_pod(&pod(
            &json!({"phase": "Failed", "reason": "Evicted", "message": message}),
        ))
        .unwrap()
        .hint
        .to_string()
    };
    let workspace = evicted("Usage of EmptyDir volume \"workspace\" exceeds the limit \"64Mi\". ");
    assert!(workspace.contains("workspace_size_limit"), "{workspace}");
    let storage = evicted("Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ");
    assert!(storage.contains("resource_ephemeral_storage_limit"), "{storage}");
    let node = evicted("The node was low on resource: memory.");
    assert!(node.contains("another try"), "{node}");
}

/// A program of the image's own that ends with 0 when it is asked to: the kubelet writes `Succeeded`, without a reason.
#[test]
fn events_tell_of_an_end_that_the_pod_does_not() {
    for (reason, expected) in [
        ("Evicted", Cause::Evicted),
        ("DeadlineExceeded", Cause::Deadline),
        ("Preempted", Cause::Preempted),
        ("TaintManagerEviction", Cause::NodeLost),
    ] {
        let events = [
            event("Started", ""),
            event(reason, "said so"),
            event("Killing", "Stopping container runtime"),
        ];
        let verdict = end_by_events(&events).unwrap();
        assert_eq!((verdict.cause, &*verdict.message), (expected, "said so"));
    }
    assert_eq!(end_by_events(&[event("Killing", "Stopping")]), None);
}

#[test]
fn a_program_that_ends_with_its_deleted_pod_is_not_to_blame() {
    let ended = |finished: &str, code: i32| {
        let mut pod =
            scheduled(&json!({"terminated": {"exitCode": code, "reason": "Error", "finishedAt": finished}}));
        pod.metadata.deletion_timestamp =
            Some(serde_json::from_value(json!("2026-01-01T00:00:30Z")).unwrap());
        pod.metadata.deletion_grace_period_seconds = Some(30);
        end_of_pod(&pod).unwrap().cause
    };
    assert_eq!(ended("2026-01-01T00:00:00Z", 143), Cause::Deleted);
    assert_eq!(ended("2026-01-01T00:00:01Z", 1), Cause::Deleted);
    assert_eq!(ended("2025-12-31T23:59:59Z", 1), Cause::Exited);
}

#[test]
fn a_node_that_stops_answering_has_a_grace() {
    let (mut start, begun) = start();
    let pod = pod(&json!({"phase": "Running", "conditions": [
        condition("PodScheduled", "True", "", ""), condition("ContainersReady", "True", "", ""), condition("Ready", "False", "", "")]}));
    assert_eq!(
        start.observe(Some(&pod), &[], begun),
        Decision::Wait(begun + GRACES.node)
    );
    start.observe(Some(&pod), &[], begun + GRACES.node);
    assert_eq!(
        cause(start.observe(Some(&pod), &[], begun + GRACES.node)),
        Cause::NodeLost
    );
}

fn server(ready: bool, ready_since: &str) -> Pod {
    pod(&json!({
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "ContainersReady", "status": if ready { "True" } else { "False" }, "lastTransitionTime": ready_since},
        ],
        "containerStatuses": [{"name": "runtime", "image": "", "imageID": "", "ready": ready, "started": true, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:10Z"}}}],
    }))
}

#[test]
fn a_server_that_never_answers_is_told_with_the_answer_to_its_probe() {
    let refused = event(
        "Unhealthy",
        "Startup probe failed: Get \"http://10.44.0.5:8080/alive\": dial tcp 10.44.0.5:8080: connect: connection refused",
    );
    let events = std::slice::from_ref(&refused);
    let silent = server(false, "2026-01-01T00:00:00Z");
    for (started_after, blame, retry) in [
        (1, Blame::Configuration, Retry::Never),
        // The image took nearly all the time there was.
        (290, Blame::Infrastructure, Retry::Same),
    ] {
        let begun = Instant::now();
        let mut start = StartMonitor::new(GRACES, true, Duration::ZERO, begun);
        let deadline = begun + GRACES.start;
        let started = begun + Duration::from_secs(started_after);
        assert_eq!(
            start.observe(Some(&silent), &[], started),
            Decision::Wait(deadline)
        );
        assert_eq!(start.observe(Some(&silent), &[], deadline), Decision::ReadEvents);
        let Decision::GiveUp(verdict) = start.observe(Some(&silent), events, deadline) else {
            panic!("no verdict");
        };
        assert_eq!(
            (verdict.cause, verdict.blame, verdict.retry),
            (Cause::Deadline, blame, retry)
        );
        assert!(
            verdict.message.contains("GET /alive on 8080: connection refused"),
            "{verdict}"
        );
    }
}

#[test]
fn a_server_that_stopped_answering_is_not_waited_for_to_the_end() {
    let begun = Instant::now();
    let mut start = StartMonitor::new(GRACES, true, Duration::ZERO, begun);
    let stopped = server(false, "2026-01-01T00:05:00Z");
    let over = begun + Duration::from_secs(15);
    assert_eq!(start.observe(Some(&stopped), &[], begun), Decision::Wait(over));
    assert_eq!(start.observe(Some(&stopped), &[], over), Decision::ReadEvents);
    let failed = event(
        "Unhealthy",
        "Readiness probe failed: HTTP probe failed with statuscode: 500",
    );
    let Decision::GiveUp(verdict) = start.observe(Some(&stopped), &[failed], over) else {
        panic!("no verdict");
    };
    assert_eq!(
        verdict.message,
        "its server has not answered since 2026-01-01T00:05:00Z (HTTP probe failed with statuscode: 500)"
    );
    // One that answers again meanwhile is ready.
    let mut start = StartMonitor::new(GRACES, true, Duration::ZERO, begun);
    start.observe(Some(&stopped), &[], begun);
    let again = server(true, "2026-01-01T00:05:07Z");
    assert_eq!(start.observe(Some(&again), &[], begun), Decision::Ready);
}

#[test]
fn a_memory_limit_too_low_to_start_is_the_configurations_fault() {
    let message = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create \
                   failed: unable to start container process: container init was OOM-killed (memory limit too low?)";
    let pod =
        scheduled(&json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": message}}));
    let verdict = end_of_pod(&pod).unwrap();
    assert_eq!(
        (verdict.cause, verdict.blame, verdict.retry),
        (Cause::OutOfMemory, Blame::Configuration, Retry::MoreResources)
    );
}

#[test]
fn a_program_that_is_missing_is_named_with_the_image_that_has_it() {
    let hint = |program: &str| {
        let message = format!("exec: \"{program}\": stat {program}: no such file or directory");
        let pod =
            scheduled(&json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": message}}));
        let verdict = end_of_pod(&pod).unwrap();
        assert_eq!(verdict.cause, Cause::ImageUnsupported);
        verdict.hint.to_string()
    };
    let exec_server = hint("/openhands/micromamba/bin/micromamba");
    assert!(
        exec_server.contains("\"openhands\"")
            && exec_server.contains("/openhands/micromamba/bin/micromamba, which the image does not have"),
        "{exec_server}"
    );
    assert!(
        exec_server.contains("docker.io/openhands/runtime"),
        "{exec_server}"
    );
    let agent_server = hint("/usr/local/bin/openhands-agent-server");
    assert!(
        agent_server.contains("ghcr.io/openhands/agent-server"),
        "{agent_server}"
    );
    let own = hint("/opt/serve");
    assert!(
        own.contains("/opt/serve") && own.contains("kubernetes.pod_template"),
        "{own}"
    );
    assert!(hint("/bin/sh").contains("/bin/sh and sleep"));
}
