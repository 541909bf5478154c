//! Cgroups (cgroups(7)).
//!
//! ```text
//!   facts    what the kernel says of this program's
//!   place    where this program may make its own (pure)
//!   group    one for each process, to kill as a whole
//! ```

mod facts;
mod group;
mod place;

pub(crate) use facts::{File, Text, oom_kills, read, value};
pub(crate) use group::{Group, Groups};
