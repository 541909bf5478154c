//! Waiting for what a cluster does: I/O and the clock on one side, [`crate::readiness`] on the other.

mod agent;
mod claim_events;
mod deleted;
mod final_verdict;
mod job_pod;
mod log_tail;
mod ready;

use podbay_k8s_client::Error as ClientError;
use podbay_manifests::SessionId;
use podbay_protocol::{Blame, Cause, PhaseTimes, Verdict};

use crate::error::Error;
use crate::index::without_source;

pub(crate) use agent::{AGENT_PATIENCE, AgentWait, is_agents_fault, wait_for_agent};
pub(crate) use deleted::wait_until_deleted;
pub(crate) use final_verdict::final_verdict;
pub(crate) use job_pod::{JobPod, wait_for_pod_of_job};
pub use log_tail::log_tail;
pub(crate) use log_tail::{BYTES as TAIL_BYTES, told as with_tail};
pub(crate) use ready::{ReadyWait, wait_until_ready};

/// A start that has failed. No task has run yet, so that none is to blame for what ended.
fn start_failed(session: &SessionId, mut verdict: Verdict, times: PhaseTimes) -> Error {
    let ended = matches!(verdict.cause, Cause::Exited | Cause::OutOfMemory | Cause::Evicted);
    if ended && verdict.blame == Blame::Task {
        verdict.blame = Blame::Configuration;
    }
    Error::Start {
        session: session.to_string(),
        verdict: Box::new(verdict),
        times,
        kept: false,
    }
}

/// The failure of a shared watch, for one of the many who wait on it.
fn watch_failed(session: &SessionId, error: &ClientError) -> Error {
    Error::Call {
        session: session.to_string(),
        source: without_source(error),
    }
}
