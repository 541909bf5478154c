//! What figures are told apart by. Each is one of a few words: no session, owner or client makes a series of its own.

use std::fmt::{Error, Write as _};

use http::StatusCode;
use podbay_protocol::{Cause, StartPhase};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::routing::endpoint::Endpoint;

/// Who answers a request: one of the API's routes, one of the ports of a sandbox, or nobody. An answer has it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Handler(pub(crate) &'static str);

impl Handler {
    /// The API, of a path that it does not have.
    pub(crate) const UNKNOWN: Self = Self("unknown");
    /// Nobody: it can't be told whom the request is for.
    pub(crate) const NOBODY: Self = Self("nobody");

    /// A port of a sandbox.
    pub(crate) const fn of_sandbox(endpoint: Endpoint) -> Self {
        Self(match endpoint {
            Endpoint::Server => "sandbox",
            Endpoint::VsCode => "sandbox_vscode",
            Endpoint::Work1 | Endpoint::Work2 => "sandbox_work",
        })
    }
}

/// A status: as it is of the API, which answers with a few; by its hundred of a sandbox, which may answer with any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Code {
    Own(u16),
    Hundred(u16),
}

impl Code {
    pub(super) fn of(handler: Handler, status: StatusCode) -> Self {
        if handler.0.starts_with("sandbox") {
            Self::Hundred(status.as_u16() / 100)
        } else {
            Self::Own(status.as_u16())
        }
    }
}

impl EncodeLabelValue for Code {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), Error> {
        match self {
            Self::Own(code) => write!(encoder, "{code}"),
            Self::Hundred(hundred) => write!(encoder, "{hundred}xx"),
        }
    }
}

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Request {
    pub(super) handler: &'static str,
    pub(super) code: Code,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct By {
    pub(super) handler: &'static str,
}

/// How a start ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Start {
    pub(crate) result: &'static str,
}

/// A step of a start.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Phase {
    pub(crate) phase: &'static str,
}

impl From<StartPhase> for Phase {
    fn from(phase: StartPhase) -> Self {
        Self {
            phase: phase.as_str(),
        }
    }
}

/// Why a start failed; `none` where there is no verdict, such as for a call to the cluster that failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Failure {
    pub(super) cause: &'static str,
}

impl From<Option<Cause>> for Failure {
    fn from(cause: Option<Cause>) -> Self {
        Self {
            cause: cause.map_or("none", Cause::as_str),
        }
    }
}

/// Which way bytes went.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Way {
    pub(super) direction: &'static str,
}

/// What came of a wake.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Wake {
    pub(super) result: &'static str,
}
