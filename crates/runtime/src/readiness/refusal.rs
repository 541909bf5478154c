//! Why the API server refuses to create an object: admission and quota speak in sentences.

use podbay_k8s_client::{Error as ClientError, ErrorKind};
use podbay_protocol::{Cause, Verdict};

/// The verdict on a refused creation; none if the failure says nothing about the session itself.
pub(crate) fn of_creation(error: &ClientError) -> Option<Verdict> {
    let message = error.message.as_deref()?;
    match error.kind {
        ErrorKind::Forbidden => {}
        // A webhook may answer with any status, a ValidatingAdmissionPolicy answers with 422 if not told otherwise;
        // their sentences have the same start.
        ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::Server { .. } if is_policy(message) => {}
        _ => return None,
    }
    let (cause, hint) = if message.contains("violates PodSecurity") {
        (
            Cause::PodSecurity,
            "the namespace's label pod-security.kubernetes.io/enforce forbids the fields named: use the profile \
             restricted, or another namespace",
        )
    } else if message.contains("exceeded quota") || message.contains("must specify") {
        (
            Cause::Quota,
            "kubectl describe quota tells what is used: close sessions, or ask for less",
        )
    // LimitRanger: "maximum memory usage per Container is 1Gi, but limit is 2Gi".
    } else if message.contains(" usage per ") {
        (
            Cause::Quota,
            "the namespace's LimitRange forbids it: kubectl describe limits tells what is allowed",
        )
    } else if is_policy(message) {
        (
            Cause::Admission,
            "a policy of the cluster forbids it: its owner can tell what is allowed",
        )
    // RBAC: `pods is forbidden: User "x" cannot create resource "pods" …`: a missing right, not a refusal of
    // what was asked.
    } else if message.contains("cannot create resource") {
        return None;
    } else if message.contains("is being terminated") {
        (Cause::Admission, "the namespace is being deleted")
    } else {
        (Cause::Admission, "the cluster's admission refuses it")
    };
    Some(Verdict::new(cause, message, hint))
}

/// Whether a refusal is of a namespace that was made a moment ago: its service account is not there yet, or its
/// quota not yet counted. Both are made right by a controller, in less than a second as a rule.
pub(crate) fn may_pass(error: &ClientError) -> bool {
    error.kind == ErrorKind::Forbidden
        && error.message.as_deref().is_some_and(|message| {
            message.contains("error looking up service account")
                || message.contains("status unknown for quota")
        })
}

/// Whether a policy of the cluster's owner speaks.
fn is_policy(message: &str) -> bool {
    message.contains("admission webhook") || message.contains("ValidatingAdmissionPolicy")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(message: &str) -> Option<Cause> {
        let error = ClientError::new("create pod a/b", ErrorKind::Forbidden).with_message(message);
        of_creation(&error).map(|verdict| verdict.cause)
    }

    #[test]
    fn refusals_are_told_apart() {
        assert_eq!(
            verdict("pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": privileged"),
            Some(Cause::PodSecurity)
        );
        assert_eq!(
            verdict(
                "pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
            ),
            Some(Cause::Quota)
        );
        assert_eq!(
            verdict("pods \"x\" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi"),
            Some(Cause::Quota)
        );
        assert_eq!(
            verdict("admission webhook \"x\" denied the request: no"),
            Some(Cause::Admission)
        );
        assert_eq!(
            verdict("pods is forbidden: User \"u\" cannot create resource \"pods\""),
            None
        );
    }
}
