//! The session's Pod: one container, nothing of the cluster's in it.

use k8s_openapi::api::core::v1::{LocalObjectReference, Pod, PodSpec};

use crate::empty::{non_empty, non_empty_list};
use crate::labels::NETWORK;
use crate::metadata::metadata;
use crate::network_policy;
use crate::owner::Owner;
use crate::session_spec::SessionSpec;

mod agent;
mod conflicts;
mod container;
mod environment;
mod probes;
mod reserved;
mod security;
mod volumes;

pub(crate) use agent::POD_UID_VARIABLE;
pub(crate) use conflicts::conflicts as mount_conflicts;
pub(crate) use reserved::{
    WHY as AGENT_PATHS_WHY, is_agents as is_agents_mount, is_volume as is_agents_volume, reserved_paths,
};
pub use volumes::{HOME_PATH, SOURCE_PATH};

/// Name of the only container.
pub const CONTAINER: &str = "runtime";
/// Name of the port of a server in the image, which OpenHands' Services refer to.
pub(crate) const SERVER_PORT_NAME: &str = "http";
/// Name of VS Code's port.
pub(crate) const VSCODE_PORT_NAME: &str = "vscode";

/// The Pod of the session `spec`.
pub fn pod(spec: &SessionSpec, owner: &Owner) -> Pod {
    finished(spec, Some(owner))
}

/// The pod as a Job's template has it: its owner will be the Job.
pub(crate) fn of_job(spec: &SessionSpec) -> Pod {
    finished(spec, None)
}

/// The pod before the pod template is laid over it.
pub(crate) fn before_template(spec: &SessionSpec) -> Pod {
    assemble(spec, None)
}

fn finished(spec: &SessionSpec, owner: Option<&Owner>) -> Pod {
    let pod = assemble(spec, owner);
    match &spec.pod_template {
        Some(template) => template.apply(&pod),
        None => pod,
    }
}

fn assemble(spec: &SessionSpec, owner: Option<&Owner>) -> Pod {
    let mut metadata = metadata(spec, spec.names().object(), owner);
    let annotations = metadata.annotations.get_or_insert_default();
    for (key, value) in &spec.annotations {
        // Ours can't be among them; should they ever be, ours stay.
        annotations.entry(key.clone()).or_insert_with(|| value.clone());
    }
    if let Some(rules) = network_policy::label(spec) {
        let labels = metadata.labels.get_or_insert_default();
        labels.insert(NETWORK.into(), rules);
    }
    Pod {
        metadata,
        spec: Some(pod_spec(spec)),
        status: None,
    }
}

fn pod_spec(spec: &SessionSpec) -> PodSpec {
    let placement = &spec.placement;
    let workload = &spec.workload;
    let secrets = spec.pull.secrets.iter().map(|name| LocalObjectReference {
        name: name.to_string(),
    });
    PodSpec {
        containers: vec![container::container(spec)],
        init_containers: container::init(spec).map(|container| vec![container]),
        // A container that ended is a session that ended: started again it would look alive, with its
        // processes and files outside the workspace gone.
        restart_policy: Some("Never".into()),
        termination_grace_period_seconds: Some(seconds(workload.termination_grace_seconds)),
        active_deadline_seconds: workload.active_deadline_seconds.map(seconds),
        // The code in a sandbox gets no identity in the cluster unless asked, and no list of its Services.
        automount_service_account_token: Some(workload.service_account_token),
        service_account_name: workload.service_account.as_ref().map(ToString::to_string),
        enable_service_links: Some(false),
        share_process_namespace: replaces_entry_point(spec).then_some(true),
        security_context: security::pod(spec),
        volumes: Some(volumes::volumes(spec)),
        image_pull_secrets: non_empty_list(secrets.collect()),
        node_selector: non_empty(placement.node_selector.clone()),
        tolerations: non_empty_list(placement.tolerations.clone()),
        affinity: placement.affinity.clone(),
        topology_spread_constraints: non_empty_list(placement.topology_spread.clone()),
        runtime_class_name: placement.runtime_class.as_ref().map(ToString::to_string),
        priority_class_name: placement.priority_class.as_ref().map(ToString::to_string),
        scheduler_name: placement.scheduler.as_ref().map(ToString::to_string),
        host_aliases: non_empty_list(spec.network.host_aliases.clone()),
        host_network: spec.network.host_network.then_some(true),
        // Else a pod in its node's network asks the node's resolver, which knows no Service.
        dns_policy: spec
            .network
            .host_network
            .then(|| "ClusterFirstWithHostNet".into()),
        ..PodSpec::default()
    }
}

/// Whether the container's command takes the place of the image's entry point, in which OpenHands' images have an init that
/// reaps: the servers themselves reap no orphans. The pod's own first process does, for all processes it shares its
/// namespace with; the profile `restricted` allows it. `args` alone would keep the entry point, but the entry points of images
/// differ, and one that is a server already would get its own path as an argument. What keeps a plain image's pod alive reaps
/// by itself.
fn replaces_entry_point(spec: &SessionSpec) -> bool {
    spec.server
        .as_ref()
        .is_some_and(|server| server.command.is_some())
}

/// The API counts in `int64`.
fn seconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
