//! From kube's errors to ours, by meaning.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use kube::client::AuthError;
use kube::core::Status;

use super::answer::Unread;
use super::plugin;
use super::proxy::ThroughProxy;
use crate::error::{Error, ErrorKind};

/// What went wrong in `operation`.
pub(super) fn from_kube(operation: &str, error: kube::Error) -> Error {
    let (kind, message) = match &error {
        kube::Error::Api(status) => (from_status(status), status.message.clone()),
        kube::Error::HyperError(source) => from_transport(source),
        kube::Error::Service(source) => from_transport(source.as_ref()),
        kube::Error::ReadEvents(source) => from_transport(source),
        // Cut where nothing says how long it is to be.
        kube::Error::SerdeError(source) if source.is_eof() => (ErrorKind::Disconnected, source.to_string()),
        kube::Error::SerdeError(source) => (NO_ANSWER, format!("with what is no such object: {source}")),
        kube::Error::FromUtf8(source) => (NO_ANSWER, format!("with what is no text: {source}")),
        kube::Error::UpgradeConnection(source) => (ErrorKind::Unsupported, deepest(source)),
        kube::Error::Auth(source) => (ErrorKind::Unauthorized, of_plugin(source)),
        other @ (kube::Error::BuildRequest(_) | kube::Error::HttpError(_)) => {
            (ErrorKind::Invalid, deepest(other))
        }
        other => (ErrorKind::Configuration, deepest(other)),
    };
    let error = Error::new(operation, kind).with_source(error);
    if message.is_empty() {
        error
    } else {
        error.with_message(message)
    }
}

/// A success whose body is none of the API's: what was asked may have been done. Which of the successes it was
/// kube does not say.
const NO_ANSWER: ErrorKind = ErrorKind::Server { status: 200 };

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

/// A failure below HTTP, and its words: whether a request can have been sent is what matters.
fn from_transport(error: &(dyn StdError + 'static)) -> (ErrorKind, String) {
    let mut connecting = false;
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(unread) = error.downcast_ref::<Unread>() {
            let status = unread.status.as_u16();
            return (ErrorKind::Server { status }, unread.to_string());
        }
        if let Some(error) = error.downcast_ref::<rustls::Error>()
            && let Some(kind) = from_tls(error, connecting)
        {
            return (
                kind,
                format!("the TLS handshake failed: {error}{}", advice(error)),
            );
        }
        if let Some(error) = error.downcast_ref::<AuthError>() {
            return (ErrorKind::Unauthorized, of_plugin(error));
        }
        if let Some(through) = error.downcast_ref::<ThroughProxy>() {
            let (kind, message) = through
                .source()
                .map_or((ErrorKind::Unreachable, String::new()), from_transport);
            return (kind, format!("{through}: {message}"));
        }
        connecting |= error
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect);
        cause = source(error);
    }
    let kind = if connecting {
        ErrorKind::Unreachable
    } else {
        ErrorKind::Disconnected
    };
    (kind, deepest(error))
}

/// What a TLS failure means; none if it is one of the connection. Trying again mends neither: a certificate is
/// changed by people.
fn from_tls(error: &rustls::Error, connecting: bool) -> Option<ErrorKind> {
    use rustls::AlertDescription as Alert;
    match error {
        // Our certificate, or that there is none. In TLS 1.3 this comes after the handshake is over for us.
        rustls::Error::AlertReceived(
            Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::CertificateRequired,
        ) => Some(ErrorKind::Unauthorized),
        // Its certificate, or what it speaks is no TLS that we do.
        _ => connecting.then_some(ErrorKind::Configuration),
    }
}

/// What to do about a server whose certificate does not fit.
fn advice(error: &rustls::Error) -> &'static str {
    match error {
        // The second is an authority of the same name with another key.
        rustls::Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer | rustls::CertificateError::BadSignature,
        ) => {
            " (the kubeconfig's certificate-authority is not the one that signed it, or there is none and this machine \
             does not know the issuer)"
        }
        _ => "",
    }
}

/// A failure to get credentials.
fn of_plugin(error: &AuthError) -> String {
    plugin::words(error, None).unwrap_or_else(|| deepest(error))
}

/// Whether nobody listens where a connection was tried.
pub(super) fn is_refused(error: &Error) -> bool {
    let mut cause = StdError::source(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        {
            return true;
        }
        cause = source(error);
    }
    false
}

/// The error below `error`. That of an I/O error is what it was made of, which `source` would skip.
fn source<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    }
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
