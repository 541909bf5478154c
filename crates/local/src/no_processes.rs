//! In place of what runs in a session, where there is no way to find that out: no session has an agent there.

use std::io;
use std::path::Path;
use std::time::Duration;

/// The process that listens on a session's socket.
#[derive(Debug)]
pub(crate) struct Agent(std::convert::Infallible);

/// A process, whatever becomes of its id.
#[derive(Debug)]
pub(crate) struct Handle(std::convert::Infallible);

/// Nobody listens.
#[expect(clippy::unnecessary_wraps, reason = "as elsewhere")]
pub(crate) const fn reach(_: &Path) -> io::Result<Option<Agent>> {
    Ok(None)
}

impl Agent {
    /// There is none.
    pub(crate) const fn handle(&self) -> io::Result<Handle> {
        match self.0 {}
    }
}

impl Handle {
    /// There is none.
    pub(crate) const fn terminate(&self) -> io::Result<()> {
        match self.0 {}
    }

    /// There is none.
    pub(crate) const fn kill(&self) -> io::Result<()> {
        match self.0 {}
    }

    /// There is none.
    pub(crate) const fn wait(&self, _: Duration) -> io::Result<bool> {
        match self.0 {}
    }
}

/// There is none.
pub(crate) const fn freeze(agent: &Agent, _: &str) {
    match agent.0 {}
}

/// There is none.
pub(crate) const fn thaw(agent: &Agent, _: &str) {
    match agent.0 {}
}

/// There are none.
pub(crate) const fn kill_left(_: &str) -> usize {
    0
}
