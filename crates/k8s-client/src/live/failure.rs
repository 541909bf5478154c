//! From kube's errors to ours, by meaning.

use std::error::Error as StdError;
use std::time::Duration;

use kube::core::Status;

use crate::error::{Error, ErrorKind};

/// What went wrong in `operation`.
pub(super) fn from_kube(operation: &str, error: kube::Error) -> Error {
    let kind = kind_of(&error);
    let message = match &error {
        kube::Error::Api(status) => (!status.message.is_empty()).then(|| status.message.clone()),
        other => Some(deepest(other)),
    };
    let error = Error::new(operation, kind).with_source(error);
    match message {
        Some(message) => error.with_message(message),
        None => error,
    }
}

/// What kube's error means.
fn kind_of(error: &kube::Error) -> ErrorKind {
    match error {
        kube::Error::Api(status) => from_status(status),
        kube::Error::HyperError(_) | kube::Error::ReadEvents(_) | kube::Error::SerdeError(_) => {
            ErrorKind::Disconnected
        }
        kube::Error::Service(source) => from_transport(source.as_ref()),
        kube::Error::UpgradeConnection(_) => ErrorKind::Unsupported,
        kube::Error::Auth(_) => ErrorKind::Unauthorized,
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => ErrorKind::Invalid,
        _ => ErrorKind::Configuration,
    }
}

/// What a `metav1.Status` means. Proxies and load balancers answer with bodies that are none: then only the
/// code is known.
fn from_status(status: &Status) -> ErrorKind {
    match status.code {
        400 | 413 | 415 | 422 => ErrorKind::Invalid,
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        409 if status.reason == "AlreadyExists" => ErrorKind::AlreadyExists,
        409 => ErrorKind::Conflict,
        410 => ErrorKind::Expired,
        429 => ErrorKind::TooManyRequests {
            retry_after: retry_after(status),
        },
        status => ErrorKind::Server { status },
    }
}

fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// A failure below HTTP: whether a request can have been sent is what matters.
fn from_transport(error: &(dyn StdError + 'static)) -> ErrorKind {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>()
            && error.is_connect()
        {
            return ErrorKind::Unreachable;
        }
        if error.downcast_ref::<kube::client::AuthError>().is_some() {
            return ErrorKind::Unauthorized;
        }
        cause = error.source();
    }
    ErrorKind::Disconnected
}

/// The last error of a chain: the one that says what happened ("connection refused").
fn deepest(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, reason: &str) -> kube::Error {
        kube::Error::Api(
            Status {
                code,
                ..Status::failure("the server's words", reason)
            }
            .boxed(),
        )
    }

    #[test]
    fn statuses_are_told_apart_by_meaning() {
        for (code, reason, kind) in [
            (404, "NotFound", ErrorKind::NotFound),
            (409, "AlreadyExists", ErrorKind::AlreadyExists),
            (409, "Conflict", ErrorKind::Conflict),
            (410, "Expired", ErrorKind::Expired),
            (403, "Forbidden", ErrorKind::Forbidden),
            (422, "Invalid", ErrorKind::Invalid),
            (
                429,
                "TooManyRequests",
                ErrorKind::TooManyRequests { retry_after: None },
            ),
            (503, "", ErrorKind::Server { status: 503 }),
        ] {
            let error = from_kube("create pod default/x", api(code, reason));
            assert_eq!(error.kind, kind);
            assert!(error.to_string().ends_with("the server's words"), "{error}");
        }
    }

    #[test]
    fn a_body_that_is_no_status_still_has_its_code() {
        assert_eq!(
            from_kube("x", api(502, "Failed to parse error data")).kind,
            ErrorKind::Server { status: 502 }
        );
    }
}
