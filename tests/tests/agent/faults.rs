//! What befalls connections on their way.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;

/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;

/// What befalls one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing.
    Whole,
    /// It breaks after so many bytes, of both directions together.
    Cut { after: u64 },
    /// Nothing passes for a while after so many bytes, and then it breaks.
    Stall { after: u64 },
    /// What passes comes in slices of a few bytes, so many of them, and then it breaks.
    Sliced { after: u64 },
}

/// The fates of connections, by a seed.
pub(crate) struct Faults {
    /// How many of a hundred connections have one.
    percent: u32,
    random: Mutex<StdRng>,
    /// Connections that broke.
    pub(crate) broken: AtomicU64,
    /// Connections that were sliced.
    pub(crate) sliced: AtomicU64,
}

impl Faults {
    /// All connections are whole.
    pub(crate) fn none() -> Self {
        Self::seeded(0, 0)
    }

    /// So many of a hundred connections have a fault. Each of these ends after some tens of kilobytes; one that is whole lasts,
    /// and serves all that comes after it.
    pub(crate) fn seeded(percent: u32, seed: u64) -> Self {
        Self {
            percent,
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            broken: AtomicU64::new(0),
            sliced: AtomicU64::new(0),
        }
    }

    fn next(&self) -> Fate {
        let mut random = self.random.lock().unwrap();
        if random.random_range(0..100) >= self.percent {
            return Fate::Whole;
        }
        // Most commands write less than this, so that connections break at every stage of them.
        let after = random.random_range(0..120_000);
        match random.random_range(0..3) {
            0 => Fate::Cut { after },
            1 => Fate::Stall { after },
            _ => Fate::Sliced { after: after / 4 },
        }
    }
}

/// Passes bytes both ways until either side ends, or the connection meets its fate.
pub(crate) async fn pass(client: DuplexStream, agent: TcpStream, faults: &Faults) {
    let fate = faults.next();
    let left = match fate {
        Fate::Cut { after } | Fate::Stall { after } | Fate::Sliced { after } => after,
        Fate::Whole => u64::MAX,
    };
    let is_sliced = matches!(fate, Fate::Sliced { .. });
    if is_sliced {
        faults.sliced.fetch_add(1, Ordering::Relaxed);
    }
    let left = AtomicU64::new(left);
    let (client_read, client_write) = tokio::io::split(client);
    let (agent_read, agent_write) = agent.into_split();
    let slice = if is_sliced { 7 } else { PIECE };
    let ended = tokio::select! {
        ended = one_way(client_read, agent_write, &left, slice) => ended,
        ended = one_way(agent_read, client_write, &left, slice) => ended,
    };
    if ended == Ended::Faulted {
        faults.broken.fetch_add(1, Ordering::Relaxed);
        if matches!(fate, Fate::Stall { .. }) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Why no more passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Closed,
    Faulted,
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    left: &AtomicU64,
    slice: usize,
) -> Ended {
    let mut buffer = vec![0; PIECE];
    loop {
        let Ok(read) = from.read(&mut buffer).await else {
            return Ended::Closed;
        };
        if read == 0 {
            return Ended::Closed;
        }
        let room = left.load(Ordering::Relaxed);
        let passed = usize::try_from(room).unwrap_or(usize::MAX).min(read);
        for piece in buffer[..passed].chunks(slice) {
            if to.write_all(piece).await.is_err() || to.flush().await.is_err() {
                return Ended::Closed;
            }
        }
        left.fetch_sub(passed as u64, Ordering::Relaxed);
        if passed < read {
            return Ended::Faulted;
        }
    }
}
