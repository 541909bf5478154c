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
        Self::by(passing, |far| far)
    }

    /// The same, with the way to the server made by `tunnel`.
    fn by<S>(passing: Passing, tunnel: impl FnOnce(DuplexStream) -> S) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (client, near) = duplex(1 << 16);
        let (far, server) = duplex(1 << 16);
        let (leave, left) = oneshot::channel();
        let left = async { left.await.unwrap() };
        let counted = <[Counter; 2]>::default();
        Self {
            client,
            server,
            leave,
            relaying: tokio::spawn(relay(near, tunnel(far), passing, counted, left, WITHIN)),
        }
    }

    /// The server says something, and the client hears it.
    async fn passes(&mut self, bytes: &[u8]) {
        self.server.write_all(bytes).await.unwrap();
        let mut heard = vec![0; bytes.len()];
        self.client.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, bytes);
    }
}

async fn rest(stream: &mut DuplexStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    rest
}

#[tokio::test]
async fn a_websocket_is_closed_behind_the_frame_that_is_under_way() {
    let mut between = Leaving::new(Passing::WebSocket);
    // A whole frame, and half of one.
    between.passes(&[0x82, 1, 7, 0x82, 3, 8]).await;
    between.leave.send(()).unwrap();
    // The other direction is between two frames.
    let mut closed = [0; 8];
    between.server.read_exact(&mut closed).await.unwrap();
    let code: Vec<_> = (0..2)
        .map(|index| closed[6 + index] ^ closed[2 + index])
        .collect();
    assert_eq!((&closed[..2], code), (&[0x88, 0x82][..], vec![0x03, 0xe9]));
    // What comes behind the frame is no longer passed on.
    between.server.write_all(&[8, 8, 0x82, 1, 9]).await.unwrap();
    assert_eq!(rest(&mut between.client).await, [8, 8, 0x88, 2, 0x03, 0xe9]);
    assert_eq!(rest(&mut between.server).await, [0_u8; 0]);
    // Their answers are heard, and then it is over.
    between.client.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
    between.server.write_all(&[0x88, 0]).await.unwrap();
    drop((between.client, between.server));
    assert_eq!(between.relaying.await.unwrap().unwrap(), (8, 12));
}

#[tokio::test]
async fn what_was_closed_is_not_closed_again_and_bytes_have_no_frames() {
    let mut between = Leaving::new(Passing::WebSocket);
    between.passes(&[0x88, 0]).await;
    between.leave.send(()).unwrap();
    assert_eq!(rest(&mut between.client).await, [0_u8; 0]);
    drop((between.client, between.server));
    assert_eq!(between.relaying.await.unwrap().unwrap(), (8, 2));
    let mut between = Leaving::new(Passing::Bytes);
    between.passes(&[0x82, 3]).await;
    between.leave.send(()).unwrap();
    assert_eq!(
        (rest(&mut between.client).await, rest(&mut between.server).await),
        (vec![], vec![])
    );
    drop((between.client, between.server));
    assert_eq!(between.relaying.await.unwrap().unwrap(), (0, 2));
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
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
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
    let mut between = Leaving::by(Passing::WebSocket, |stream| Whole {
        stream,
        is_shut: false,
    });
    // Half a frame: the direction from the client is through at once, this one is not.
    between.passes(&[0x82, 2, 7]).await;
    between.leave.send(()).unwrap();
    let mut closed = [0; 8];
    between.server.read_exact(&mut closed).await.unwrap();
    between.server.write_all(&[7]).await.unwrap();
    assert_eq!(rest(&mut between.client).await, [7, 0x88, 2, 0x03, 0xe9]);
    drop((between.client, between.server));
    assert_eq!(between.relaying.await.unwrap().unwrap(), (8, 8));
}

#[tokio::test]
async fn one_that_is_gone_keeps_the_other_from_nothing() {
    let mut between = Leaving::new(Passing::WebSocket);
    between.leave.send(()).unwrap();
    drop(between.server);
    assert_eq!(rest(&mut between.client).await, [0x88, 2, 0x03, 0xe9]);
    drop(between.client);
    between.relaying.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_does_not_end_is_not_waited_for_for_ever() {
    let mut between = Leaving::new(Passing::WebSocket);
    between.passes(&[0x82]).await;
    between.leave.send(()).unwrap();
    let ended = between.relaying.await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
}
