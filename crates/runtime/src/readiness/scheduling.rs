//! Why no node takes a pod, from the scheduler's message.
//!
//! It reads `0/5 nodes are available: 2 Insufficient cpu, 3 node(s) didn't match Pod's node affinity/selector.
//! preemption: 0/5 nodes are available: …` (`pkg/scheduler/framework`, `FitError.Error`).

use podbay_protocol::{Cause, Verdict};

/// What the scheduler's `message` means.
pub(super) fn diagnose(message: &str) -> Verdict {
    let cause = cause(message);
    Verdict::new(cause, message, hint(cause))
}

fn cause(message: &str) -> Cause {
    // Claims come first: until they are bound, the scheduler says nothing else.
    if message.contains("PersistentVolumeClaim") || message.contains("persistentvolumeclaim") {
        return Cause::ClaimPending;
    }
    let (fit, preemption) = message.split_once("preemption:").unwrap_or((message, ""));
    if fit.contains("Insufficient ") || fit.contains("Too many pods") {
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

const fn hint(cause: Cause) -> &'static str {
    match cause {
        Cause::ClaimPending => "does the storage class exist and provision? kubectl describe pvc tells",
        Cause::TooLarge => "no node is as large: ask for less with --cpu and --memory, or add larger nodes",
        Cause::Capacity => {
            "the nodes are full: close sessions, ask for less, or wait longer (podbay.capacity_grace_seconds)"
        }
        Cause::Taint => "add a toleration (kubernetes.tolerations_yaml)",
        Cause::NodeMismatch => "no node has these labels: check kubernetes.node_selector_key and _val",
        _ => "kubectl describe pod tells more; podbay.unschedulable_grace_seconds says how long it may last",
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
}
