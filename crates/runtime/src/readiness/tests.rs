//! The state machine over scripted pods and times: no cluster, no clock.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_protocol::{Cause, StartPhase};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::diagnosis::end_of_pod;
use super::progress::{Decision, Graces, Start};

const GRACES: Graces = Graces {
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

fn start() -> (Start, Instant) {
    let now = Instant::now();
    (Start::new(GRACES, false, Duration::from_millis(10), now), now)
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
    let mut start = Start::new(GRACES, true, Duration::ZERO, begun);
    let running = scheduled(&json!({"running": {}}));
    assert!(matches!(
        start.observe(Some(&running), &[], begun),
        Decision::Wait(_)
    ));
    let mut ready = running;
    let conditions = ready.status.as_mut().unwrap().conditions.as_mut().unwrap();
    conditions.push(serde_json::from_value(condition("ContainersReady", "True", "", "")).unwrap());
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
        assert_eq!(
            start.observe(Some(&pod), &[], begun),
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
    assert_eq!(
        start.observe(Some(&pod), &[], begun),
        Decision::Wait(begun + GRACES.volume)
    );
    let look = begun + GRACES.volume;
    assert_eq!(start.observe(Some(&pod), &[], look), Decision::ReadEvents);
    let events = [event("FailedMount", "MountVolume.SetUp failed for volume \"x\"")];
    assert_eq!(cause(start.observe(Some(&pod), &events, look)), Cause::Volume);
    // Without such an event it goes on, and is looked at again as much later.
    let mut start = Start::new(GRACES, false, Duration::ZERO, begun);
    start.observe(Some(&pod), &[], begun);
    start.observe(Some(&pod), &[], look);
    assert_eq!(
        start.observe(Some(&pod), &[], look),
        Decision::Wait(look + GRACES.volume)
    );
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
    assert_eq!(ended("OutOfcpu", ""), Cause::Capacity);
    let running = scheduled(&json!({"running": {}}));
    assert_eq!(end_of_pod(&running), None);
    let mut deleted = running;
    deleted.metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    assert_eq!(end_of_pod(&deleted).unwrap().cause, Cause::Deleted);
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
