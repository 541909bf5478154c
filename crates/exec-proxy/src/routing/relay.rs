//! Bytes between two connections, both ways.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read at once.
const PIECE: usize = 16 << 10;
/// Pieces that are passed on before others have their turn.
const TURN: usize = 16;

/// Passes bytes on between the two until both have said all. The end of one direction is passed on as such, and the other goes
/// on. Gives the bytes from `a` to `b`, and back; they are counted there as they go.
///
/// While nothing comes it holds no buffer: of thousands of connections most are idle.
pub(super) async fn relay<A, B>(a: A, b: B, counted: [Counter; 2]) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut a, mut b) = (a, b);
    let [mut there, mut back] = counted.map(|counted| OneWay {
        counted,
        ..OneWay::default()
    });
    poll_fn(|cx| {
        let there = there.poll(cx, Pin::new(&mut a), Pin::new(&mut b))?;
        let back = back.poll(cx, Pin::new(&mut b), Pin::new(&mut a))?;
        match (there, back) {
            (Poll::Ready(there), Poll::Ready(back)) => Poll::Ready(Ok((there, back))),
            _ => Poll::Pending,
        }
    })
    .await
}

/// One direction.
#[derive(Debug, Default)]
struct OneWay {
    /// What was read and could not be written at once.
    pending: Vec<u8>,
    /// How much of that was written since.
    written: usize,
    /// Bytes passed on.
    passed: u64,
    /// Where they are counted.
    counted: Counter,
    /// Whether something was written that may not have left yet.
    is_unflushed: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// Its source has ended, which is yet to be passed on.
    Ending,
    Ended,
}

impl OneWay {
    fn poll<R: AsyncRead, W: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        mut from: Pin<&mut R>,
        mut to: Pin<&mut W>,
    ) -> Poll<io::Result<u64>> {
        for _ in 0..TURN {
            ready!(self.poll_write_pending(cx, to.as_mut()))?;
            match self.state {
                State::Ended => return Poll::Ready(Ok(self.passed)),
                State::Ending => {
                    ready!(to.as_mut().poll_shutdown(cx))?;
                    self.state = State::Ended;
                    continue;
                }
                State::Open => {}
            }
            let mut piece = [MaybeUninit::uninit(); PIECE];
            let mut piece = ReadBuf::uninit(&mut piece);
            if from.as_mut().poll_read(cx, &mut piece)?.is_pending() {
                if self.is_unflushed {
                    ready!(to.as_mut().poll_flush(cx))?;
                    self.is_unflushed = false;
                }
                return Poll::Pending;
            }
            let read = piece.filled();
            if read.is_empty() {
                self.state = State::Ending;
                continue;
            }
            self.is_unflushed = true;
            let written = match to.as_mut().poll_write(cx, read)? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(written) => written,
                Poll::Pending => 0,
            };
            self.has_passed(written);
            self.pending.extend_from_slice(&read[written..]);
        }
        // Nobody else would wake it.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn has_passed(&mut self, bytes: usize) {
        self.passed += bytes as u64;
        self.counted.inc_by(bytes as u64);
    }

    fn poll_write_pending<W: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        mut to: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        while self.written < self.pending.len() {
            match ready!(to.as_mut().poll_write(cx, &self.pending[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => {
                    self.written += written;
                    self.has_passed(written);
                }
            }
        }
        self.pending = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn both_ways_are_whole_though_one_ends_first() {
        let (mut client, near) = duplex(1000);
        let (far, mut server) = duplex(777);
        let counted = <[Counter; 2]>::default();
        let relaying = tokio::spawn(relay(near, far, counted.clone()));
        client.write_all(b"request").await.unwrap();
        // The client says no more, and hears all of the answer.
        client.shutdown().await.unwrap();
        let mut heard = Vec::new();
        server.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"request");
        let answer: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let expected = answer.clone();
        let writing = tokio::spawn(async move {
            server.write_all(&answer).await.unwrap();
            server.shutdown().await.unwrap();
        });
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert!(heard == expected);
        writing.await.unwrap();
        assert_eq!(relaying.await.unwrap().unwrap(), (7, expected.len() as u64));
        assert_eq!(counted.map(|counted| counted.get()), [7, expected.len() as u64]);
    }

    #[tokio::test]
    async fn one_that_does_not_read_holds_the_other_up_and_nothing_piles_up() {
        let (mut client, near) = duplex(64);
        let (far, mut server) = duplex(64);
        let relaying = tokio::spawn(relay(near, far, <[Counter; 2]>::default()));
        let writing = tokio::spawn(async move {
            let mut written = 0_usize;
            // Until it is stuck.
            while tokio::time::timeout(std::time::Duration::from_millis(50), client.write_all(&[1; 64]))
                .await
                .is_ok()
            {
                written += 64;
                assert!(written < 64 << 10, "nothing holds the writer up");
            }
            client
        });
        let mut client = writing.await.unwrap();
        // The other way goes on.
        server.write_all(b"back").await.unwrap();
        let mut heard = [0; 4];
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"back");
        drop(server);
        assert!(relaying.await.unwrap().is_err() || client.write_all(b"x").await.is_err());
    }
}
