//! Why an image can't be pulled, from the words of the container runtime: CRI has no codes for it.

use k8s_openapi::api::core::v1::Event;
use podbay_protocol::{Cause, Hint, Verdict};

/// What is wrong with the image, from a waiting reason of the kubelet's and its message; none if the reason
/// has nothing to do with images. The flag says that it may pass by itself.
pub(super) fn diagnose(reason: &str, message: &str) -> Option<(Verdict, bool)> {
    let cause = match reason {
        "InvalidImageName" => Cause::ImageInvalid,
        "ErrImageNeverPull" => {
            let verdict = Verdict::new(Cause::ImageNotFound, message, Hint::LoadImage);
            return Some((verdict, false));
        }
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => from_message(message),
        _ => return None,
    };
    let verdict = Verdict::new(cause, message, hint(cause));
    Some((verdict, cause == Cause::ImagePull))
}

/// The verdict on a refused pull, with the pull secret that is not there, if the events name one. The kubelet pulls
/// without it, so that the pull's own words do not tell: `Unable to retrieve some image pull secrets (x); attempting to
/// pull the image may not succeed.`
pub(super) fn with_missing_secret(verdict: Verdict, events: &[Event]) -> Verdict {
    // A registry that hides what it refuses answers that there is no such image.
    if !matches!(verdict.cause, Cause::ImageDenied | Cause::ImageNotFound) {
        return verdict;
    }
    let said = events
        .iter()
        .rev()
        .filter(|event| event.reason.as_deref() == Some("FailedToRetrieveImagePullSecret"))
        .find_map(|event| event.message.as_deref());
    let Some(said) = said else {
        return verdict;
    };
    let names = said.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let secret = names.map_or("a pull secret", |(names, _)| names);
    Verdict {
        message: format!("{}; {said}", verdict.message),
        hint: Hint::MakePullSecret {
            secret: secret.to_owned(),
        },
        ..verdict
    }
}

/// What containerd, CRI-O and registries say. Denial is looked for first: Docker Hub answers a pull of a
/// repository that doesn't exist with "access denied, repository does not exist or may require authorization".
fn from_message(message: &str) -> Cause {
    const DENIED: [&str; 7] = [
        "unauthorized",
        "access denied",
        "denied:",
        "403 forbidden",
        "authentication required",
        "no basic auth credentials",
        "insufficient_scope",
    ];
    const NOT_FOUND: [&str; 5] = [
        ": not found",
        "manifest unknown",
        "name unknown",
        "404 not found",
        "manifest for",
    ];
    const INVALID: [&str; 3] = [
        "invalid reference format",
        "couldn't parse image",
        "failed to parse image",
    ];
    const UNSUPPORTED: [&str; 3] = [
        "no match for platform",
        "no matching manifest for",
        "exec format error",
    ];

    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&DENIED) {
        Cause::ImageDenied
    } else if says(&UNSUPPORTED) {
        Cause::ImageUnsupported
    } else if says(&NOT_FOUND) {
        Cause::ImageNotFound
    } else if says(&INVALID) {
        Cause::ImageInvalid
    } else {
        Cause::ImagePull
    }
}

const fn hint(cause: Cause) -> Hint {
    match cause {
        Cause::ImageNotFound => Hint::CheckImageName,
        Cause::ImageDenied => Hint::GiveImageCredentials,
        Cause::ImageInvalid => Hint::WriteImageReference,
        Cause::ImageUnsupported => Hint::UseImageForArchitecture,
        _ => Hint::WaitForRegistry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(message: &str) -> Cause {
        diagnose("ErrImagePull", message)
            .map(|(verdict, _)| verdict.cause)
            .unwrap()
    }

    #[test]
    fn the_words_of_runtimes_are_told_apart() {
        let resolve = "rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/x:1\": \
                       failed to resolve reference \"docker.io/x:1\": docker.io/x:1: not found";
        assert_eq!(cause(resolve), Cause::ImageNotFound);
        let hub = "pull access denied, repository does not exist or may require authorization: server message: \
                   insufficient_scope: authorization failed";
        assert_eq!(cause(hub), Cause::ImageDenied);
        assert_eq!(cause("failed to authorize: 401 Unauthorized"), Cause::ImageDenied);
        assert_eq!(
            cause("no match for platform in manifest: not found"),
            Cause::ImageUnsupported
        );
        assert_eq!(
            cause("reading manifest 9 in quay.io/x: manifest unknown"),
            Cause::ImageNotFound
        );
        for passing in [
            "dial tcp 127.0.0.1:5000: connect: connection refused",
            "dial tcp: lookup registry.example: no such host",
            "429 Too Many Requests",
            "unexpected status from GET request: 503 Service Unavailable",
        ] {
            assert_eq!(cause(passing), Cause::ImagePull, "{passing}");
        }
    }

    #[test]
    fn a_pull_secret_that_is_missing_is_named() {
        let event = Event {
            reason: Some("FailedToRetrieveImagePullSecret".to_owned()),
            message: Some(
                "Unable to retrieve some image pull secrets (nope); attempting to pull the image may not succeed."
                    .to_owned(),
            ),
            ..Event::default()
        };
        let (denied, _) = diagnose("ErrImagePull", "401 Unauthorized").unwrap();
        assert_eq!(with_missing_secret(denied.clone(), &[]), denied);
        let verdict = with_missing_secret(denied, std::slice::from_ref(&event));
        assert_eq!(verdict.cause, Cause::ImageDenied);
        assert!(
            verdict.hint.to_string().contains("the Secret nope is not"),
            "{}",
            verdict.hint
        );
        assert!(
            verdict.message.starts_with("401 Unauthorized; Unable"),
            "{verdict}"
        );
        // A registry that can't be reached has nothing to do with it.
        let (pull, _) = diagnose("ErrImagePull", "connection refused").unwrap();
        assert_eq!(with_missing_secret(pull.clone(), &[event]), pull);
    }

    #[test]
    fn only_a_failed_pull_may_pass() {
        assert!(diagnose("ImagePullBackOff", "connection refused").unwrap().1);
        assert!(!diagnose("ErrImagePull", "x: not found").unwrap().1);
        assert!(!diagnose("InvalidImageName", "").unwrap().1);
        assert!(diagnose("ContainerCreating", "").is_none());
    }
}
