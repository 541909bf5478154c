//! Supervisors that were started ahead: the start of a program takes longer than all else on the way to a command.
//!
//! Each is the mode `supervise` before its first order, with an empty environment and nothing but its socket and the agent's
//! standard outputs, as each supervisor is. It is no process of anybody: no count and no list of processes has it. When its
//! socket's other end is closed, with the agent or by [`Spare::close`], it ends. What one takes for itself is 72 kB.

use std::collections::VecDeque;
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
/// How many wait. Two, since the one that takes another's place is not started beside the command, which would take longer by
/// that, but after it: the next command may come before that one is there.
const AHEAD: usize = 2;
/// How long the end of those that nobody needs is waited for.
const ENDED_WITHIN: Duration = Duration::from_secs(1);

/// Where supervisors come from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Spare(Arc<Shared>);

struct Shared {
    children: Children,
    program: PathBuf,
    groups: Option<Groups>,
    stock: Mutex<Stock>,
}

struct Stock {
    /// The oldest first: the newest may not have come so far yet that it waits.
    there: VecDeque<Waiting>,
    /// How many are to be there.
    wanted: usize,
    /// Whether somebody is starting those that are missing.
    is_filling: bool,
}

impl Spare {
    /// Supervisors are started from `program`; some `ahead`, if that is set; each in a cgroup of its own, if there are `groups`.
    pub(crate) fn new(children: Children, program: PathBuf, ahead: bool, groups: Option<Groups>) -> Self {
        Self(Arc::new(Shared {
            children,
            program,
            groups,
            stock: Mutex::new(Stock {
                there: VecDeque::new(),
                wanted: if ahead { AHEAD } else { 0 },
                is_filling: false,
            }),
        }))
    }

    /// A supervisor for a command whose streams are `descriptors`: one that waits, else one that is started now. Within a
    /// tokio runtime.
    pub(crate) fn supervise(
        &self,
        launch: &Launch,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<Supervisor> {
        let launch = launch.to_file()?;
        while let Some(waiting) = self.take() {
            match waiting.begin(&launch, descriptors) {
                Ok(supervisor) => return Ok(supervisor),
                // Somebody has ended it.
                Err(error) => tracing::debug!(%error, "the supervisor that was started ahead takes no order"),
            }
        }
        self.0.start()?.begin(&launch, descriptors)
    }

    fn take(&self) -> Option<Waiting> {
        self.stock().there.pop_front()
    }

    /// Has those started that are missing, apart from the threads that others need. Within a tokio runtime.
    pub(crate) fn refill(&self) {
        {
            let mut stock = self.stock();
            if stock.is_filling || stock.is_full() {
                return;
            }
            stock.is_filling = true;
        }
        let spare = self.clone();
        tokio::task::spawn_blocking(move || while spare.add() {});
    }

    /// Starts one. Whether more are missing.
    fn add(&self) -> bool {
        let started = has_room().then(|| self.0.start());
        let mut stock = self.stock();
        match started {
            Some(Ok(waiting)) if !stock.is_full() => stock.there.push_back(waiting),
            // It ends with its socket.
            Some(Ok(_)) => {}
            None => stock.is_filling = false,
            Some(Err(error)) => {
                tracing::debug!(%error, "starting a supervisor ahead");
                stock.is_filling = false;
            }
        }
        stock.is_filling &= !stock.is_full();
        stock.is_filling
    }

    /// Ends those that wait; none is started ahead any more.
    pub(crate) async fn close(&self) {
        let last = {
            let mut stock = self.stock();
            stock.wanted = 0;
            std::mem::take(&mut stock.there)
        };
        let all_end = futures::future::join_all(last.into_iter().map(Waiting::end));
        tokio::time::timeout(ENDED_WITHIN, all_end).await.ok(); // Stopped by somebody: it ends when it goes on.
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.0.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stock {
    fn is_full(&self) -> bool {
        self.there.len() >= self.wanted
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
