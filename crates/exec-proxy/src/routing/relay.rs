//! Bytes between two connections, both ways.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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
/// what they say after that is thrown away until they have ended, too.
///
/// While nothing comes it holds no buffer: of thousands of connections most are idle.
pub(super) async fn relay<C, S>(
    client: C,
    server: S,
    passing: Passing,
    counted: [Counter; 2],
    leaving: impl Future<Output = ()>,
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
    let mut is_leaving = false;
    poll_fn(|cx| {
        if !is_leaving && leaving.as_mut().poll(cx).is_ready() {
            is_leaving = true;
            there.last_words = Some(close_to_server(rand::random()));
            back.last_words = Some(close_to_client());
        }
        let there = there.poll(cx, Pin::new(&mut client), Pin::new(&mut server))?;
        let back = back.poll(cx, Pin::new(&mut server), Pin::new(&mut client))?;
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
    /// It is ended from here, which is yet to be told.
    Leaving,
    /// That was told, and its source is yet to end: closed with bytes that nobody has read, a connection would be reset, and what
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

    fn relaying(client: DuplexStream, server: DuplexStream) -> JoinHandle<io::Result<(u64, u64)>> {
        let counted = <[Counter; 2]>::default();
        tokio::spawn(relay(client, server, Passing::Bytes, counted, pending()))
    }

    #[tokio::test]
    async fn both_ways_are_whole_though_one_ends_first() {
        let (mut client, near) = duplex(1000);
        let (far, mut server) = duplex(777);
        let counted = <[Counter; 2]>::default();
        let relaying = tokio::spawn(relay(near, far, Passing::Bytes, counted.clone(), pending()));
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
                relaying: tokio::spawn(relay(near, far, passing, counted, left)),
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
        let closed = rest(&mut server).await;
        assert_eq!(closed.len(), 8, "{closed:?}");
        let code: Vec<_> = (0..2)
            .map(|index| closed[6 + index] ^ closed[2 + index])
            .collect();
        assert_eq!((&closed[..2], code), (&[0x88, 0x82][..], vec![0x03, 0xe9]));
        // What comes behind the frame is no longer passed on.
        server.write_all(&[8, 8, 0x82, 1, 9]).await.unwrap();
        assert_eq!(rest(&mut client).await, [8, 8, 0x88, 2, 0x03, 0xe9]);
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
}
