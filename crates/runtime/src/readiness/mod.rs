//! From a pod's state to *ready*, *wait* or *hopeless*.
//!
//! ```text
//!   pod, events --> symptom (diagnosis.rs, image.rs, scheduling.rs,
//!                            preparation.rs, end.rs)                 --+
//!   pod         --> phase   (phase.rs)                                +--> progress.rs --> decision
//!   now         ------------------------------------------------------+
//!   wait.rs feeds it from the shared watch and the clock, and acts on what it decides
//!   job.rs waits for the pod that a Job makes, before there is one to look at
//!   last_words.rs reads the log of a program that ended
//!   fate.rs waits for what becomes of a pod that is being ended
//! ```
//!
//! All but these four is pure: values and the time come in, decisions go out.

mod diagnosis;
mod end;
mod fate;
mod image;
mod job;
mod last_words;
mod phase;
mod preparation;
mod progress;
mod refusal;
mod scheduling;
#[cfg(test)]
mod tests;
mod wait;

pub(crate) use diagnosis::{hopeless, node_lost};
pub(crate) use end::{end_by_events, end_of_pod, is_vague, out_of_memory};
pub(crate) use fate::fate_of_pod;
pub(crate) use job::{JobPod, wait_for_pod_of_job};
pub(crate) use phase::{condition, container, phase_of};
pub(crate) use progress::Graces;
pub(crate) use refusal::{may_pass, of_creation};
pub(crate) use wait::{Progress, wait_until_ready};
