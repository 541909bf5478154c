//! Bytes between two connections, both ways.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::frames::{Frames, close_to_client, close_to_server};

/// Bytes that are read at once.
const PIECE: usize = 16 << 10;
/// Pieces that are passed on before others have their turn.
const TURN: usize = 16;

/// What the bytes are that pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    /// The frames of a WebSocket.
    WebSocket,
    /// Something else.
    Bytes,
}

/// Passes bytes on between the two until both have said all. The end of one direction is passed on as such, and the other goes
/// on. Gives the bytes from the client to the server, and back; they are counted there as they go.
///
/// Once `leaving` is ready, both are told that this is the end, on a WebSocket by a close frame behind the frame that is under way;
/// what they say after that is thrown away until they have ended, too. After so long (`within`) it is over in any case.
///
/// While nothing comes it holds no buffer: of thousands of connections most are idle.
pub(super) async fn relay<C, S>(
    client: C,
    server: S,
    passing: Passing,
    counted: [Counter; 2],
    leaving: impl Future<Output = ()>,
    within: Duration,
) -> io::Result<(u64, u64)>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut client, mut server, mut leaving) = (client, server, pin!(leaving));
    let [mut there, mut back] = counted.map(|counted| OneWay {
        counted,
        frames: (passing == Passing::WebSocket).then(Frames::default),
        ..OneWay::default()
    });
    // Most never need it.
    let mut limit: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        if limit.is_none() && leaving.as_mut().poll(cx).is_ready() {
            limit = Some(Box::pin(sleep(within)));
            there.last_words = Some(close_to_server(rand::random()));
            back.last_words = Some(close_to_client());
        }
        loop {
            let mut gone = there.poll(cx, Pin::new(&mut client), Pin::new(&mut server));
            let mut come = back.poll(cx, Pin::new(&mut server), Pin::new(&mut client));
            if limit.is_some() {
                // The other side is told all the same.
                gone = there.or_ended(gone);
                come = back.or_ended(come);
            }
            if let (Poll::Ready(gone), Poll::Ready(come)) = (gone?, come?) {
                return Poll::Ready(Ok((gone, come)));
            }
            // To shut one direction down may end the other (the tunnel of a port-forward has no half): so all is said before.
            if !(there.has_said() && back.has_said() && (there.goes_on() | back.goes_on())) {
                break;
            }
        }
        match &mut limit {
            Some(limit) => limit
                .as_mut()
                .poll(cx)
                .map(|()| Err(io::ErrorKind::TimedOut.into())),
            None => Poll::Pending,
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
    /// Of a WebSocket.
    frames: Option<Frames>,
    /// What is said behind the frame that is under way, before this direction is ended from here.
    last_words: Option<Vec<u8>>,
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
    /// It is ended from here, and what was said last is on its way.
    Leaving,
    /// That has left, and the other direction is waited for.
    Said,
    /// It is to be shut down.
    Closing,
    /// It is shut down, and its source is yet to end: closed with bytes that nobody has read, a connection would be reset, and what
    /// was said last be lost.
    Emptying,
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
                State::Leaving => {
                    ready!(to.as_mut().poll_flush(cx))?;
                    self.is_unflushed = false;
                    self.state = State::Said;
                    continue;
                }
                State::Said => return Poll::Pending, // Both are polled together.
                State::Closing => {
                    ready!(to.as_mut().poll_shutdown(cx))?;
                    self.state = State::Emptying;
                    continue;
                }
                State::Open | State::Emptying => {}
            }
            let most = self.most();
            if most == 0 {
                self.say_last_words();
                continue;
            }
            let mut piece = [MaybeUninit::uninit(); PIECE];
            let mut piece = ReadBuf::uninit(&mut piece[..most]);
            if from.as_mut().poll_read(cx, &mut piece)?.is_pending() {
                if self.is_unflushed {
                    ready!(to.as_mut().poll_flush(cx))?;
                    self.is_unflushed = false;
                }
                return Poll::Pending;
            }
            let read = piece.filled();
            if read.is_empty() {
                let was_told = self.state == State::Emptying;
                self.state = if was_told { State::Ended } else { State::Ending };
                continue;
            }
            if self.state == State::Emptying {
                continue;
            }
            if let Some(frames) = &mut self.frames {
                frames.pass(read);
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

    /// How much may be read at once: no more than the rest of a frame behind which something is to be said.
    fn most(&self) -> usize {
        match (&self.last_words, &self.frames) {
            (Some(_), Some(frames)) => usize::try_from(frames.rest()).map_or(PIECE, |rest| rest.min(PIECE)),
            (Some(_), None) => 0,
            (None, _) => PIECE,
        }
    }

    /// The same, with an error taken for its end.
    fn or_ended(&mut self, polled: Poll<io::Result<u64>>) -> Poll<io::Result<u64>> {
        match polled {
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "one direction of a connection that ends broke");
                self.state = State::Ended;
                Poll::Ready(Ok(self.passed))
            }
            polled => polled,
        }
    }

    /// Whether nothing more is said in it.
    const fn has_said(&self) -> bool {
        matches!(
            self.state,
            State::Said | State::Closing | State::Emptying | State::Ended
        )
    }

    /// Has it shut down, if it waits for that. Whether it did.
    fn goes_on(&mut self) -> bool {
        let waits = self.state == State::Said;
        if waits {
            self.state = State::Closing;
        }
        waits
    }

    fn say_last_words(&mut self) {
        let words = self.last_words.take().unwrap_or_default();
        if self.frames.as_ref().is_some_and(|frames| !frames.is_closed()) {
            self.pending = words;
        }
        self.state = State::Leaving;
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
mod tests;
