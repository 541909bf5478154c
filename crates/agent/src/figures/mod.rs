//! What the sandbox uses, and since when nobody needs it.
//!
//! ```text
//!   container   readings from the kernel: the cgroup's where this program is PID 1 of a container, else sums over the
//!               processes below it (proc)
//!   sampler     which of two readings tell that something is going on (pure)
//!   meter       both together, and the holds of clients
//! ```

mod container;
mod meter;
mod proc;
mod sampler;

pub(crate) use meter::{LONGEST_HOLD, Meter};
