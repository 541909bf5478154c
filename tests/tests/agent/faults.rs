//! What befalls connections on their way.

use std::fmt;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;
/// Bytes of a slice, in turn: within the headers of frames, and not.
const SLICES: [usize; 6] = [1, 3, 9, 400, 5, 3000];

/// What befalls a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Both sides see it break at once.
    Reset,
    /// Nothing passes for a while; then it goes on, and breaks later.
    Stall,
    /// What passes comes in slices of a few bytes, and then it breaks.
    Slice,
    /// One direction is swallowed and the other goes on, for a while; then it breaks.
    HalfOpen,
    /// The client sees it break at once, and what it had sent arrives later: after its next connection is there.
    Reorder,
}

impl Class {
    pub(crate) const ALL: [Self; 5] = [
        Self::Reset,
        Self::Stall,
        Self::Slice,
        Self::HalfOpen,
        Self::Reorder,
    ];

    const fn index(self) -> usize {
        match self {
            Self::Reset => 0,
            Self::Stall => 1,
            Self::Slice => 2,
            Self::HalfOpen => 3,
            Self::Reorder => 4,
        }
    }
}

/// What befalls one connection, and when.
#[derive(Clone, Copy, Debug)]
struct Fate {
    class: Class,
    /// How many bytes pass before, of both directions together.
    after: u64,
    /// How long what takes time takes.
    time: Duration,
    /// Which direction is meant, where one is.
    is_up: bool,
}

/// How many of the connections a class befell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts([u64; Class::ALL.len()]);

impl Counts {
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn of(&self, class: Class) -> u64 {
        self.0[class.index()]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for class in Class::ALL {
            write!(f, "{class:?} {}, ", self.of(class))?;
        }
        write!(f, "{} in all", self.total())
    }
}

/// The fates of connections, by a seed.
pub(crate) struct Faults {
    /// The classes there are; none where all connections are whole.
    classes: Vec<Class>,
    /// How many bytes a connection carries before its fault, at most.
    after: u64,
    random: Mutex<StdRng>,
    befell: [AtomicU64; Class::ALL.len()],
    /// Whether there is no way through any longer.
    unplugged: watch::Sender<bool>,
}

impl Faults {
    /// All connections are whole.
    pub(crate) fn none() -> Self {
        Self::seeded(&[], 1, 0)
    }

    /// Each connection meets a fault of one of these classes before it has carried so many bytes.
    pub(crate) fn seeded(classes: &[Class], after: u64, seed: u64) -> Self {
        Self {
            classes: classes.to_vec(),
            after,
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            befell: Default::default(),
            unplugged: watch::Sender::new(false),
        }
    }

    /// What befell connections up to now.
    pub(crate) fn counts(&self) -> Counts {
        Counts(std::array::from_fn(|index| {
            self.befell[index].load(Ordering::Relaxed)
        }))
    }

    /// Breaks all connections there are, and lets none through any more.
    pub(crate) fn unplug(&self) {
        self.unplugged.send_replace(true);
    }

    fn next(&self) -> Option<Fate> {
        let mut random = self.random.lock().unwrap();
        if self.classes.is_empty() {
            return None;
        }
        let class = self.classes[random.random_range(0..self.classes.len())];
        let after = random.random_range(0..self.after);
        Some(Fate {
            class,
            after,
            time: Duration::from_millis(random.random_range(5..120)),
            is_up: random.random(),
        })
    }

    fn note(&self, class: Class) {
        self.befell[class.index()].fetch_add(1, Ordering::Relaxed);
    }
}

/// Passes bytes both ways until either side ends, or the connection meets its fate.
pub(crate) async fn pass(client: DuplexStream, agent: TcpStream, faults: &Faults) {
    let mut unplugged = faults.unplugged.subscribe();
    tokio::select! {
        () = meet_fate(client, agent, faults) => {}
        _ = unplugged.wait_for(|unplugged| *unplugged) => {}
    }
}

async fn meet_fate(mut client: DuplexStream, mut agent: TcpStream, faults: &Faults) {
    let Some(fate) = faults.next() else {
        // A side that is gone ends the other.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut agent).await;
        return;
    };
    let left = AtomicU64::new(fate.after);
    let slices: &[usize] = if fate.class == Class::Slice {
        &SLICES
    } else {
        &[PIECE]
    };
    let mut ways = Ways::default();
    if ways
        .pass(&mut client, &mut agent, &left, slices)
        .await
        .is_closed()
    {
        return;
    }
    faults.note(fate.class);
    match fate.class {
        Class::Reset | Class::Slice => {}
        Class::Stall => {
            tokio::time::sleep(fate.time).await;
            left.store(fate.after / 2 + 1, Ordering::Relaxed);
            ways.pass(&mut client, &mut agent, &left, &[PIECE]).await;
        }
        Class::HalfOpen => {
            let (client_read, client_write) = tokio::io::split(&mut client);
            let (agent_read, agent_write) = agent.split();
            let half_open = async {
                if fate.is_up {
                    tokio::join!(swallow(client_read), ways.down.forward(agent_read, client_write))
                } else {
                    tokio::join!(swallow(agent_read), ways.up.forward(client_read, agent_write))
                }
            };
            let _ = tokio::time::timeout(fate.time, half_open).await;
        }
        Class::Reorder => {
            let mut late = ways.up.unsent;
            take_what_was_sent(&mut client, &mut late).await;
            drop(client);
            tokio::time::sleep(fate.time).await;
            // It may be closed by now.
            let _ = agent.write_all(&late).await;
            // Time for the agent to act on it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = agent.set_zero_linger();
            return;
        }
    }
    // Not an orderly end, but a reset.
    let _ = agent.set_zero_linger();
}

/// Why no more passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Closed,
    Faulted,
}

impl Ended {
    fn is_closed(self) -> bool {
        self == Self::Closed
    }
}

/// Both directions of a connection.
#[derive(Default)]
struct Ways {
    up: OneWay,
    down: OneWay,
}

impl Ways {
    /// Passes bytes until so many are through, or a side closes.
    async fn pass(
        &mut self,
        client: &mut DuplexStream,
        agent: &mut TcpStream,
        left: &AtomicU64,
        slices: &[usize],
    ) -> Ended {
        let (client_read, client_write) = tokio::io::split(client);
        let (agent_read, agent_write) = agent.split();
        tokio::select! {
            ended = self.up.pass(client_read, agent_write, left, slices) => ended,
            ended = self.down.pass(agent_read, client_write, left, slices) => ended,
        }
    }
}

/// One direction of a connection. Whatever is given up in the midst of it, no byte in between is lost: no network does that to a
/// TCP connection, and nobody could go on behind it.
#[derive(Default)]
struct OneWay {
    /// What was read and is not passed on yet.
    unsent: Vec<u8>,
}

impl OneWay {
    async fn pass(
        &mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        left: &AtomicU64,
        slices: &[usize],
    ) -> Ended {
        let mut buffer = vec![0; PIECE];
        let mut slices = slices.iter().cycle();
        loop {
            while let Some(slice) = slices.next().filter(|_| !self.unsent.is_empty()) {
                if self.send(&mut to, *slice).await.is_err() {
                    return Ended::Closed;
                }
            }
            let room = left.load(Ordering::Relaxed);
            if room == 0 {
                return Ended::Faulted;
            }
            let at_once = usize::try_from(room).unwrap_or(PIECE).min(PIECE);
            let Ok(read) = from.read(&mut buffer[..at_once]).await else {
                return Ended::Closed;
            };
            if read == 0 {
                return Ended::Closed;
            }
            self.unsent.extend_from_slice(&buffer[..read]);
            let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.saturating_sub(read as u64))
            });
        }
    }

    /// Passes on some of what was read, at most as much as a slice.
    async fn send(&mut self, to: &mut (impl AsyncWrite + Unpin), slice: usize) -> io::Result<()> {
        let written = to.write(&self.unsent[..slice.min(self.unsent.len())]).await?;
        self.unsent.drain(..written);
        to.flush().await
    }

    /// Passes on what comes, to the end.
    async fn forward(&mut self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let forward = async {
            while !self.unsent.is_empty() {
                self.send(&mut to, PIECE).await?;
            }
            tokio::io::copy(&mut from, &mut to).await
        };
        let _: io::Result<u64> = forward.await;
    }
}

/// Takes what comes and passes nothing on.
async fn swallow(mut from: impl AsyncRead + Unpin) {
    let mut buffer = vec![0; PIECE];
    while from.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

/// What the client has sent and nobody has taken: what is there now, and comes within a moment.
async fn take_what_was_sent(client: &mut DuplexStream, all: &mut Vec<u8>) {
    let mut buffer = vec![0; PIECE];
    tokio::time::sleep(Duration::from_millis(2)).await;
    while all.len() < 1 << 20
        && let Some(Ok(read @ 1..)) = client.read(&mut buffer).now_or_never()
    {
        all.extend_from_slice(&buffer[..read]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_in_between_is_gone_on_with() {
    let sent: Vec<u8> = (0..=250).cycle().take(3 * PIECE).collect();
    let (writer, mut reader) = tokio::io::duplex(100);
    let (mut from, mut to) = (sent.as_slice(), writer);
    let mut way = OneWay::default();
    let left = AtomicU64::new(u64::MAX);
    let second = Duration::from_secs(1);
    let stuck = tokio::time::timeout(second, way.pass(&mut from, &mut to, &left, &[PIECE])).await;
    assert!(stuck.is_err() && !way.unsent.is_empty());
    let rest = async {
        way.forward(from, to).await;
    };
    let mut got = Vec::new();
    let (read, ()) = tokio::join!(reader.read_to_end(&mut got), rest);
    read.unwrap();
    assert!(got == sent);
}
