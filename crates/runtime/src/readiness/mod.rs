//! From a pod's state to *ready*, *wait* or *hopeless*.
//!
//! ```text
//!   pod, events --> symptom (diagnosis.rs, image.rs, scheduling.rs,
//!                            preparation.rs, init.rs, probe.rs,
//!                            end.rs)                                --+
//!   pod         --> phase   (phase.rs)                                +--> progress.rs --> decision
//!   now         ------------------------------------------------------+
//! ```
//!
//! Pure: values and the time come in, decisions go out. [`crate::wait`] feeds it.

mod agent;
mod diagnosis;
mod end;
mod image;
mod init;
mod missing;
mod phase;
mod preparation;
mod probe;
mod progress;
mod refusal;
mod scheduling;
#[cfg(test)]
mod tests;

pub(crate) use agent::silent as silent_agent;
pub(crate) use diagnosis::{hopeless, node_lost};
pub(crate) use end::{end_by_events, end_of_pod, is_settled, is_vague, out_of_memory};
pub(crate) use init::culprit;
pub(crate) use missing::{closed_meanwhile, deleted_while_starting};
pub(crate) use phase::{condition, phase_of};
pub(crate) use probe::{readiness_answer, unanswered_since};
pub(crate) use progress::{Decision, GracePeriods, StartMonitor};
pub(crate) use refusal::{may_pass, of_creation};
