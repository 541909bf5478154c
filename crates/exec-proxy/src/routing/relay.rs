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
mod tests {
    use std::future::pending;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(1);

    fn relaying(client: DuplexStream, server: DuplexStream) -> JoinHandle<io::Result<(u64, u64)>> {
        let counted = <[Counter; 2]>::default();
        tokio::spawn(relay(client, server, Passing::Bytes, counted, pending(), WITHIN))
    }

    #[tokio::test]
    async fn both_ways_are_whole_though_one_ends_first() {
        let (mut client, near) = duplex(1000);
        let (far, mut server) = duplex(777);
        let counted = <[Counter; 2]>::default();
        let relaying = tokio::spawn(relay(
            near,
            far,
            Passing::Bytes,
            counted.clone(),
            pending(),
            WITHIN,
        ));
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
        let relaying = relaying(near, far);
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

    /// A client and a server with a relay between them that leaves when it is told to.
    struct Leaving {
        client: DuplexStream,
        server: DuplexStream,
        leave: oneshot::Sender<()>,
        relaying: JoinHandle<io::Result<(u64, u64)>>,
    }

    impl Leaving {
        fn new(passing: Passing) -> Self {
            let (client, near) = duplex(1 << 16);
            let (far, server) = duplex(1 << 16);
            let (leave, left) = oneshot::channel();
            let left = async { left.await.unwrap() };
            let counted = <[Counter; 2]>::default();
            Self {
                client,
                server,
                leave,
                relaying: tokio::spawn(relay(near, far, passing, counted, left, WITHIN)),
            }
        }
    }

    async fn rest(stream: &mut DuplexStream) -> Vec<u8> {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        rest
    }

    #[tokio::test]
    async fn a_websocket_is_closed_behind_the_frame_that_is_under_way() {
        let Leaving {
            mut client,
            mut server,
            leave,
            relaying,
        } = Leaving::new(Passing::WebSocket);
        // A whole frame, and half of one.
        server.write_all(&[0x82, 1, 7, 0x82, 3, 8]).await.unwrap();
        let mut heard = [0; 6];
        client.read_exact(&mut heard).await.unwrap();
        leave.send(()).unwrap();
        // The other direction is between two frames.
        let mut closed = [0; 8];
        server.read_exact(&mut closed).await.unwrap();
        let code: Vec<_> = (0..2)
            .map(|index| closed[6 + index] ^ closed[2 + index])
            .collect();
        assert_eq!((&closed[..2], code), (&[0x88, 0x82][..], vec![0x03, 0xe9]));
        // What comes behind the frame is no longer passed on.
        server.write_all(&[8, 8, 0x82, 1, 9]).await.unwrap();
        assert_eq!(rest(&mut client).await, [8, 8, 0x88, 2, 0x03, 0xe9]);
        assert_eq!(rest(&mut server).await, [0_u8; 0]);
        // Their answers are heard, and then it is over.
        client.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
        server.write_all(&[0x88, 0]).await.unwrap();
        drop((client, server));
        assert_eq!(relaying.await.unwrap().unwrap(), (8, 12));
    }

    #[tokio::test]
    async fn what_was_closed_is_not_closed_again_and_bytes_have_no_frames() {
        let Leaving {
            mut client,
            mut server,
            leave,
            relaying,
        } = Leaving::new(Passing::WebSocket);
        server.write_all(&[0x88, 0]).await.unwrap();
        let mut heard = [0; 2];
        client.read_exact(&mut heard).await.unwrap();
        leave.send(()).unwrap();
        assert_eq!(rest(&mut client).await, [0_u8; 0]);
        drop((client, server));
        assert_eq!(relaying.await.unwrap().unwrap(), (8, 2));
        let Leaving {
            mut client,
            mut server,
            leave,
            relaying,
        } = Leaving::new(Passing::Bytes);
        server.write_all(&[0x82, 3]).await.unwrap();
        let mut heard = [0; 2];
        client.read_exact(&mut heard).await.unwrap();
        leave.send(()).unwrap();
        assert_eq!(
            (rest(&mut client).await, rest(&mut server).await),
            (vec![], vec![])
        );
        drop((client, server));
        assert_eq!(relaying.await.unwrap().unwrap(), (0, 2));
    }

    /// A tunnel that has no half: shut down, it ends both ways.
    struct Whole {
        stream: DuplexStream,
        is_shut: bool,
    }

    impl AsyncRead for Whole {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.is_shut {
                return Poll::Ready(Ok(()));
            }
            Pin::new(&mut self.stream).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Whole {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.stream).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.is_shut = true;
            Pin::new(&mut self.stream).poll_shutdown(cx)
        }
    }

    #[tokio::test]
    async fn a_tunnel_without_halves_stays_until_all_is_said() {
        let (mut client, near) = duplex(1 << 16);
        let (far, mut server) = duplex(1 << 16);
        let far = Whole {
            stream: far,
            is_shut: false,
        };
        let (leave, left) = oneshot::channel();
        let left = async { left.await.unwrap() };
        let counted = <[Counter; 2]>::default();
        let relaying = tokio::spawn(relay(near, far, Passing::WebSocket, counted, left, WITHIN));
        // Half a frame: the direction from the client is through at once, this one is not.
        server.write_all(&[0x82, 2, 7]).await.unwrap();
        let mut heard = [0; 3];
        client.read_exact(&mut heard).await.unwrap();
        leave.send(()).unwrap();
        let mut closed = [0; 8];
        server.read_exact(&mut closed).await.unwrap();
        server.write_all(&[7]).await.unwrap();
        assert_eq!(rest(&mut client).await, [7, 0x88, 2, 0x03, 0xe9]);
        drop((client, server));
        assert_eq!(relaying.await.unwrap().unwrap(), (8, 8));
    }

    #[tokio::test]
    async fn one_that_is_gone_keeps_the_other_from_nothing() {
        let Leaving {
            mut client,
            server,
            leave,
            relaying,
        } = Leaving::new(Passing::WebSocket);
        leave.send(()).unwrap();
        drop(server);
        assert_eq!(rest(&mut client).await, [0x88, 2, 0x03, 0xe9]);
        drop(client);
        relaying.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_does_not_end_is_not_waited_for_for_ever() {
        let Leaving {
            mut client,
            mut server,
            leave,
            relaying,
        } = Leaving::new(Passing::WebSocket);
        server.write_all(&[0x82]).await.unwrap();
        let mut heard = [0];
        client.read_exact(&mut heard).await.unwrap();
        leave.send(()).unwrap();
        let ended = relaying.await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
