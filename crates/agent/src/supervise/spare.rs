//! A supervisor that was started ahead: the start of a program takes longer than all else on the way to a command.
//!
//! It is the mode `supervise` before its first order, with an empty environment and nothing but its socket and the agent's
//! standard outputs, as each supervisor is. It is no process of anybody: no count and no list of processes has it. When its
//! socket's other end is closed, with the agent or by [`Spare::close`], it ends.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use super::handle::{Supervisor, Waiting};
use super::launch::Launch;
use crate::cgroup::{self, File, Groups};
use crate::init::Children;

/// With room for fewer processes than this no supervisor is started ahead: those who have little need it themselves.
const ROOM: u64 = 64;
/// How long the end of one that nobody needs is waited for.
const ENDED_WITHIN: Duration = Duration::from_secs(1);

/// Where supervisors come from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Spare(Arc<Shared>);

struct Shared {
    children: Children,
    program: PathBuf,
    /// Whether any is started ahead.
    ahead: bool,
    groups: Option<Groups>,
    slot: Mutex<Slot>,
}

enum Slot {
    Empty,
    /// One is being started.
    Coming,
    There(Waiting),
    /// None is started any more.
    Closed,
}

impl Spare {
    /// Supervisors are started from `program`; one of them `ahead`, if that is set; each in a cgroup of its own, if there are
    /// `groups`.
    pub(crate) fn new(children: Children, program: PathBuf, ahead: bool, groups: Option<Groups>) -> Self {
        Self(Arc::new(Shared {
            children,
            program,
            ahead,
            groups,
            slot: Mutex::new(Slot::Empty),
        }))
    }

    /// A supervisor for a command whose streams are `descriptors`: the one that waits, else one that is started now. Within a
    /// tokio runtime.
    pub(crate) fn supervise(
        &self,
        launch: &Launch,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<Supervisor> {
        let launch = launch.to_file()?;
        let waiting = {
            let mut slot = self.slot();
            match &*slot {
                Slot::There(_) => Some(std::mem::replace(&mut *slot, Slot::Empty)),
                Slot::Empty | Slot::Coming | Slot::Closed => None,
            }
        };
        if let Some(Slot::There(waiting)) = waiting {
            match waiting.begin(&launch, descriptors) {
                Ok(supervisor) => return Ok(supervisor),
                // Somebody has ended it.
                Err(error) => tracing::debug!(%error, "the supervisor that was started ahead takes no order"),
            }
        }
        self.0.start()?.begin(&launch, descriptors)
    }

    /// Has one started, if none is there, apart from the threads that others need. Within a tokio runtime.
    pub(crate) fn refill(&self) {
        if !self.0.ahead {
            return;
        }
        {
            let mut slot = self.slot();
            if !matches!(*slot, Slot::Empty) {
                return;
            }
            *slot = Slot::Coming;
        }
        let spare = self.clone();
        tokio::task::spawn_blocking(move || {
            let waiting = if has_room() {
                spare
                    .0
                    .start()
                    .inspect_err(|error| tracing::debug!(%error, "starting a supervisor ahead"))
                    .ok()
            } else {
                None
            };
            let mut slot = spare.slot();
            if matches!(*slot, Slot::Coming) {
                *slot = waiting.map_or(Slot::Empty, Slot::There);
            }
        });
    }

    /// Ends the one that waits; none is started ahead any more.
    pub(crate) async fn close(&self) {
        let last = std::mem::replace(&mut *self.slot(), Slot::Closed);
        if let Slot::There(waiting) = last {
            tokio::time::timeout(ENDED_WITHIN, waiting.end()).await.ok(); // Stopped by somebody: it ends when it goes on.
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn start(&self) -> io::Result<Waiting> {
        Waiting::start(&self.children, &self.program, self.groups.as_ref())
    }
}

/// Whether one process more takes nothing from others.
fn has_room() -> bool {
    let pids = |name| File {
        unified: name,
        controller: "pids",
        legacy: name,
    };
    let [most, current] = ["pids.max", "pids.current"]
        .map(|name| cgroup::read(pids(name)).map(|text| text.as_str().to_owned()));
    let of_user = getrlimit(Resource::Nproc).current;
    room(of_user, most.as_deref(), current.as_deref()).is_none_or(|room| room >= ROOM)
}

/// How many processes there may be more, as far as that is limited. What a limit of the user leaves can't be told cheaply: it
/// is of all that are his anywhere.
fn room(of_user: Option<u64>, most: Option<&str>, current: Option<&str>) -> Option<u64> {
    let number = |text: Option<&str>| text?.trim().parse::<u64>().ok(); // `max` is none.
    let of_cgroup = number(most).map(|most| most.saturating_sub(number(current).unwrap_or(0)));
    of_user.into_iter().chain(of_cgroup).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_limit_counts() {
        for (of_user, most, current, expected) in [
            (None, None, None, None),
            (None, Some("max\n"), Some("7\n"), None),
            (None, Some("200\n"), Some("150\n"), Some(50)),
            (None, Some("200\n"), Some("201\n"), Some(0)),
            (Some(100), Some("200\n"), Some("7\n"), Some(100)),
            (Some(1000), None, Some("7\n"), Some(1000)),
        ] {
            assert_eq!(
                room(of_user, most, current),
                expected,
                "{of_user:?} {most:?} {current:?}"
            );
        }
    }
}
