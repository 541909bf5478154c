//! What a kubelet writes into a pod's status, and the events it records.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateWaiting, ContainerStatus, Event, EventSource,
    ObjectReference, Pod, PodCondition, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::Refusal;

/// The node all pods are on, and the events' component.
const NODE: &str = "embedded";
/// The address of what pods listen on: they are processes of this host.
const ADDRESS: &str = "127.0.0.1";

/// Makes `pod` a running one, all containers ready.
pub(crate) fn running(pod: &mut Pod, now: Timestamp) {
    let state = ContainerState {
        running: Some(ContainerStateRunning {
            started_at: Some(Time(now)),
        }),
        ..ContainerState::default()
    };
    let containers = containers(pod, |_| state.clone());
    schedule(pod, "Running", now, containers);
}

/// Makes `pod` one that waits, for the reason given.
pub(crate) fn refused(pod: &mut Pod, refusal: &Refusal, now: Timestamp) {
    let containers = containers(pod, |name| {
        let (reason, message) = if name == refusal.container {
            (refusal.reason, Some(refusal.message.clone()))
        } else {
            ("ContainerCreating", None)
        };
        let waiting = ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message,
        };
        ContainerState {
            waiting: Some(waiting),
            ..ContainerState::default()
        }
    });
    schedule(pod, "Pending", now, containers);
}

/// The event that goes with a refusal (`Failed`, as the kubelet records both pull and configuration errors).
pub(crate) fn refused_event(pod: &Pod, refusal: &Refusal, number: u64, now: Timestamp) -> Event {
    let ObjectMeta {
        name,
        namespace,
        uid,
        resource_version,
        ..
    } = &pod.metadata;
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{number:x}", name.as_deref().unwrap_or_default())),
            namespace: namespace.clone(),
            creation_timestamp: Some(Time(now)),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: name.clone(),
            namespace: namespace.clone(),
            uid: uid.clone(),
            resource_version: resource_version.clone(),
            field_path: Some(format!("spec.containers{{{}}}", refusal.container)),
        },
        type_: Some("Warning".to_owned()),
        reason: Some("Failed".to_owned()),
        message: Some(format!("Error: {}: {}", refusal.reason, refusal.message)),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        source: Some(EventSource {
            component: Some("kubelet".to_owned()),
            host: Some(NODE.to_owned()),
        }),
        ..Event::default()
    }
}

fn containers(pod: &Pod, state: impl Fn(&str) -> ContainerState) -> Vec<ContainerStatus> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers
        .map(|container| {
            let state = state(&container.name);
            let running = state.running.is_some();
            ContainerStatus {
                name: container.name.clone(),
                image: container.image.clone().unwrap_or_default(),
                ready: running,
                started: Some(running),
                state: Some(state),
                ..ContainerStatus::default()
            }
        })
        .collect()
}

fn schedule(pod: &mut Pod, phase: &str, now: Timestamp, containers: Vec<ContainerStatus>) {
    let ready = containers.iter().all(|container| container.ready);
    let condition = |type_: &str, holds: bool| PodCondition {
        type_: type_.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
        reason: (!holds).then(|| "ContainersNotReady".to_owned()),
        last_transition_time: Some(Time(now)),
        ..PodCondition::default()
    };
    pod.spec.get_or_insert_default().node_name = Some(NODE.to_owned());
    pod.status = Some(PodStatus {
        phase: Some(phase.to_owned()),
        conditions: Some(vec![
            condition("PodScheduled", true),
            condition("Initialized", true),
            condition("ContainersReady", ready),
            condition("Ready", ready),
        ]),
        container_statuses: Some(containers),
        host_ip: Some(ADDRESS.to_owned()),
        pod_ip: ready.then(|| ADDRESS.to_owned()),
        start_time: Some(Time(now)),
        ..PodStatus::default()
    });
}
