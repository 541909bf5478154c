//! What scheduler and kubelet write into a pod's status. Conditions, reasons and phases are those of
//! `pkg/kubelet/status` and `pkg/kubelet/kubelet_pods.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Exit code of a process that SIGKILL ended: 128 + 9.
pub(super) const KILLED: i32 = 137;

/// Exit code of a process that SIGTERM ended: 128 + 15.
pub(super) const TERMINATED: i32 = 143;

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContainerEnd<'a> {
    pub(super) code: i32,
    pub(super) reason: &'a str,
    pub(super) message: Option<&'a str>,
}

impl ContainerEnd<'static> {
    pub(super) const fn exited(code: i32) -> Self {
        Self {
            code,
            reason: if code == 0 { "Completed" } else { "Error" },
            message: None,
        }
    }
}

/// Sets a condition. Its transition time changes with its status alone.
pub(super) fn set_condition(
    pod: &mut Pod,
    type_: &str,
    holds: bool,
    reason: Option<&str>,
    message: Option<&str>,
    now: Timestamp,
) {
    let conditions = pod
        .status
        .get_or_insert_default()
        .conditions
        .get_or_insert_default();
    let status = if holds { "True" } else { "False" };
    let index = conditions.iter().position(|condition| condition.type_ == type_);
    let before = index.map(|index| conditions.remove(index));
    let since = before
        .filter(|before| before.status == status)
        .and_then(|before| before.last_transition_time);
    let condition = PodCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        message: message.map(str::to_owned),
        last_transition_time: since.or(Some(Time(now))),
        ..PodCondition::default()
    };
    conditions.insert(index.unwrap_or(conditions.len()), condition);
}

/// Whether a condition is true.
pub(super) fn holds(pod: &Pod, type_: &str) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|conditions| {
        conditions
            .iter()
            .any(|condition| condition.type_ == type_ && condition.status == "True")
    })
}

/// Whether the pod has ended for good.
pub(super) fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Failed" | "Succeeded")
}

/// Its phase.
pub(super) fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or_default()
}

/// The pod is given to a node.
pub(super) fn schedule(pod: &mut Pod, node: &str, now: Timestamp) {
    pod.spec.get_or_insert_default().node_name = Some(node.to_owned());
    set_condition(pod, "PodScheduled", true, None, None, now);
}

/// The kubelet has taken the pod on.
pub(super) fn accept(pod: &mut Pod, host_ip: &str, now: Timestamp) {
    let spec = pod.spec.get_or_insert_default();
    let inits = spec.init_containers.clone().unwrap_or_default();
    let containers = spec.containers.clone();
    let waiting = if inits.is_empty() {
        "ContainerCreating"
    } else {
        "PodInitializing"
    };
    let statuses = |containers: &[Container]| -> Vec<ContainerStatus> {
        let status = |container: &Container| ContainerStatus {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            started: Some(false),
            state: Some(waiting_state(waiting, None)),
            ..ContainerStatus::default()
        };
        containers.iter().map(status).collect()
    };
    let status = pod.status.get_or_insert_default();
    status.start_time = Some(Time(now));
    status.host_ip = Some(host_ip.to_owned());
    status.host_ips = Some(vec![HostIP {
        ip: host_ip.to_owned(),
    }]);
    // Those of containers by name, those of init containers as the specification has them (`kubetypes`
    // `SortedContainerStatuses`, `SortInitContainerStatuses`).
    let mut own = statuses(&containers);
    own.sort_by(|a, b| a.name.cmp(&b.name));
    status.container_statuses = Some(own);
    status.init_container_statuses = (!inits.is_empty()).then(|| statuses(&inits));
    let unready = unready_message(containers.iter().map(|container| container.name.as_str()));
    set_condition(pod, "PodReadyToStartContainers", false, None, None, now);
    let (reason, message) = if inits.is_empty() {
        (None, None)
    } else {
        (
            Some("ContainersNotInitialized"),
            Some(
                unready_message(inits.iter().map(|container| container.name.as_str()))
                    .replace("unready", "incomplete"),
            ),
        )
    };
    set_condition(
        pod,
        "Initialized",
        inits.is_empty(),
        reason,
        message.as_deref(),
        now,
    );
    for type_ in ["Ready", "ContainersReady"] {
        set_condition(pod, type_, false, Some("ContainersNotReady"), Some(&unready), now);
    }
}

fn unready_message<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    format!("containers with unready status: [{}]", names.join(" "))
}

/// The pod has its network.
pub(super) fn sandbox(pod: &mut Pod, ip: &str, now: Timestamp) {
    let status = pod.status.get_or_insert_default();
    status.pod_ip = Some(ip.to_owned());
    status.pod_ips = Some(vec![PodIP { ip: ip.to_owned() }]);
    set_condition(pod, "PodReadyToStartContainers", true, None, None, now);
}

/// A container, or an init container, waits for a reason.
pub(super) fn wait(pod: &mut Pod, name: &str, reason: &str, message: Option<&str>) {
    if let Some(container) = named(pod, name) {
        container.state = Some(waiting_state(reason, message));
        container.ready = false;
        container.started = Some(false);
    }
}

/// An init container changes.
pub(super) fn set_init(pod: &mut Pod, index: usize, state: ContainerState, ready: bool) {
    let status = pod.status.get_or_insert_default();
    if let Some(container) = status.init_container_statuses.iter_mut().flatten().nth(index) {
        container.started = Some(state.running.is_some());
        container.ready = ready;
        let ended = container
            .state
            .take()
            .filter(|before| before.terminated.is_some());
        if state.terminated.is_none() && ended.is_some() {
            container.last_state = ended;
        }
        if state.running.is_some() && container.last_state.is_some() {
            container.restart_count += 1;
        }
        container.state = Some(state);
    }
}

/// The containers run, but `except`; `ready` where nothing has to be probed. The pod's phase stays `Pending` while one has
/// not started (`getPhase`).
pub(super) fn start(pod: &mut Pod, except: Option<&str>, ready: bool, now: Timestamp) {
    let status = pod.status.get_or_insert_default();
    if except.is_none() {
        status.phase = Some("Running".to_owned());
    }
    let others = status
        .container_statuses
        .iter_mut()
        .flatten()
        .filter(|container| Some(container.name.as_str()) != except && !is_running(container));
    for container in others {
        container.image_id = format!("sha256:{:064x}", container.image.len());
        container.container_id = Some(format!("containerd://{:064x}", now.as_second()));
        container.state = Some(running_state(now));
        container.started = Some(true);
        container.ready = false;
    }
    set_condition(pod, "Initialized", true, None, None, now);
    if ready {
        set_ready(pod, None, true, now);
    }
}

fn is_running(container: &ContainerStatus) -> bool {
    container
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some())
}

/// Readiness of one container, or of all that run, and so of the pod.
pub(super) fn set_ready(pod: &mut Pod, name: Option<&str>, ready: bool, now: Timestamp) {
    let meant = |container: &&mut ContainerStatus| name.is_none_or(|name| container.name == name);
    for container in statuses(pod)
        .filter(meant)
        .filter(|container| is_running(container))
    {
        container.ready = ready;
    }
    set_pod_ready(pod, now);
}

/// The pod is ready if all its containers are.
fn set_pod_ready(pod: &mut Pod, now: Timestamp) {
    let unready: Vec<String> = statuses(pod)
        .filter(|container| !container.ready)
        .map(|container| container.name.clone())
        .collect();
    let ready = unready.is_empty();
    let unready = unready_message(unready.iter().map(String::as_str));
    let (reason, message) = if ready {
        (None, None)
    } else {
        (Some("ContainersNotReady"), Some(unready.as_str()))
    };
    for type_ in ["Ready", "ContainersReady"] {
        set_condition(pod, type_, ready, reason, message, now);
    }
}

/// One container, or all that have not ended, has ended.
pub(super) fn end_containers(pod: &mut Pod, name: Option<&str>, end: ContainerEnd<'_>, now: Timestamp) {
    let meant = |container: &&mut ContainerStatus| name.is_none_or(|name| container.name == name);
    for container in statuses(pod).filter(meant) {
        if container
            .state
            .as_ref()
            .is_some_and(|state| state.terminated.is_some())
        {
            continue;
        }
        let running = container.state.as_ref().and_then(|state| state.running.as_ref());
        let started_at = running.and_then(|running| running.started_at.clone());
        container.state = Some(ended_state(end, started_at, now));
        container.ready = false;
        container.started = Some(false);
    }
    set_pod_ready(pod, now);
}

/// Whether all containers have ended.
pub(super) fn all_ended(pod: &Pod) -> bool {
    let mut statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses.all(|container| {
        container
            .state
            .as_ref()
            .is_some_and(|state| state.terminated.is_some())
    })
}

/// The containers wait to be restarted.
pub(super) fn back_off(pod: &mut Pod, message: &str) {
    for container in statuses(pod).filter(|container| !is_running(container)) {
        container.last_state = container.state.take();
        container.state = Some(waiting_state("CrashLoopBackOff", Some(message)));
    }
}

/// The containers run again.
pub(super) fn restart(pod: &mut Pod, ready: bool, now: Timestamp) {
    for container in statuses(pod).filter(|container| !is_running(container)) {
        if container.last_state.is_none() {
            container.last_state = container.state.take();
        }
        container.restart_count += 1;
    }
    start(pod, None, ready, now);
}

/// The pod has ended for good.
pub(super) fn finish(pod: &mut Pod, phase: &str, reason: Option<&str>, message: Option<&str>) {
    let status: &mut PodStatus = pod.status.get_or_insert_default();
    status.phase = Some(phase.to_owned());
    status.reason = reason.map(str::to_owned);
    status.message = message.map(str::to_owned);
    // What else the kubelet says of its conditions then (`GeneratePodReadyCondition`).
    let succeeded = phase == "Succeeded";
    let why = if succeeded { "PodCompleted" } else { "PodFailed" };
    for condition in status.conditions.iter_mut().flatten() {
        let holds = condition.status == "True";
        let told = match condition.type_.as_str() {
            "Ready" | "ContainersReady" => !holds,
            "Initialized" => holds && succeeded,
            _ => false,
        };
        if told {
            condition.reason = Some(why.to_owned());
            condition.message = None;
        }
    }
}

/// A container that waits.
pub(super) fn waiting_state(reason: &str, message: Option<&str>) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: message.map(str::to_owned),
        }),
        ..ContainerState::default()
    }
}

/// A container that runs.
pub(super) fn running_state(now: Timestamp) -> ContainerState {
    ContainerState {
        running: Some(ContainerStateRunning {
            started_at: Some(Time(now)),
        }),
        ..ContainerState::default()
    }
}

/// A container that has ended.
pub(super) fn ended_state(end: ContainerEnd<'_>, started_at: Option<Time>, now: Timestamp) -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code: end.code,
            reason: Some(end.reason.to_owned()),
            message: end.message.map(str::to_owned),
            started_at,
            finished_at: Some(Time(now)),
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    }
}

/// A container, or an init container, by its name.
fn named<'a>(pod: &'a mut Pod, name: &str) -> Option<&'a mut ContainerStatus> {
    let status = pod.status.get_or_insert_default();
    let inits = status.init_container_statuses.iter_mut().flatten();
    let mut all = status.container_statuses.iter_mut().flatten().chain(inits);
    all.find(|container| container.name == name)
}

fn statuses(pod: &mut Pod) -> impl Iterator<Item = &mut ContainerStatus> {
    let status = pod.status.get_or_insert_default();
    status.container_statuses.iter_mut().flatten()
}
