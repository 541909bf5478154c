//! Whether a session's agent lives.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::error::Error;
use crate::lock::{Flock, Locked, agent_lock, socket};
use crate::processes::{Agent, reach};

/// What is going on with a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// Somebody is making, starting or ending it.
    Changing,
    /// Its agent takes commands.
    Serves,
    /// Its agent has ended, or whoever made it died before there was one.
    Ended,
}

/// Looks at the session in a directory. What somebody does meanwhile may be seen or not.
pub(crate) fn look(directory: &Path) -> Result<Life, Error> {
    // Whoever starts an agent has the directory locked until that has its own lock, so that this one is asked first.
    let changing = Locked::is_held(directory)?;
    if has_agent(directory)? {
        return Ok(match agent(directory)? {
            Some(_) => Life::Serves,
            // It is about to listen.
            None => Life::Changing,
        });
    }
    Ok(if changing { Life::Changing } else { Life::Ended })
}

/// Whether an agent lives, by its lock.
pub(crate) fn has_agent(directory: &Path) -> Result<bool, Error> {
    let path = agent_lock(directory);
    let failed = |source| Error::system("locking", &path)(source);
    let file = match OpenOptions::new().read(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(failed)?,
    };
    // Shared, so that those who look are not in each other's way.
    match Flock::now(file, FlockOperation::NonBlockingLockShared) {
        Ok(_) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(failed(errno.into())),
    }
}

/// The agent that listens in a directory, if one does.
pub(crate) fn agent(directory: &Path) -> Result<Option<Agent>, Error> {
    let path = socket(directory);
    reach(&path).map_err(Error::system("connecting to", path))
}
