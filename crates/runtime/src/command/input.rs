//! The standard input of a command: several pieces on their way at once, each byte given to the process once.

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::reconnect::Process;
use super::unsent::{Pace, Unsent};
use crate::error::{Error, ProcessError};

pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// Why no more is written.
enum Stop {
    /// What should be written can't be read on this side.
    Unreadable(Error),
    /// The process no longer reads, or can't be reached.
    Refused(ProcessError),
}

/// Hands `reader` to the command, whose input has `written` bytes already, then the end of file. Returns only when reading fails.
pub(super) async fn feed(process: &Process, reader: Option<Reader>, written: u64) -> Error {
    if let Some(reader) = reader {
        match write_all(process, reader, written).await {
            Ok(()) => {
                // One that has ended needs no end of file.
                if let Err(error) = process.close_stdin().await {
                    tracing::debug!(error = error.chain(), "the standard input could not be ended");
                }
            }
            Err(Stop::Unreadable(error)) => return error,
            // One that no longer reads goes on without.
            Err(Stop::Refused(error)) => {
                tracing::debug!(error = error.chain(), "no more is written to the standard input");
            }
        }
    }
    std::future::pending().await
}

/// Writes all that `reader` has. What may have been lost with a connection is offered again from the offset that the process
/// is known to have.
async fn write_all(process: &Process, mut reader: Reader, written: u64) -> Result<(), Stop> {
    let able = process.transport.capabilities();
    let mut unsent = Unsent::new(written);
    let mut pace = Pace::new(able.stdin_piece, able.stdin_pieces);
    let room = able.stdin_piece * able.stdin_pieces;
    let mut on_their_way = FuturesUnordered::new();
    let mut buffer = BytesMut::new();
    let mut backoff = Backoff::default();
    let mut is_read = false;
    loop {
        while on_their_way.len() < pace.pieces
            && let Some((offset, bytes)) = unsent.next(pace.piece)
        {
            on_their_way.push(write(process, offset, bytes));
        }
        let waiting = unsent.len();
        if is_read && waiting == 0 {
            return Ok(());
        }
        let wants_more = !is_read && waiting < room;
        if wants_more {
            buffer.reserve(able.stdin_piece);
        }
        let (end, answer) = tokio::select! {
            // Answers first: they make room.
            biased;
            Some(answer) = on_their_way.next() => answer,
            read = reader.read_buf(&mut buffer), if wants_more => {
                match read {
                    Ok(0) => is_read = true,
                    Ok(_) => unsent.push(buffer.split().freeze()),
                    Err(source) => return Err(Stop::Unreadable(Error::LocalStream {
                        what: "reading standard input",
                        source,
                    })),
                }
                continue;
            }
        };
        let is_news = match answer {
            Ok(reached) => {
                let is_news = unsent.took(reached);
                if is_news {
                    backoff = Backoff::default();
                }
                if reached >= end {
                    pace.arrived();
                    continue;
                }
                is_news
            }
            Err(error) if able.stdin_offsets && error.may_pass() => {
                tracing::debug!(id = %process.id, error = error.chain(), "standard input is written again");
                pace.lost();
                false
            }
            Err(error) => return Err(Stop::Refused(error)),
        };
        // What is on its way comes too early, or is lost with the connection.
        on_their_way = FuturesUnordered::new();
        unsent.send_again();
        if !is_news {
            let Some(pause) = backoff.pause(Instant::now()) else {
                return Err(Stop::Refused(ProcessError::InputClosed));
            };
            tokio::time::sleep(pause).await;
        }
    }
}

/// Writes a piece. Returns where it ends, and how much the process has then.
async fn write(process: &Process, offset: u64, bytes: Bytes) -> (u64, Result<u64, ProcessError>) {
    let end = offset + bytes.len() as u64;
    (end, process.transport.write(&process.id, offset, bytes).await)
}
