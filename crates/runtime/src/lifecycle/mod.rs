//! Making a session's objects, and removing them.
//!
//! ```text
//!   open.rs      the record; another try; roll back on failure    (client required)
//!   start.rs     what the record owns, and the wait for it         (client required)
//!   ensure.rs    one object: create, or adopt what is ours         (client required)
//!   workload.rs  the pod, or the Job that makes it                 (client required)
//!   exposure.rs  Services, Ingresses, routes                       (client required)
//!   network.rs   the policies that sessions share                  (client required)
//!   limit.rs     the limit on concurrent sessions                  (client required)
//!   retry.rs     which failures are tried again                    (pure)
//!   pause.rs     the pod goes, the rest stays                      (client required)
//!   close.rs     delete the record; the claim where asked          (client required)
//!   gone.rs      wait until an object is gone, bounded             (client required)
//! ```
//!
//! The record is the idempotency point: who creates it owns the start, who finds it adopts what is there and
//! creates what is missing. Deleting it deletes all by garbage collection, whatever this process still does.

mod close;
mod ensure;
mod exposure;
mod gone;
mod limit;
mod network;
mod open;
mod pause;
mod retry;
mod start;
mod workload;

pub use close::{Closed, RetainedClaim};
pub(crate) use close::{close_record, delete_claim, wait_for_objects};
pub(crate) use ensure::Site;
pub(crate) use gone::wait_until_gone;
pub(crate) use network::SharedPolicies;
pub(crate) use open::{Intent, Opened, Opening};
pub(crate) use pause::pause;
pub(crate) use retry::RetryPolicy;
