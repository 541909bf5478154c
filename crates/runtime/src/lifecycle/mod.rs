//! Making a session's objects, and removing them.
//!
//! ```text
//!   plan.rs      from what is there to what is to be done          (pure)
//!   open.rs      look, plan, execute; another attempt              (client required)
//!   start.rs     the steps of a plan, and the wait for the pod     (client required)
//!   apply.rs     one object: create, or adopt what is ours         (client required)
//!   workload.rs  the pod, or the Job that makes it                 (client required)
//!   agent.rs     how the agent comes into the pod              (client required)
//!   main_command.rs  what the agent runs beside what is asked of it later   (client required)
//!   exposure.rs  Services, Ingresses, routes                       (client required)
//!   network.rs   the policies that sessions share                  (client required)
//!   limit.rs     the limit on concurrent sessions                  (client required)
//!   retry.rs     which failures are tried again                    (pure)
//!   give_up.rs   what becomes of a start that has failed           (client required)
//!   failed.rs    failed sessions that stay; starting them again    (client required)
//!   expiry.rs    failed sessions go after their time               (client required)
//!   marks.rs     paused, failed: annotations of the record         (client required)
//!   loss.rs      a pod that was lost is written down               (client required)
//!   pause.rs     the pod goes, the rest stays                      (client required)
//!   close.rs     delete the record; the claim where asked          (client required)
//! ```
//!
//! The record is the idempotency point: who creates it owns the start, who finds it adopts what is there and
//! creates what is missing. Deleting it deletes all by garbage collection, whatever this process still does.

mod agent;
mod apply;
mod close;
mod expiry;
mod exposure;
mod failed;
mod give_up;
mod limit;
mod loss;
mod main_command;
mod marks;
mod network;
mod open;
mod pause;
mod plan;
mod retry;
mod start;
mod workload;

pub(crate) use apply::creation_values;
pub use close::{Closed, RetainedClaim};
pub(crate) use close::{close, delete};
pub(crate) use expiry::{is_expired, remove};
pub(crate) use main_command::{ID as MAIN_COMMAND, run_main_command, start_ended_server};
pub use open::Stored;
pub(crate) use open::{OpenOperation, OpenOutcome, Origin};
pub(crate) use pause::pause;
pub use plan::OpenMode;
pub(crate) use retry::RetryPolicy;
