//! A hash that is taken while other things go on.

use std::io;

use bytes::Bytes;
use podbay_protocol::hex::to_hex;
use sha2::{Digest as _, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes that are hashed at once: enough that the way to another thread is cheap.
const PIECE: usize = 256 << 10;

/// The SHA-256 of pieces, on a thread of its own.
#[derive(Debug)]
pub(super) struct BackgroundHash {
    pending: Vec<Bytes>,
    pending_bytes: usize,
    /// Hashes what came before.
    work: JoinHandle<Sha256>,
}

impl BackgroundHash {
    /// Of nothing yet.
    pub(super) fn new() -> Self {
        Self {
            pending: Vec::new(),
            pending_bytes: 0,
            work: spawn_blocking(Sha256::new),
        }
    }

    /// Adds a piece; waits only while two larger ones before it are being hashed.
    pub(super) async fn update(&mut self, piece: Bytes) -> io::Result<()> {
        self.pending_bytes += piece.len();
        self.pending.push(piece);
        if self.pending_bytes >= PIECE {
            self.flush().await?;
        }
        Ok(())
    }

    /// The hash of what was added so far: lower-case hexadecimal digits.
    pub(super) async fn so_far(&mut self) -> io::Result<String> {
        self.flush().await?;
        let hash = (&mut self.work).await?;
        let text = to_hex(&hash.clone().finalize());
        self.work = spawn_blocking(|| hash);
        Ok(text)
    }

    async fn flush(&mut self) -> io::Result<()> {
        let mut hash = (&mut self.work).await?;
        let pieces = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        self.work = spawn_blocking(move || {
            for piece in pieces {
                hash.update(&piece);
            }
            hash
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_the_hash_of_all_pieces() {
        let mut hash = BackgroundHash::new();
        let mut all = Vec::new();
        for length in [0, 1, PIECE - 1, PIECE, 3 * PIECE + 7] {
            let piece = vec![u8::try_from(length % 251).unwrap(); length];
            all.extend(&piece);
            hash.update(piece.into()).await.unwrap();
            assert_eq!(hash.so_far().await.unwrap(), to_hex(&Sha256::digest(&all)));
        }
    }
}
