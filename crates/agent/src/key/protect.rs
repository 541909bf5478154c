//! What keeps processes of the same user out of this one.

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Makes this process one that nobody of its user can trace, and whose memory, environment and descriptors nobody of
/// its user can read through `/proc` (`PR_SET_DUMPABLE`, proc(5)). An exec takes that back, so that it is called in the
/// process that stays, and what this process starts is as it always is.
///
/// With `no_new_privileges`, neither this process nor any that it starts gains rights by an exec: `sudo` and the like
/// do not work then. To be called before any thread is started: it holds for the calling thread and those that it
/// starts.
pub fn protect_process(no_new_privileges: bool) -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    if no_new_privileges {
        rustix::thread::set_no_new_privs(true)?;
    }
    Ok(())
}
