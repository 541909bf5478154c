//! Making a session's objects, and removing them.
//!
//! ```text
//!   open.rs     record, then what it owns; roll back on failure      (client required)
//!   ensure.rs   one object: create, or adopt what is ours            (client required)
//!   gone.rs     wait until an object is gone, bounded                (client required)
//!   close.rs    delete the record; the claim where asked             (client required)
//! ```
//!
//! The record is the idempotency point: who creates it owns the start, who finds it adopts what is there and
//! creates what is missing. Deleting it deletes all by garbage collection, whatever this process still does.

mod close;
mod ensure;
mod gone;
mod open;

pub use close::{Closed, RetainedClaim};
pub(crate) use close::{close_record, delete_claim, wait_for_objects};
pub(crate) use gone::wait_until_gone;
pub(crate) use open::{Opened, Opening};
