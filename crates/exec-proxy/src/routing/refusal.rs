//! Answers to requests that no sandbox answers.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use podbay_protocol::Verdict;
use serde::Serialize;

use super::asked::Asked;
use super::headers::RefusedHeader;
use super::page::{self, Form};
use crate::body::Body;
use crate::listen::request::RefusedRequest;
use crate::sessions::{NotKnown, NotWoken};

/// Seconds after which a client is asked to try again.
const RETRY_SECONDS: u32 = 2;

/// Why no sandbox answers a request. The words are for people; what a program goes by is the status.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The request is not one that can be passed on.
    #[error("{0}")]
    Request(#[from] RefusedRequest),
    /// Nor with these headers.
    #[error("{0}")]
    Header(#[from] RefusedHeader),
    /// In port style: the request names a host that is not this machine.
    #[error("this port is asked as localhost, 127.0.0.1 or [::1] alone")]
    NotThisMachine,
    /// Nobody knows who asks for what checks no key itself.
    #[error(
        "what a sandbox serves is shown to those who have the session's key: in X-Session-API-Key, by a link that GET /.podbay/links \
         on the session's URL makes, or in this form"
    )]
    NotLetIn,
    /// There is no such session, or none is named.
    #[error("there is no such session; it may have been stopped")]
    NoSession,
    /// It was closed.
    #[error("the session was stopped")]
    Stopped,
    /// It failed, or its pod was lost.
    #[error("the session's sandbox does not run: {}", .0)]
    Failed(Box<Verdict>),
    /// Its start came to nothing, and no verdict tells why.
    #[error("the session did not start: {0}")]
    NotStarted(String),
    /// A later version wrote its record.
    #[error("the session's record can't be read by this version of Podbay")]
    Unreadable,
    /// It is not ready yet.
    #[error("the session is starting ({phase}); it did not become ready within {seconds} s")]
    Starting {
        /// What it is doing.
        phase: String,
        /// How long the request was held.
        seconds: u64,
    },
    /// It is paused.
    #[error(
        "the session is paused; resume it, or ask its URL with its key in X-Session-API-Key (not for a health route, and not for an upgrade)"
    )]
    Paused,
    /// It is paused, and was not brought back.
    #[error("the session is paused and was not brought back: {}", .0)]
    NotWoken(NotWoken),
    /// Nobody knows.
    #[error("it can't be told at present whether there is such a session: {}", .0)]
    NotKnown(String),
    /// Nothing listens there.
    #[error("nothing answers on port {port} of the session's sandbox: {reason}")]
    Unreachable {
        /// The port.
        port: u16,
        /// What was met.
        reason: String,
    },
    /// The connection ended before there was an answer.
    #[error("the session's sandbox ended the connection before it answered: {reason}")]
    Broken {
        /// What was met.
        reason: String,
    },
    /// The sandbox changed to a protocol that was not asked for.
    #[error("the session's sandbox changed the protocol of the connection to one that was not asked for")]
    Upgrade,
}

impl From<NotKnown> for Refusal {
    fn from(error: NotKnown) -> Self {
        Self::NotKnown(error.message)
    }
}

/// What a program gets, in the form that OpenHands' servers give errors.
#[derive(Serialize)]
struct Detail<'a> {
    detail: &'a str,
}

impl Refusal {
    /// The status of the answer.
    ///
    /// V0 clients take 404, 502 and 504 for a runtime that is gone or does not answer, and 503 for one that is paused. So the
    /// last is for those alone that ask again and do nothing else.
    pub(crate) fn status(&self, knows_unavailable: bool) -> StatusCode {
        match self {
            Self::Request(refused) => refused.status(),
            Self::Header(_) => StatusCode::BAD_REQUEST,
            Self::NotThisMachine => StatusCode::MISDIRECTED_REQUEST,
            Self::NotLetIn => StatusCode::FORBIDDEN,
            Self::NoSession | Self::Stopped => StatusCode::NOT_FOUND,
            Self::Failed(_)
            | Self::NotStarted(_)
            | Self::Unreadable
            | Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Upgrade => StatusCode::BAD_GATEWAY,
            Self::Starting { .. } | Self::Paused | Self::NotWoken(_) | Self::NotKnown(_)
                if knows_unavailable =>
            {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Starting { .. } | Self::Paused | Self::NotWoken(_) | Self::NotKnown(_) => {
                StatusCode::GATEWAY_TIMEOUT
            }
        }
    }

    /// The answer to a request of which this is known.
    pub(super) fn answer(&self, asked: &Asked) -> Response<Body> {
        let form = match self {
            Self::NotLetIn => asked.key_form,
            Self::Paused | Self::NotWoken(_) => asked.wake_form,
            _ => None,
        };
        let back = asked.back.as_ref().and_then(|back| back.to_str().ok());
        self.in_form(
            asked.by_browser,
            asked.knows_unavailable,
            form.map(|form| (form, back)),
        )
    }

    /// The answer to a request of which nothing is known.
    pub(crate) fn plain(&self) -> Response<Body> {
        self.in_form(false, false, None)
    }

    fn in_form(
        &self,
        page: bool,
        knows_unavailable: bool,
        form: Option<(Form, Option<&str>)>,
    ) -> Response<Body> {
        let status = self.status(knows_unavailable);
        let words = self.to_string();
        let mut answer = if page {
            let again = matches!(self, Self::Starting { .. }).then_some(RETRY_SECONDS);
            page::answer(status, &words, again, form)
        } else {
            let text = serde_json::to_string(&Detail { detail: &words }).unwrap_or_default();
            let mut answer = Response::new(Body::from(text));
            answer
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            answer
        };
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use podbay_protocol::{Cause, Hint};

    use super::*;

    #[test]
    fn v0_never_sees_503() {
        let all = [
            Refusal::NoSession,
            Refusal::Stopped,
            Refusal::Failed(Box::new(Verdict::new(Cause::Deleted, "gone", Hint::OpenAgain))),
            Refusal::NotStarted("quota exceeded".into()),
            Refusal::Unreadable,
            Refusal::Starting {
                phase: "Creating".into(),
                seconds: 1,
            },
            Refusal::Paused,
            Refusal::NotWoken(NotWoken::TooOften),
            Refusal::NotKnown("stale".into()),
            Refusal::Unreachable {
                port: 1,
                reason: "refused".into(),
            },
            Refusal::Broken {
                reason: "closed".into(),
            },
            Refusal::Upgrade,
        ];
        for refusal in all {
            let status = refusal.status(false).as_u16();
            assert!([404, 502, 504].contains(&status), "{refusal}: {status}");
            assert!(!refusal.plain().headers().contains_key(RETRY_AFTER));
        }
        assert_eq!(Refusal::Paused.status(true), 503);
    }

    #[test]
    fn a_failure_is_told_in_words() {
        let verdict = Verdict::new(Cause::ImageNotFound, "no such image: x", Hint::OpenAgain);
        let words = Refusal::Failed(Box::new(verdict)).to_string();
        assert!(
            words.contains("no such image: x") && words.contains("image_not_found"),
            "{words}"
        );
    }
}
