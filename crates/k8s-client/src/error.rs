//! What can go wrong in a call to the cluster, by meaning.

use std::fmt;
use std::time::Duration;

/// A failed call: what was tried on which object, what it means, what the cluster said.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {kind}{}", message.as_deref().map(|m| format!(": {m}")).unwrap_or_default())]
pub struct Error {
    /// What was tried, on which object: `create pod default/x`.
    pub operation: String,
    /// What the failure means.
    pub kind: ErrorKind,
    /// The cluster's own words, where it answered.
    pub message: Option<String>,
    /// Where it came from.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error without a cause of its own.
    pub fn new(operation: impl Into<String>, kind: ErrorKind) -> Self {
        Self {
            operation: operation.into(),
            kind,
            message: None,
            source: None,
        }
    }

    /// The same, with the cluster's words.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// The same, with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether a write that failed so may have taken effect all the same.
    pub const fn may_have_happened(&self) -> bool {
        match self.kind {
            // The server answered before it did anything.
            ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::Conflict
            | ErrorKind::Expired
            | ErrorKind::Unauthorized
            | ErrorKind::Forbidden
            | ErrorKind::Invalid
            | ErrorKind::TooManyRequests { .. }
            | ErrorKind::Unreachable
            | ErrorKind::Unsupported
            | ErrorKind::Configuration => false,
            // 500 and 504 are given also after the write was stored (an etcd time-out, a webhook after the fact).
            ErrorKind::Server { .. } | ErrorKind::Disconnected | ErrorKind::Deadline(_) => true,
        }
    }
}

/// What a failed call means. The HTTP statuses are those of the Kubernetes API conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// 404: there is no such object (or namespace).
    NotFound,
    /// 409 with reason `AlreadyExists`.
    AlreadyExists,
    /// 409 for another reason: a precondition does not hold, the object changed meanwhile.
    Conflict,
    /// 410: the version asked for is too old; list again.
    Expired,
    /// 401, or the server's TLS wants another client certificate: the credentials are missing or not valid.
    Unauthorized,
    /// 403: the right is missing, or admission (quota, Pod Security, a webhook) refuses. The message tells which.
    Forbidden,
    /// 400, 413, 415 or 422: the request or the object is not valid.
    Invalid,
    /// 429: too many requests.
    TooManyRequests {
        /// The server's `Retry-After`, if it gave one.
        retry_after: Option<Duration>,
    },
    /// Another status of the server's, 5xx as a rule; 3xx for a redirect, which is not followed, and 2xx for a
    /// success whose body is none of the API's.
    Server {
        /// The HTTP status.
        status: u16,
    },
    /// No connection came about: nothing was sent.
    Unreachable,
    /// The connection broke while the answer was outstanding.
    Disconnected,
    /// No answer within the deadline.
    Deadline(Duration),
    /// The server (or this implementation) cannot do what was asked.
    Unsupported,
    /// The kubeconfig or the in-pod environment can't be used, or what it leads to does not prove to be the
    /// server it names (TLS).
    Configuration,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("not found"),
            Self::AlreadyExists => f.write_str("already exists"),
            Self::Conflict => f.write_str("conflict"),
            Self::Expired => f.write_str("version expired"),
            Self::Unauthorized => f.write_str("not authenticated"),
            Self::Forbidden => f.write_str("forbidden"),
            Self::Invalid => f.write_str("refused as not valid"),
            Self::TooManyRequests { retry_after: None } => f.write_str("too many requests"),
            Self::TooManyRequests {
                retry_after: Some(after),
            } => {
                write!(
                    f,
                    "too many requests (the server asks to wait {} s)",
                    after.as_secs()
                )
            }
            Self::Server { status } => write!(f, "the API server answered {status}"),
            Self::Unreachable => f.write_str("no connection to the API server"),
            Self::Disconnected => f.write_str("the connection to the API server broke"),
            Self::Deadline(deadline) => {
                write!(f, "no answer from the API server within {} s", deadline.as_secs())
            }
            Self::Unsupported => f.write_str("not supported"),
            Self::Configuration => f.write_str("no usable cluster configuration"),
        }
    }
}
