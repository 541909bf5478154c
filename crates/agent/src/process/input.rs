//! A process's standard input: a log of offsets, so that nothing is written twice, and the task that writes it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use podbay_protocol::ProcessId;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::timeout;

use super::error::StdinError;

/// The most that is handed over in one piece, in bytes.
const PIECE: usize = 64 * 1024;
/// How many pieces wait for the process.
const PIECES: usize = 8;
/// How far a write may be ahead of what was taken and be waited with, in bytes: several may be on their way at once, and one may
/// overtake another.
const AHEAD: u64 = 4 << 20;
/// How long the write is waited for that comes before one that is here, while none is at work.
const OVERTAKEN_BY: Duration = Duration::from_secs(1);
/// Ctrl-D, a terminal's end-of-file character unless it was changed (termios(3), `VEOF`).
const END_OF_FILE: u8 = 0x04;

/// A process's standard input, as long as it is written, and after.
#[derive(Clone)]
pub(super) enum Stdin {
    Open(Arc<Input>),
    /// The process has ended, and nobody was writing.
    Ended {
        taken: u64,
    },
}

impl Stdin {
    /// How many bytes were taken.
    pub(super) fn taken(&self) -> u64 {
        match self {
            Self::Open(input) => input.taken(),
            Self::Ended { taken } => *taken,
        }
    }

    /// Takes what of `bytes`, which begin at `offset`, was not taken yet. Dropped in between, it has taken some.
    pub(super) async fn write(&self, id: &ProcessId, offset: u64, bytes: Bytes) -> Result<u64, StdinError> {
        match self {
            Self::Open(input) => input.write(id, offset, bytes).await,
            Self::Ended { taken } => ended(id, *taken, &untaken(id, *taken, offset, bytes)?),
        }
    }

    /// Takes bytes after whatever was taken before. Dropped in between, it has taken some.
    pub(super) async fn append(&self, id: &ProcessId, bytes: Bytes) -> Result<u64, StdinError> {
        match self {
            Self::Open(input) => input.append(id, bytes).await,
            Self::Ended { taken } => ended(id, *taken, &bytes),
        }
    }

    /// Ends the input.
    pub(super) async fn close(&self) {
        if let Self::Open(input) = self {
            input.close().await;
        }
    }
}

/// What of `bytes`, which begin at `offset`, was not taken yet.
fn untaken(id: &ProcessId, taken: u64, offset: u64, mut bytes: Bytes) -> Result<Bytes, StdinError> {
    let known = taken.checked_sub(offset).ok_or_else(|| StdinError::Gap {
        id: id.clone(),
        taken,
        offset,
    })?;
    let known = usize::try_from(known).map_or(bytes.len(), |known| known.min(bytes.len()));
    Ok(bytes.split_off(known))
}

/// Nothing more is taken: what is repeated was taken.
fn ended(id: &ProcessId, taken: u64, more: &Bytes) -> Result<u64, StdinError> {
    if more.is_empty() {
        return Ok(taken);
    }
    let id = id.clone();
    Err(StdinError::Closed { id, taken })
}

/// Where a process's standard input is written.
pub(super) struct Input {
    /// Held while one writes: whoever comes after sees what was taken then. None once it is closed.
    sender: Mutex<Option<mpsc::Sender<Bytes>>>,
    taken: watch::Sender<u64>,
    /// Whether the process has ended: nobody waits for it then.
    ended: watch::Sender<bool>,
}

/// What a process's standard input comes out of.
pub(super) type Pieces = mpsc::Receiver<Bytes>;

impl Input {
    pub(super) fn new() -> (Self, Pieces) {
        let (sender, pieces) = mpsc::channel(PIECES);
        let input = Self {
            sender: Mutex::new(Some(sender)),
            taken: watch::Sender::new(0),
            ended: watch::Sender::new(false),
        };
        (input, pieces)
    }

    /// How many bytes were taken.
    pub(super) fn taken(&self) -> u64 {
        *self.taken.borrow()
    }

    /// The process has ended.
    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Closes the input of a process that has ended, unless somebody is writing: he is told of the end in a moment. How many
    /// bytes were taken, for good.
    pub(super) fn close_ended(&self) -> Option<u64> {
        let mut sender = self.sender.try_lock().ok()?;
        *sender = None;
        Some(self.taken())
    }

    /// Waits until all before `offset` was taken, if that is on its way.
    async fn turn(&self, offset: u64) {
        let mut taken = self.taken.subscribe();
        let mut ended = self.ended.subscribe();
        loop {
            if offset.saturating_sub(self.taken()) > AHEAD {
                return;
            }
            tokio::select! {
                came = timeout(OVERTAKEN_BY, taken.wait_for(|taken| *taken >= offset)) => {
                    // As long as somebody writes, it may come to that.
                    if came.is_ok() || self.sender.try_lock().is_ok() {
                        return;
                    }
                }
                _ = ended.wait_for(|ended| *ended) => return,
            }
        }
    }

    /// Takes what of `bytes`, which begin at `offset`, was not taken yet. Dropped in between, it has taken some. One that
    /// overtook the one before it waits for that.
    pub(super) async fn write(&self, id: &ProcessId, offset: u64, bytes: Bytes) -> Result<u64, StdinError> {
        self.turn(offset).await;
        let sender = self.sender.lock().await;
        let bytes = untaken(id, self.taken(), offset, bytes)?;
        self.push(id, sender.as_ref(), bytes).await
    }

    /// Takes bytes after whatever was taken before. Dropped in between, it has taken some.
    pub(super) async fn append(&self, id: &ProcessId, bytes: Bytes) -> Result<u64, StdinError> {
        let sender = self.sender.lock().await;
        self.push(id, sender.as_ref(), bytes).await
    }

    async fn push(
        &self,
        id: &ProcessId,
        sender: Option<&mpsc::Sender<Bytes>>,
        mut bytes: Bytes,
    ) -> Result<u64, StdinError> {
        let mut ended = self.ended.subscribe();
        while !bytes.is_empty() {
            let closed = || StdinError::Closed {
                id: id.clone(),
                taken: self.taken(),
            };
            let open = sender.ok_or_else(closed)?;
            let permit = tokio::select! {
                biased;
                _ = ended.wait_for(|ended| *ended) => None,
                permit = open.reserve() => permit.ok(),
            };
            let permit = permit.ok_or_else(closed)?;
            let piece = bytes.split_to(bytes.len().min(PIECE));
            self.taken.send_modify(|taken| *taken += piece.len() as u64);
            permit.send(piece);
        }
        Ok(self.taken())
    }

    /// Ends the input.
    pub(super) async fn close(&self) {
        *self.sender.lock().await = None;
    }
}

/// Writes what comes, until the end, or until the process no longer reads.
pub(super) async fn feed(mut sink: pipe::Sender, mut pieces: Pieces, is_terminal: bool) {
    let mut last = b'\n';
    while let Some(piece) = pieces.recv().await {
        last = piece.last().copied().unwrap_or(last);
        if sink.write_all(&piece).await.is_err() {
            return; // A broken pipe: the process closed its input. Whoever writes learns it by the closed queue.
        }
    }
    if is_terminal {
        // In the middle of a line the first only hands the line over.
        let times = if last == b'\n' { 1 } else { 2 };
        sink.write_all(&[END_OF_FILE; 2][..times]).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ProcessId {
        "p".parse().unwrap()
    }

    async fn write(input: &Input, offset: u64, text: &'static str) -> Result<u64, StdinError> {
        input
            .write(&id(), offset, Bytes::from_static(text.as_bytes()))
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn writes_that_overtook_one_another_are_put_in_order() {
        let (input, mut pieces) = Input::new();
        let (id, write_of) = (id(), |offset, text: &'static str| {
            (offset, Bytes::from_static(text.as_bytes()))
        });
        let [last, first, middle] = [write_of(4, "ef"), write_of(0, "ab"), write_of(2, "cd")];
        let all = tokio::join!(
            input.write(&id, last.0, last.1),
            input.write(&id, middle.0, middle.1),
            input.write(&id, first.0, first.1),
        );
        assert_eq!(all, (Ok(6), Ok(4), Ok(2)));
        // One whose predecessor does not come is told, and so is one that is far ahead.
        assert!(matches!(
            write(&input, 9, "x").await,
            Err(StdinError::Gap { taken: 6, .. })
        ));
        let begun = tokio::time::Instant::now();
        assert!(matches!(
            write(&input, AHEAD + 7, "x").await,
            Err(StdinError::Gap { .. })
        ));
        assert!(begun.elapsed().is_zero());
        input.close().await;
        let mut all = Vec::new();
        while let Some(piece) = pieces.recv().await {
            all.extend_from_slice(&piece);
        }
        assert_eq!(all, b"abcdef");
    }

    #[tokio::test]
    async fn nothing_is_written_twice_and_nothing_left_out() {
        let (input, mut pieces) = Input::new();
        assert_eq!(write(&input, 0, "abc").await, Ok(3));
        assert_eq!(write(&input, 0, "abc").await, Ok(3)); // The answer was lost.
        assert_eq!(write(&input, 1, "bcde").await, Ok(5));
        assert_eq!(
            write(&input, 9, "x").await,
            Err(StdinError::Gap {
                id: id(),
                taken: 5,
                offset: 9
            })
        );
        input.close().await;
        assert_eq!(write(&input, 3, "de").await, Ok(5)); // Repeated after the end: it is there.
        assert_eq!(
            write(&input, 5, "f").await,
            Err(StdinError::Closed { id: id(), taken: 5 })
        );
        let mut all = Vec::new();
        while let Some(piece) = pieces.recv().await {
            all.extend_from_slice(&piece);
        }
        assert_eq!(all, b"abcde");
    }

    #[tokio::test]
    async fn what_is_appended_comes_after_all_that_came_before() {
        let (input, mut pieces) = Input::new();
        assert_eq!(write(&input, 0, "abc").await, Ok(3));
        let id = id();
        let append = |text: &'static str| input.append(&id, Bytes::from_static(text.as_bytes()));
        assert_eq!(append("de").await, Ok(5));
        assert_eq!(write(&input, 5, "f").await, Ok(6));
        input.close().await;
        assert!(matches!(
            append("g").await,
            Err(StdinError::Closed { taken: 6, .. })
        ));
        let mut all = Vec::new();
        while let Some(piece) = pieces.recv().await {
            all.extend_from_slice(&piece);
        }
        assert_eq!(all, b"abcdef");
    }

    #[tokio::test]
    async fn a_writer_that_was_cut_off_goes_on_where_it_was() {
        let (input, mut pieces) = Input::new();
        let all = Bytes::from(vec![7; 2 * PIECES * PIECE]);
        let id = id();
        let cut = tokio::time::timeout(
            std::time::Duration::from_millis(1),
            input.write(&id, 0, all.clone()),
        );
        assert!(cut.await.is_err());
        assert_eq!(input.taken(), (PIECES * PIECE) as u64);
        let reader = tokio::spawn(async move {
            let mut count = 0;
            while let Some(piece) = pieces.recv().await {
                count += piece.len();
            }
            count
        });
        assert_eq!(input.write(&id, 0, all.clone()).await, Ok(all.len() as u64));
        input.close().await;
        assert_eq!(reader.await.unwrap(), all.len());
    }

    #[tokio::test]
    async fn after_the_end_it_says_what_was_taken() {
        let (input, mut pieces) = Input::new();
        let input = Arc::new(input);
        assert_eq!(write(&input, 0, "abc").await, Ok(3));
        let writing = input.sender.lock().await;
        assert_eq!(input.close_ended(), None);
        drop(writing);
        let taken = input.close_ended().unwrap();
        let id = id();
        for stdin in [Stdin::Ended { taken }, Stdin::Open(Arc::clone(&input))] {
            input.end();
            let write =
                |offset, text: &'static str| stdin.write(&id, offset, Bytes::from_static(text.as_bytes()));
            assert_eq!((stdin.taken(), write(0, "abc").await), (3, Ok(3)));
            assert_eq!(write(3, "").await, Ok(3));
            let closed = Err(StdinError::Closed {
                id: id.clone(),
                taken: 3,
            });
            assert_eq!(write(1, "bcd").await, closed);
            assert_eq!(stdin.append(&id, Bytes::from_static(b"d")).await, closed);
            assert!(matches!(
                write(4, "e").await,
                Err(StdinError::Gap { taken: 3, .. })
            ));
        }
        assert_eq!(pieces.recv().await.unwrap(), "abc");
        assert!(pieces.recv().await.is_none());
    }

    #[tokio::test]
    async fn nobody_waits_for_a_process_that_has_ended() {
        let (input, _pieces) = Input::new();
        input.end();
        assert!(matches!(
            write(&input, 0, "x").await,
            Err(StdinError::Closed { .. })
        ));
    }
}
