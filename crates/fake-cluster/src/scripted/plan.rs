//! A script as the stages a pod goes through.

use std::collections::VecDeque;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::script::Script;
use super::trouble::{ImageTrouble, Trouble, VolumeTrouble};

/// One stage of a pod's start.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// A node is found for it.
    Schedule,
    /// The node has taken it on.
    Accept,
    /// Its network is there.
    Sandbox,
    /// An init container starts.
    StartInit {
        index: usize,
        /// It goes on beside the others.
        sidecar: bool,
    },
    /// An init container has done its work.
    EndInit(usize),
    /// Its images are being pulled.
    Pull,
    /// Its images are there.
    Pulled,
    /// Its containers run, but the one that the script is about.
    StartOthers,
    /// Its containers run.
    Start,
    /// Its containers answer.
    Ready,
    /// It is stuck, for at most so long.
    Stuck {
        trouble: Trouble,
        left: Option<Duration>,
        tries: u32,
    },
}

/// Stages, each with the time that passes before it.
pub(super) type Plan = VecDeque<(Duration, Stage)>;

/// The stages of a pod's start.
pub(super) fn plan(spec: &PodSpec, script: &Script) -> Plan {
    let timings = &script.timings;
    let mut plan = Plan::new();
    let troubles = |plan: &mut Plan, wanted: &dyn Fn(&Trouble) -> bool| {
        for (trouble, left) in &script.troubles {
            if wanted(trouble) {
                let (trouble, left) = (trouble.clone(), *left);
                let stuck = Stage::Stuck {
                    trouble,
                    left,
                    tries: 0,
                };
                plan.push_back((Duration::ZERO, stuck));
            }
        }
    };
    let mut before_schedule = timings.schedule;
    if script
        .troubles
        .iter()
        .any(|(trouble, _)| matches!(trouble, Trouble::Unschedulable(_)))
    {
        // The scheduler takes its time to see that there is no node, not to find one afterwards.
        troubles(&mut plan, &|trouble| matches!(trouble, Trouble::Unschedulable(_)));
        if let Some((delay, _)) = plan.front_mut() {
            *delay = before_schedule;
        }
        before_schedule = Duration::ZERO;
    }
    plan.push_back((before_schedule, Stage::Schedule));
    plan.push_back((Duration::ZERO, Stage::Accept));
    plan.push_back((timings.attach, Stage::Sandbox));
    if let Some(sandbox) = plan.pop_back() {
        troubles(&mut plan, &|trouble| {
            matches!(
                trouble,
                Trouble::Volume(VolumeTrouble::Mount { .. } | VolumeTrouble::Attach { .. })
            )
        });
        troubles(&mut plan, &|trouble| matches!(trouble, Trouble::Sandbox { .. }));
        plan.push_back((sandbox.0 + timings.sandbox, sandbox.1));
    }
    let of_image = |trouble: &Trouble| matches!(trouble, Trouble::Image(_));
    let of_start = |trouble: &Trouble| matches!(trouble, Trouble::Config { .. } | Trouble::Start { .. });
    let inits = spec.init_containers.as_deref().unwrap_or_default();
    let mut of_init = false;
    for (index, container) in inits.iter().enumerate() {
        if script.container.as_ref() == Some(&container.name) {
            of_init = true;
            troubles(&mut plan, &of_image);
            troubles(&mut plan, &of_start);
        }
        let sidecar = is_sidecar(container);
        plan.push_back((Duration::ZERO, Stage::StartInit { index, sidecar }));
        troubles(
            &mut plan,
            &|trouble| matches!(trouble, Trouble::Init { index: at, .. } | Trouble::InitOutOfMemory { index: at, .. } if *at == index),
        );
        if !sidecar {
            plan.push_back((timings.init, Stage::EndInit(index)));
        }
    }
    let stuck = script
        .troubles
        .iter()
        .any(|(trouble, _)| of_image(trouble) || of_start(trouble));
    if spec.containers.len() > 1 && stuck && !of_init {
        plan.push_back((timings.start, Stage::StartOthers));
    }
    if !of_init {
        troubles(&mut plan, &of_image);
    }
    if !timings.pull.is_zero() {
        plan.push_back((Duration::ZERO, Stage::Pull));
    }
    plan.push_back((timings.pull, Stage::Pulled));
    if !of_init {
        troubles(&mut plan, &of_start);
    }
    plan.push_back((timings.start, Stage::Start));
    if is_probed(spec) {
        plan.push_back((timings.ready, Stage::Ready));
    }
    plan
}

/// Whether an init container goes on beside the pod's containers.
pub(super) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Whether readiness is more than that the containers run.
pub(super) fn is_probed(spec: &PodSpec) -> bool {
    let probed =
        |container: &Container| container.readiness_probe.is_some() || container.startup_probe.is_some();
    spec.containers.iter().any(probed)
}

/// How long until a trouble is met again: the kubelet's and the scheduler's own pauses.
pub(super) fn pause(trouble: &Trouble, tries: u32) -> Duration {
    match trouble {
        // ErrImagePull shows until the next look at the pod, then ImagePullBackOff until the next pull.
        Trouble::Image(image) if image.backs_off() && tries.is_multiple_of(2) => Duration::from_secs(1),
        Trouble::Image(ImageTrouble::InvalidName | ImageTrouble::NeverPresent) => Duration::from_secs(15),
        Trouble::Image(_) => back_off(tries / 2),
        // `unschedulablePods` are tried again after five minutes, and whenever something changes.
        Trouble::Unschedulable(_) => Duration::from_secs(300),
        // The volume manager doubles its pause from half a second on.
        Trouble::Volume(_) => Duration::from_millis(500 << tries.min(8)),
        Trouble::Init { .. } | Trouble::InitOutOfMemory { .. } => back_off(tries),
        Trouble::Sandbox { .. } | Trouble::Config { .. } | Trouble::Start { .. } => Duration::from_secs(12),
    }
}

/// Ten seconds, doubled each time up to five minutes: `MaxContainerBackOff`, and the same for images.
pub(super) fn back_off(tries: u32) -> Duration {
    Duration::from_secs((10_u64 << tries.min(5)).min(300))
}
