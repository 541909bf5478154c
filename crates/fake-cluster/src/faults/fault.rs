//! What goes wrong with a call.

use std::time::Duration;

use podbay_k8s_client::{Error, ErrorKind};

/// On which side of a call's effect something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The request never arrived.
    Before,
    /// It took effect; the answer never arrived.
    After,
}

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller gets an error.
    Error {
        /// Before or after the call took effect.
        when: When,
        /// What it means.
        kind: ErrorKind,
        /// The cluster's words, if it has any.
        message: Option<String>,
    },
    /// The call takes longer, and then goes as usual.
    Latency(Duration),
    /// A watch tells each change so much later than it happens, as one whose API server lags behind; what it lists is of
    /// the moment. Any other call takes so much longer.
    Lag(Duration),
    /// No answer ever comes.
    Silence(When),
    /// The client's process dies: this call and all later ones neither return nor take effect (but for this one's, if
    /// it is to), and [`super::FaultyCluster::crashed`] tells.
    Crash(When),
}

impl Fault {
    /// An error without effect.
    pub const fn before(kind: ErrorKind) -> Self {
        Self::Error {
            when: When::Before,
            kind,
            message: None,
        }
    }

    /// An error although the call took effect.
    pub const fn after(kind: ErrorKind) -> Self {
        Self::Error {
            when: When::After,
            kind,
            message: None,
        }
    }

    /// 410: the version asked for is too old.
    pub fn expired() -> Self {
        Self::before(ErrorKind::Expired).message("The resourceVersion for the provided watch is too old.")
    }

    /// 429 with `Retry-After`.
    pub fn too_many_requests(retry_after: Duration) -> Self {
        Self::before(ErrorKind::TooManyRequests {
            retry_after: Some(retry_after),
        })
        .message("Too many requests, please try again later.")
    }

    /// 403 by admission, in a policy's or webhook's words.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::before(ErrorKind::Forbidden).message(message)
    }

    /// The same error with the cluster's words; other faults have none.
    #[must_use]
    pub fn message(mut self, text: impl Into<String>) -> Self {
        if let Self::Error { message, .. } = &mut self {
            *message = Some(text.into());
        }
        self
    }
}

/// The error a call ends with.
pub(super) fn error(operation: &str, kind: ErrorKind, message: Option<&str>) -> Error {
    let error = Error::new(operation, kind);
    match message {
        Some(message) => error.with_message(message),
        None => error,
    }
}
