//! Why the API server refuses to create an object: admission and quota speak in sentences.

use podbay_k8s_client::{Error as ClientError, ErrorKind};
use podbay_protocol::{Cause, Hint, Retry, Verdict};

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
    let (cause, retry, hint) = told(message)?;
    Some(Verdict {
        retry: retry.unwrap_or_else(|| cause.retry()),
        ..Verdict::new(cause, message, hint)
    })
}

/// The cause, the retry advice where it is not the one of the cause, and what to do. None for a right that is missing.
fn told(message: &str) -> Option<(Cause, Option<Retry>, Hint)> {
    let found = if message.contains("violates PodSecurity") {
        (Cause::PodSecurity, None, Hint::UseRestrictedProfile)
    } else if message.contains("exceeded quota") {
        (Cause::Quota, None, Hint::FreeQuota)
    // ResourceQuota: `failed quota: q: must specify limits.cpu for: runtime; requests.cpu for: runtime`.
    } else if message.contains("must specify") {
        (Cause::Quota, Some(Retry::Never), Hint::StateResources)
    // LimitRanger: "maximum memory usage per Container is 1Gi, but limit is 2Gi"; "cpu max limit to request ratio per
    // Container is 2, but provided ratio is 4".
    } else if message.contains(" usage per ") || message.contains("limit to request ratio per") {
        (Cause::Quota, Some(Retry::Never), Hint::CheckLimitRange)
    } else if is_policy(message) {
        (Cause::Admission, None, Hint::AskPolicyOwner)
    // RBAC: `pods is forbidden: User "x" cannot create resource "pods" …`: a missing right, not a refusal of
    // what was asked.
    } else if message.contains("cannot create resource") {
        return None;
    } else if message.contains("is being terminated") {
        (Cause::Admission, None, Hint::UseAnotherNamespace)
    } else {
        (Cause::Admission, None, named(message))
    };
    Some(found)
}

/// What to do about an object that the pod names and that is not there, as admission plugins say it: `pod rejected:
/// RuntimeClass "x" not found`, `no PriorityClass with name x was found`, `error looking up service account a/x:
/// serviceaccount "x" not found`.
fn named(message: &str) -> Hint {
    if message.contains("RuntimeClass") {
        Hint::CheckRuntimeClass
    } else if message.contains("PriorityClass") {
        Hint::CheckPriorityClass
    } else if message.contains("service account") || message.contains("serviceaccount") {
        Hint::CheckServiceAccount
    } else {
        Hint::RefusedByAdmission
    }
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

    #[test]
    fn what_the_same_request_meets_again_is_not_tried_again() {
        let found = |message: &str| {
            let error = ClientError::new("create pod a/b", ErrorKind::Forbidden).with_message(message);
            of_creation(&error).unwrap()
        };
        let unspecified =
            found("pods \"x\" is forbidden: failed quota: q: must specify limits.cpu for: runtime");
        assert_eq!(
            (unspecified.cause, unspecified.retry),
            (Cause::Quota, Retry::Never)
        );
        assert!(
            unspecified
                .hint
                .to_string()
                .contains("kubernetes.resource_cpu_limit")
        );
        let range =
            found("pods \"x\" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi");
        assert_eq!((range.cause, range.retry), (Cause::Quota, Retry::Never));
        let full = found(
            "pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1",
        );
        assert_eq!((full.cause, full.retry), (Cause::Quota, Retry::Same));
    }

    #[test]
    fn an_object_that_is_missing_is_told_with_the_setting_that_names_it() {
        for (message, setting) in [
            (
                "pods \"x\" is forbidden: pod rejected: RuntimeClass \"nope\" not found",
                "kubernetes.runtime_class",
            ),
            (
                "pods \"x\" is forbidden: no PriorityClass with name nope was found",
                "kubernetes.priority_class",
            ),
            (
                "pods \"x\" is forbidden: error looking up service account a/nope: serviceaccount \"nope\" not found",
                "kubernetes.service_account",
            ),
        ] {
            let error = ClientError::new("create pod a/b", ErrorKind::Forbidden).with_message(message);
            let verdict = of_creation(&error).unwrap();
            assert_eq!((verdict.cause, verdict.retry), (Cause::Admission, Retry::Never));
            assert!(verdict.hint.to_string().starts_with(setting), "{}", verdict.hint);
        }
    }
}
