//! How the agent is brought into a session's pod.
//!
//! ```text
//!   elf.rs        whether a program is static, and for which machine (pure)
//!   binary.rs     the agent on this machine that can be uploaded
//!   means.rs      which ways are open: the agent at hand, the cluster's version
//!   upload.sh, check.sh   what runs in the container
//!   upload.rs     the upload, and whether the agent runs
//! ```

mod binary;
mod elf;
mod means;
mod upload;

pub(crate) use means::{Means, mounts_images};
pub(crate) use upload::{is_running, session_key, upload};
