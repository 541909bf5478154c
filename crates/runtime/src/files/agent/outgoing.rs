//! What is sent, so that it can be sent again from where the other side has it.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::hash::BackgroundHash;
use crate::transport::Reader;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Pieces that are read ahead.
const AHEAD: usize = 2;
/// Bytes that are kept after they were sent: twice what an agent lets a client have on the way (4 MiB), which is all that can be
/// lost with a connection.
const KEPT: u64 = 8 << 20;

/// What comes of the content.
#[derive(Debug)]
enum Read {
    Piece(Bytes),
    /// All was read: its hash.
    End(String),
    /// It can't be read to its end; whoever gave it knows why.
    Failed,
}

/// The content of a transfer, as it is read.
#[derive(Debug)]
pub(super) struct Outgoing {
    read: mpsc::Receiver<Read>,
    tail: Tail,
    end: Option<String>,
    _reading: AbortOnDropHandle<()>,
}

/// What is to be sent next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A piece.
    Piece(Bytes),
    /// Nothing: all was sent, and this is its hash.
    End(String),
    /// The content can't be read to its end.
    Failed,
}

/// The other side has less than what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotKept;

impl Outgoing {
    /// Begins to read.
    pub(super) fn new(content: Reader) -> Self {
        let (sender, read) = mpsc::channel(AHEAD);
        Self {
            read,
            tail: Tail::default(),
            end: None,
            _reading: AbortOnDropHandle::new(tokio::spawn(read_all(content, sender))),
        }
    }

    /// Goes on from this offset: back to what was sent, or past what the other side has from before.
    pub(super) async fn go_to(&mut self, offset: u64) -> Result<(), NotKept> {
        while offset > self.tail.end {
            self.tail.position = self.tail.end;
            match self.next().await {
                Next::Piece(_) => {}
                // The other side has more than there is.
                Next::End(_) | Next::Failed => return Err(NotKept),
            }
        }
        self.tail.go_to(offset)
    }

    /// What is to be sent next. Nothing is lost if this is dropped before it is ready.
    pub(super) async fn next(&mut self) -> Next {
        if let Some(piece) = self.tail.next() {
            return Next::Piece(piece);
        }
        if let Some(hash) = &self.end {
            return Next::End(hash.clone());
        }
        match self.read.recv().await {
            Some(Read::Piece(piece)) => {
                self.tail.push(piece.clone());
                Next::Piece(piece)
            }
            Some(Read::End(hash)) => {
                self.end = Some(hash.clone());
                Next::End(hash)
            }
            Some(Read::Failed) | None => Next::Failed,
        }
    }

    /// How much was sent, in bytes.
    pub(super) const fn position(&self) -> u64 {
        self.tail.position
    }
}

/// Reads the content, and hashes it meanwhile.
async fn read_all(mut content: Reader, pieces: mpsc::Sender<Read>) {
    let mut hash = BackgroundHash::new();
    loop {
        let mut piece = BytesMut::with_capacity(PIECE);
        let mut at_end = false;
        while piece.len() < PIECE {
            match content.read_buf(&mut piece).await {
                Ok(0) => {
                    at_end = true;
                    break;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "what is to be sent can't be read");
                    let _ = pieces.send(Read::Failed).await;
                    return;
                }
            }
        }
        let piece = piece.freeze();
        if !piece.is_empty() {
            let hashed = hash.update(piece.clone()).await;
            let passed = match hashed {
                Ok(()) => pieces.send(Read::Piece(piece)).await,
                Err(_) => pieces.send(Read::Failed).await,
            };
            if passed.is_err() {
                return;
            }
        }
        if at_end {
            let end = hash.so_far().await.map_or(Read::Failed, Read::End);
            let _ = pieces.send(end).await;
            return;
        }
    }
}

/// What was sent last.
#[derive(Debug, Default)]
struct Tail {
    pieces: VecDeque<Bytes>,
    /// Where these begin, and where they end.
    start: u64,
    end: u64,
    /// What is to be sent next.
    position: u64,
}

impl Tail {
    /// Adds what is sent now. All that was added before was sent.
    fn push(&mut self, piece: Bytes) {
        self.end += piece.len() as u64;
        self.position = self.end;
        self.pieces.push_back(piece);
        while let Some(first) = self.pieces.front()
            && self.end - self.start - first.len() as u64 >= KEPT
        {
            self.start += first.len() as u64;
            self.pieces.pop_front();
        }
    }

    const fn go_to(&mut self, offset: u64) -> Result<(), NotKept> {
        if offset < self.start || offset > self.end {
            return Err(NotKept);
        }
        self.position = offset;
        Ok(())
    }

    /// What is to be sent again.
    fn next(&mut self) -> Option<Bytes> {
        let mut at = self.start;
        for piece in &self.pieces {
            let end = at + piece.len() as u64;
            if self.position < end {
                let from = usize::try_from(self.position - at).unwrap_or(usize::MAX);
                self.position = end;
                return Some(piece.slice(from..));
            }
            at = end;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use podbay_protocol::hex::to_hex;
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn content(size: usize) -> Vec<u8> {
        (0..=250).cycle().take(size).collect()
    }

    async fn rest(outgoing: &mut Outgoing) -> (Vec<u8>, String) {
        let mut all = Vec::new();
        loop {
            match outgoing.next().await {
                Next::Piece(piece) => all.extend(piece),
                Next::End(hash) => return (all, hash),
                Next::Failed => panic!("it can be read"),
            }
        }
    }

    #[tokio::test]
    async fn what_was_sent_is_sent_again_from_anywhere() {
        let all = content(3 * PIECE + 5);
        let mut outgoing = Outgoing::new(Box::new(std::io::Cursor::new(all.clone())));
        let hash = to_hex(&Sha256::digest(&all));
        assert!(rest(&mut outgoing).await == (all.clone(), hash.clone()));
        for offset in [0, 1, PIECE, 2 * PIECE - 1, all.len()] {
            outgoing.go_to(offset as u64).await.unwrap();
            assert!(
                rest(&mut outgoing).await == (all[offset..].to_vec(), hash.clone()),
                "{offset}"
            );
        }
        assert_eq!(outgoing.go_to(all.len() as u64 + 1).await, Err(NotKept));
        // What the other side has from before is read, and hashed, and not sent.
        let mut outgoing = Outgoing::new(Box::new(std::io::Cursor::new(all.clone())));
        outgoing.go_to(PIECE as u64 + 9).await.unwrap();
        assert!(rest(&mut outgoing).await == (all[PIECE + 9..].to_vec(), hash));
    }

    #[tokio::test]
    async fn what_can_not_be_read_has_no_end() {
        let broken = tokio_test_reader();
        let mut outgoing = Outgoing::new(Box::new(broken));
        assert!(matches!(outgoing.next().await, Next::Failed));
    }

    /// A few bytes, then an error.
    fn tokio_test_reader() -> impl tokio::io::AsyncRead + Unpin + Send {
        let pieces = [
            Ok(Bytes::from_static(b"abc")),
            Err(std::io::Error::other("on purpose")),
        ];
        tokio_util::io::StreamReader::new(futures::stream::iter(pieces))
    }

    proptest! {
        #[test]
        fn no_more_is_kept_than_needed_and_no_less(lengths in proptest::collection::vec(1_usize..3_000_000, 1..20)) {
            let mut tail = Tail::default();
            for length in lengths {
                tail.push(vec![0; length].into());
                let total: usize = tail.pieces.iter().map(Bytes::len).sum();
                prop_assert_eq!(tail.end - tail.start, total as u64);
                prop_assert!(tail.start == 0 || tail.end - tail.start >= KEPT);
                prop_assert!(tail.end - tail.start < KEPT + 3_000_000);
                prop_assert!(tail.next().is_none());
            }
        }
    }
}
