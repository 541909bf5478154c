//! Why no node takes a pod, from the scheduler's message.
//!
//! It reads `0/5 nodes are available: 2 Insufficient cpu, 3 node(s) didn't match Pod's node affinity/selector.
//! preemption: 0/5 nodes are available: …` (`pkg/scheduler/framework`, `FitError.Error`).

use k8s_openapi::api::core::v1::Event;
use podbay_protocol::{Blame, Cause, Hint, Retry, Verdict};

/// What a node has too little of, by name: `1 Insufficient cpu`.
const INSUFFICIENT: &str = "Insufficient ";

/// What the scheduler's `message` means.
pub(super) fn diagnose(message: &str) -> Verdict {
    let cause = cause(message);
    match cause {
        Cause::ClaimPending if message.contains("\" not found") => missing_claim(message),
        Cause::TooLarge => too_large(message),
        _ => Verdict::new(cause, message, hint(cause)),
    }
}

fn cause(message: &str) -> Cause {
    // Claims come first: until they are bound, the scheduler says nothing else.
    if message.contains("PersistentVolumeClaim") || message.contains("persistentvolumeclaim") {
        return Cause::ClaimPending;
    }
    let (fit, preemption) = message.split_once("preemption:").unwrap_or((message, ""));
    if fit.contains(INSUFFICIENT) || fit.contains("Too many pods") {
        // "Preemption is not helpful" is said of a node that would not do even when empty; a node that is only
        // full is one with "No preemption victims found".
        let full = preemption.is_empty() || preemption.contains("No preemption victims found");
        return if full { Cause::Capacity } else { Cause::TooLarge };
    }
    if fit.contains("untolerated taint") {
        Cause::Taint
    } else if fit.contains("node affinity") || fit.contains("node selector") || fit.contains("affinity rules")
    {
        Cause::NodeMismatch
    } else {
        Cause::Unschedulable
    }
}

/// A claim that is not there, as opposed to one that is not bound: nobody makes one for the name that a setting gives.
fn missing_claim(message: &str) -> Verdict {
    // The scheduler writes `persistentvolumeclaim "x" not found. not found`.
    let once = message.strip_suffix(". not found").unwrap_or(message);
    Verdict {
        blame: Blame::Configuration,
        retry: Retry::Never,
        ..Verdict::new(Cause::ClaimPending, once, Hint::MakeClaim)
    }
}

/// A claim for which no volume will be made, by the claim's events: `storageclass.storage.k8s.io "x" not found`, or `no
/// persistent volumes available for this claim and no storage class is set` (`pkg/controller/volume/persistentvolume`).
pub(super) fn unprovisionable(events: &[Event]) -> Option<Verdict> {
    events.iter().rev().find_map(|event| {
        let message = event.message.as_deref()?;
        let hint = match event.reason.as_deref()? {
            "ProvisioningFailed" if message.contains("storageclass") && message.contains("not found") => {
                Hint::NameStorageClass
            }
            "FailedBinding" if message.contains("no storage class is set") => Hint::SetStorageClass,
            _ => return None,
        };
        Some(Verdict {
            blame: Blame::Configuration,
            retry: Retry::Never,
            ..Verdict::new(Cause::ClaimPending, message, hint)
        })
    })
}

/// A pod for which no node is large enough, even when empty. Devices are asked for by names with a slash
/// (`nvidia.com/gpu`), and more of them come with other nodes alone.
fn too_large(message: &str) -> Verdict {
    let device = message.split(INSUFFICIENT).skip(1).find_map(|rest| {
        let name = rest.split([',', ' ']).next().unwrap_or_default();
        let name = name.trim_end_matches('.');
        name.contains('/').then_some(name)
    });
    let Some(device) = device else {
        return Verdict::new(Cause::TooLarge, message, hint(Cause::TooLarge));
    };
    let hint = Hint::AskForFewerDevices {
        device: device.to_owned(),
    };
    Verdict {
        retry: Retry::Elsewhere,
        ..Verdict::new(Cause::TooLarge, message, hint)
    }
}

const fn hint(cause: Cause) -> Hint {
    match cause {
        Cause::ClaimPending => Hint::CheckStorageClass,
        Cause::TooLarge => Hint::AskForLess,
        Cause::Capacity => Hint::WaitForCapacity,
        Cause::Taint => Hint::AddToleration,
        Cause::NodeMismatch => Hint::CheckNodeLabels,
        _ => Hint::DescribeUnschedulable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedulers_reasons_are_told_apart() {
        for (message, expected) in [
            (
                "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is \
                 not helpful for scheduling.",
                Cause::TooLarge,
            ),
            (
                "0/2 nodes are available: 2 Insufficient memory. preemption: 0/2 nodes are available: 2 No \
                 preemption victims found for incoming pod.",
                Cause::Capacity,
            ),
            (
                "0/2 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint {a: b}. preemption: \
                 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not \
                 helpful for scheduling.",
                Cause::Capacity,
            ),
            (
                "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/1 \
                 nodes are available: 1 Preemption is not helpful for scheduling.",
                Cause::NodeMismatch,
            ),
            (
                "0/1 nodes are available: 1 node(s) had untolerated taint(s).",
                Cause::Taint,
            ),
            (
                "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
                Cause::ClaimPending,
            ),
            ("running PreFilter plugin: something new", Cause::Unschedulable),
        ] {
            assert_eq!(diagnose(message).cause, expected, "{message}");
        }
    }

    #[test]
    fn a_claim_that_is_not_there_is_no_pending_one() {
        let verdict = diagnose("0/1 nodes are available: persistentvolumeclaim \"x\" not found. not found");
        assert_eq!(
            (verdict.cause, verdict.blame, verdict.retry),
            (Cause::ClaimPending, Blame::Configuration, Retry::Never)
        );
        assert!(verdict.message.ends_with("claim \"x\" not found"), "{verdict}");
        assert!(
            verdict.hint.to_string().contains("kubernetes.pvc_existing_claim"),
            "{}",
            verdict.hint
        );
        let unbound = diagnose("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.");
        assert_eq!(unbound.retry, Retry::Same);
    }

    #[test]
    fn a_device_that_no_node_has_is_named() {
        let said = |what: &str| {
            diagnose(&format!(
                "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient {what}. preemption: 0/1 nodes are \
                 available: 1 Preemption is not helpful for scheduling."
            ))
        };
        let verdict = said("nvidia.com/gpu");
        assert_eq!(
            (verdict.cause, verdict.retry),
            (Cause::TooLarge, Retry::Elsewhere)
        );
        assert!(
            verdict.hint.to_string().contains("as many nvidia.com/gpu:"),
            "{}",
            verdict.hint
        );
        let verdict = said("memory");
        assert_eq!(verdict.retry, Retry::Elsewhere);
        assert!(verdict.hint == Hint::AskForLess, "{}", verdict.hint);
    }
}
