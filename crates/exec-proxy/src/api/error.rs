//! Refusals of the API: a status and a `detail`, which every client shows.

use http::StatusCode;
use podbay_runtime::Error;
use serde_json::json;

use super::answer::{Answer, json};
use crate::words::Http;

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status of the answer.
    pub(crate) status: StatusCode,
    /// What clients show: why, and what to do.
    pub(crate) detail: String,
    /// After how many seconds it may be tried again, where that is known.
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// No or a wrong API key.
    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "the header X-API-Key does not carry an API key of this service",
        )
    }

    /// There is no such session for this caller.
    pub(crate) fn no_session(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no session {id:?}"))
    }

    /// There is no such runtime for this caller.
    pub(crate) fn no_runtime(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no runtime {id:?}"))
    }

    /// What was asked can't be read.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// The cluster, or this machine, does not answer as it should.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// The same with a time after which it may be tried again.
    pub(crate) fn after(self, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// As an answer.
    pub(crate) fn answer(self) -> Answer {
        let mut answer = json(self.status, &json!({"detail": self.detail}));
        if let Some(seconds) = self.retry_after {
            answer
                .headers_mut()
                .insert(http::header::RETRY_AFTER, http::HeaderValue::from(seconds));
        }
        answer
    }
}

/// The refusal that an error of a session makes.
impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let status = match error {
            Error::Spec { .. } | Error::Id { .. } | Error::Owner { .. } | Error::Setting { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Error::Unsupported { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Error::NotFound { .. } | Error::NotHere { .. } => StatusCode::NOT_FOUND,
            Error::NothingToKeep { .. }
            | Error::NameTaken { .. }
            | Error::Paused { .. }
            | Error::Raced { .. } => StatusCode::CONFLICT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, told(error))
    }
}

/// An error in words for people: what went wrong, why, and what to do.
pub(crate) fn told(error: &Error) -> String {
    let text = error.chain_in_words(&Http);
    match error.hint().map(|hint| hint.in_words(&Http)) {
        Some(hint) if !hint.is_empty() => format!("{text} ({hint})"),
        _ => text,
    }
}
