//! Transfers between the requests that they come in.
//!
//! A transfer is one file or one tree that a client sends under an id, in as many requests as connections break. One request at a
//! time is at work on it; its client, who has lost the connection, may have it ended. A tree whose request broke off is kept here, open
//! as it is; what there is of a file is in the file. What was completed is remembered, so that a client who did not hear of it may
//! ask again.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use podbay_protocol::agent::files::{TransferId, TreeWritten, Written};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{AbsolutePath, FileError, Unpacking};

/// How long a tree is kept whose request broke off.
pub const TREE_KEPT: Duration = Duration::from_secs(120);
/// How long a file is kept of which nothing more arrives.
pub const FILE_KEPT: Duration = Duration::from_secs(600);
/// Trees that are kept at the same time.
const TREES: usize = 8;
/// Completed transfers that are remembered, and how long.
const DONE: usize = 256;
const DONE_KEPT: Duration = Duration::from_secs(600);

/// All transfers of a server. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Transfers(Arc<Mutex<HashMap<Key, State>>>);

type Key = (AbsolutePath, TransferId);

#[derive(Debug)]
enum State {
    /// A request is at work on it. The sender, dropped, tells it to end; it stays here until it has.
    Active(Option<oneshot::Sender<()>>),
    /// The request was ended, or broke off.
    Kept(Box<Unpacking>, Instant),
    Done(Done, Instant),
}

/// What came of a completed transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A file was written.
    File(Written),
    /// A tree was written, by an archive of so many bytes.
    Tree(u64, TreeWritten),
}

/// What a request finds.
#[derive(Debug)]
pub enum Found {
    /// It is its turn; of a tree that was begun before, there is this.
    Turn(Turn, Option<Box<Unpacking>>),
    /// An earlier request is at work.
    Busy,
    /// There is nothing left to do.
    Done(Done),
}

/// What becomes of a request that is at work on a transfer when somebody asks about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtWork {
    /// Nothing: it goes on.
    Ignore,
    /// Who asks is told.
    Refuse,
    /// It is told to end, since who asks has lost it.
    End,
}

impl FromStr for AtWork {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "ignore" => Ok(Self::Ignore),
            "refuse" => Ok(Self::Refuse),
            "end" => Ok(Self::End),
            _ => Err("what becomes of a request at work is ignore, refuse or end"),
        }
    }
}

/// The right to go on with a transfer, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    transfers: Transfers,
    key: Option<Key>,
    ended: oneshot::Receiver<()>,
}

impl Transfers {
    /// Asks for the turn to go on with a transfer.
    pub fn turn(&self, path: &AbsolutePath, id: &TransferId, now: Instant) -> Found {
        let key = (path.clone(), id.clone());
        let mut all = self.all();
        purge(&mut all, now);
        let kept = match all.remove(&key) {
            None => None,
            Some(active @ State::Active(_)) => {
                all.insert(key, active);
                return Found::Busy;
            }
            Some(State::Kept(tree, _)) => Some(tree),
            Some(State::Done(done, at)) => {
                all.insert(key, State::Done(done.clone(), at));
                return Found::Done(done);
            }
        };
        let (end, ended) = oneshot::channel();
        all.insert(key.clone(), State::Active(Some(end)));
        let turn = Turn {
            transfers: self.clone(),
            key: Some(key),
            ended,
        };
        Found::Turn(turn, kept)
    }

    /// How many bytes there are of a tree, or were of a completed transfer. `None` if nothing is known of it here, or
    /// a request is at work on it, unless `at_work` says otherwise.
    ///
    /// Who refuses to share it is about to begin: a completed transfer is forgotten then. What it wrote may have been changed or
    /// removed since, and is to be written again.
    pub fn taken(
        &self,
        path: &AbsolutePath,
        id: &TransferId,
        at_work: AtWork,
        now: Instant,
    ) -> Result<Option<u64>, FileError> {
        let key = (path.clone(), id.clone());
        let mut all = self.all();
        purge(&mut all, now);
        match all.get_mut(&key) {
            None => Ok(None),
            Some(State::Done(..)) if at_work == AtWork::Refuse => {
                all.remove(&key);
                Ok(None)
            }
            Some(State::Active(_)) if at_work == AtWork::Ignore => Ok(None),
            Some(State::Active(end)) => {
                if at_work == AtWork::End {
                    end.take();
                }
                Err(FileError::TransferBusy {
                    path: path.as_path().to_owned(),
                })
            }
            Some(State::Kept(tree, _)) => Ok(Some(tree.taken())),
            Some(State::Done(Done::File(written), _)) => Ok(Some(written.offset)),
            Some(State::Done(Done::Tree(length, _), _)) => Ok(Some(*length)),
        }
    }

    /// Forgets a transfer; a request that is at work on it is told to end.
    pub fn abandon(&self, path: &AbsolutePath, id: &TransferId) {
        let (mut all, key) = (self.all(), (path.clone(), id.clone()));
        match all.get_mut(&key) {
            Some(State::Active(end)) => drop(end.take()),
            _ => drop(all.remove(&key)),
        }
    }

    /// Forgets what was kept long enough.
    pub fn purge(&self, now: Instant) {
        purge(&mut self.all(), now);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Ready when the request is to end.
    pub async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
    }

    /// Keeps a tree for the next request, which has [`TREE_KEPT`] to come.
    pub fn keep(mut self, tree: Box<Unpacking>, now: Instant) {
        self.put(State::Kept(tree, now));
    }

    /// Remembers what came of it.
    pub fn done(mut self, done: Done, now: Instant) {
        self.put(State::Done(done, now));
    }

    fn put(&mut self, state: State) {
        if let Some(key) = self.key.take() {
            let mut all = self.transfers.all();
            all.insert(key, state);
            bound(&mut all);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let mut all = self.transfers.all();
            if matches!(all.get(&key), Some(State::Active(_))) {
                all.remove(&key);
            }
        }
    }
}

/// Forgets what was kept long enough.
fn purge(all: &mut HashMap<Key, State>, now: Instant) {
    all.retain(|_, state| match state {
        State::Active(_) => true,
        State::Kept(_, since) => now.duration_since(*since) < TREE_KEPT,
        State::Done(_, since) => now.duration_since(*since) < DONE_KEPT,
    });
}

/// Forgets the oldest where there are too many.
fn bound(all: &mut HashMap<Key, State>) {
    for (limit, counted) in [
        (TREES, State::kept_since as fn(&State) -> Option<Instant>),
        (DONE, State::done_since),
    ] {
        let times = all.iter().filter_map(|(key, state)| Some((counted(state)?, key)));
        let mut times: Vec<_> = times.collect();
        if times.len() > limit {
            times.sort_unstable_by_key(|(time, _)| *time);
            let oldest = times[0].1.clone();
            all.remove(&oldest);
        }
    }
}

impl State {
    const fn kept_since(&self) -> Option<Instant> {
        match self {
            Self::Kept(_, since) => Some(*since),
            _ => None,
        }
    }

    const fn done_since(&self) -> Option<Instant> {
        match self {
            Self::Done(_, since) => Some(*since),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        let path = AbsolutePath::parse(b"/a".to_vec()).unwrap();
        (path, format!("t{number}").parse().unwrap())
    }

    fn turn(transfers: &Transfers, number: usize, now: Instant) -> Turn {
        let (path, id) = key(number);
        match transfers.turn(&path, &id, now) {
            Found::Turn(turn, _) => turn,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn one_request_at_a_time_is_at_work_and_can_be_ended() {
        let (transfers, now) = (Transfers::default(), Instant::now());
        let (path, id) = key(0);
        let mut first = turn(&transfers, 0, now);
        assert!(matches!(transfers.turn(&path, &id, now), Found::Busy));
        assert!(transfers.taken(&path, &id, AtWork::Refuse, now).is_err());
        assert!(
            transfers
                .taken(&path, &id, AtWork::Ignore, now)
                .unwrap()
                .is_none()
        );
        assert!(transfers.taken(&path, &id, AtWork::End, now).is_err());
        first.ended().await;
        // It has the turn until it is gone.
        assert!(matches!(transfers.turn(&path, &id, now), Found::Busy));
        drop(first);
        let second = turn(&transfers, 0, now);
        drop(second);
        assert!(transfers.taken(&path, &id, AtWork::End, now).unwrap().is_none());
        let mut third = turn(&transfers, 0, now);
        transfers.abandon(&path, &id);
        third.ended().await;
        drop(third);
        assert!(transfers.all().is_empty());
    }

    #[test]
    fn what_was_done_is_remembered_for_a_while_and_not_without_end() {
        let (transfers, now) = (Transfers::default(), Instant::now());
        let done = Done::File(Written::new(7, None));
        for number in 0..=DONE {
            let later = now + Duration::from_millis(number as u64);
            turn(&transfers, number, later).done(done.clone(), later);
        }
        assert_eq!(transfers.all().len(), DONE);
        let (path, id) = key(0);
        assert_eq!(transfers.taken(&path, &id, AtWork::End, now).unwrap(), None);
        let (path, id) = key(1);
        assert_eq!(transfers.taken(&path, &id, AtWork::End, now).unwrap(), Some(7));
        assert!(matches!(transfers.turn(&path, &id, now), Found::Done(found) if found == done));
        // Who begins it once more means it.
        let (other, id) = key(2);
        assert_eq!(transfers.taken(&other, &id, AtWork::Refuse, now).unwrap(), None);
        assert!(matches!(transfers.turn(&other, &id, now), Found::Turn(_, None)));
        let (path, id) = key(1);
        assert!(matches!(transfers.turn(&path, &id, now), Found::Done(_)));
        let later = now + DONE_KEPT + Duration::from_secs(1);
        drop(turn(&transfers, 1, later));
        assert!(transfers.all().is_empty());
    }
}
