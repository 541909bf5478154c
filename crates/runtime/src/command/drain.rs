//! What comes out of a command: counted, hashed, written, each byte once.

use std::io;

use bytes::{Buf as _, Bytes};
use futures::StreamExt as _;
use podbay_process::Tally;
use podbay_protocol::{Content, StreamEnd, StreamSummary};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::error::Error;
use crate::transport::{Chunk, Output};

pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// One of a command's outputs, over as many connections as it takes.
pub(super) struct Drain {
    writer: Option<Writer>,
    /// What it is in errors.
    what: &'static str,
    tally: Tally,
    /// How many bytes came before the first that is asked for.
    base: u64,
    /// Where the output is read on: how many bytes it had up to here.
    offset: u64,
    /// What has come and is not written yet: a write may be given up for a new connection, and is then gone on with.
    pending: Bytes,
    flushed: bool,
    is_cut: bool,
}

/// Why the outputs of a connection are read no further.
pub(super) enum Interruption {
    /// Bytes are missing between what has come and what comes.
    Gap,
    /// They can't be written on this side.
    Broken(Error),
}

impl Drain {
    /// Takes in what comes from byte `base` on, and keeps the first `capture` bytes of that.
    pub(super) fn new(writer: Option<Writer>, what: &'static str, capture: usize, base: u64) -> Self {
        Self {
            writer,
            what,
            tally: Tally::new(capture),
            base,
            offset: base,
            pending: Bytes::new(),
            flushed: true,
            is_cut: false,
        }
    }

    /// Where the output is read on.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes in what comes over one connection. What has come before is left out.
    pub(super) async fn take_all(&mut self, output: &mut Output) -> Result<(), Interruption> {
        loop {
            self.write_pending().await.map_err(|source| {
                Interruption::Broken(Error::LocalStream {
                    what: self.what,
                    source,
                })
            })?;
            let Some(chunk) = output.next().await else { break };
            let bytes = unseen(chunk, self.offset).ok_or(Interruption::Gap)?;
            self.tally.add(&bytes);
            self.offset += bytes.len() as u64;
            self.pending = bytes;
        }
        self.is_cut |= output.is_cut();
        Ok(())
    }

    /// Each step of it can be given up without a byte being lost or written twice.
    async fn write_pending(&mut self) -> io::Result<()> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        while !self.pending.is_empty() {
            self.flushed = false;
            let written = writer.write(&self.pending).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.pending.advance(written);
        }
        if !self.flushed {
            writer.flush().await?;
            self.flushed = true;
        }
        Ok(())
    }

    /// All there is to say. `lost` is whether the connection was, for good; `told` what the record of the end says of the
    /// stream. Fails if that says of other bytes than have come.
    pub(super) fn finish(self, lost: bool, told: &StreamEnd) -> (StreamSummary, Content, Result<(), String>) {
        let (summary, content) = self.tally.finish(lost || self.is_cut || told.truncated);
        let reached = self.base + summary.bytes;
        let proof = match (&told.bytes, &told.sha256) {
            (Some(bytes), _) if *bytes != reached => Err(format!(
                "{} arrived up to byte {reached}, and it had {bytes}",
                self.what
            )),
            // The hash is of all bytes: it says nothing of a part.
            (_, Some(hash)) if self.base == 0 && *hash != summary.sha256 => {
                Err(format!("what arrived of {} is not what was written", self.what))
            }
            _ => Ok(()),
        };
        (summary, content, proof)
    }
}

/// What of a piece comes after the first `held` bytes. `None` if there is something between.
fn unseen(chunk: Chunk, held: u64) -> Option<Bytes> {
    let Chunk { offset, mut bytes } = chunk;
    let seen = held.checked_sub(offset)?;
    let seen = usize::try_from(seen).map_or(bytes.len(), |seen| seen.min(bytes.len()));
    bytes.advance(seen);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_taken_from_where_the_last_one_ended() {
        let from = |held| {
            let bytes = Bytes::from_static(b"abc");
            unseen(Chunk { offset: 10, bytes }, held)
        };
        for (held, left) in [(10, "abc"), (11, "bc"), (13, ""), (20, "")] {
            assert_eq!(from(held), Some(Bytes::from_static(left.as_bytes())), "{held}");
        }
        assert_eq!(from(9), None);
    }
}
