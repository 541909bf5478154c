//! One connection that speaks HTTP/2.
//!
//! On `h2` itself and not on hyper's server: there the windows of a connection can't be changed while it is open, and
//! large ones for everybody would be memory that anybody can fill ([`window`](super::window)).

mod send;

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Connection as H2, SendResponse};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Limits;
use super::body::{BrokenBody, RequestBody};
use super::connection::Connection;
use super::window::{Budget, LARGE, SMALL, Window};

/// Streams at the same time on one connection.
const STREAMS: u32 = 128;
/// Bytes of a frame that a client may send: twice what all take (RFC 9113, 6.5.2), so that large bodies cost less. A frame is held
/// in memory until it is whole.
const FRAME: u32 = 32 << 10;
/// How many streams that this side has reset are remembered, and how long: what still arrives on them is passed over. On one that was
/// forgotten each frame counts to the library as a fault of its client, and a thousand of these end the connection, with all
/// that goes over it: a client whose uploads are refused has no fault. (That limit itself stays: each such frame is answered.)
const RESET_STREAMS: usize = 512;
const RESET_STREAM_TIME: Duration = Duration::from_secs(10);
/// Bytes of one answer that wait to be sent.
const SEND_BUFFER: usize = 256 << 10;

/// Serves the connection until either side ends it.
pub(super) async fn serve(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: Arc<Connection>,
    limits: &Limits,
) {
    let header_bytes = u32::try_from(limits.header_bytes).unwrap_or(u32::MAX);
    let handshake = h2::server::Builder::new()
        .initial_connection_window_size(SMALL)
        // What a stream may use of the connection's window: all of it. No request is left unread for long.
        .initial_window_size(LARGE)
        .max_concurrent_streams(STREAMS)
        .max_frame_size(FRAME)
        .max_header_list_size(header_bytes)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(RESET_STREAMS)
        .reset_stream_duration(RESET_STREAM_TIME)
        .handshake(io);
    let h2 = tokio::select! {
        shaken = timeout(limits.header_time, handshake) => match shaken {
            Ok(Ok(h2)) => h2,
            Ok(Err(error)) => return tracing::debug!(%error, "a connection ended early"),
            Err(_) => return tracing::debug!("a client sent no whole preface in time"),
        },
        () = connection.should_end() => return,
    };
    let windows = Arc::new(SharedWindow {
        window: Mutex::new(Window::new()),
        changed: Notify::new(),
        budget: Arc::clone(connection.budget()),
    });
    run(h2, &connection, &windows, limits).await;
    let mut window = lock(&windows.window);
    window.closes(&mut lock(&windows.budget));
}

async fn run(
    mut h2: H2<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Bytes>,
    connection: &Arc<Connection>,
    windows: &Arc<SharedWindow>,
    limits: &Limits,
) {
    // Dropped with the connection: what is still being answered has nobody to go to.
    let mut streams = JoinSet::new();
    let mut pings = h2.ping_pong();
    let mut ticks = interval(limits.ping);
    // What stood still, as in a sandbox that was paused, does not make up for the pings that it left out.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    let mut waiting_for_pong = false;
    let mut ending = false;
    loop {
        tokio::select! {
            // What has arrived counts before a client is taken for dead: after a stand-still both are due.
            biased;
            () = windows.changed.notified() => {
                let target = lock(&windows.window).target();
                h2.set_target_window_size(target);
            }
            // Memory of those that have ended.
            Some(_) = streams.join_next() => {}
            () = connection.should_end(), if !ending => {
                ending = true;
                h2.graceful_shutdown();
            }
            accepted = h2.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    streams.spawn(one(request, respond, Arc::clone(connection), Arc::clone(windows)));
                }
                Some(Err(error)) => return tracing::debug!(%error, "a connection ended early"),
                None => return,
            },
            pong = pong(pings.as_mut()), if waiting_for_pong => match pong {
                Ok(()) => waiting_for_pong = false,
                Err(error) => return tracing::debug!(%error, "a connection ended early"),
            },
            _ = ticks.tick() => if let Some(pings) = &mut pings {
                if waiting_for_pong || pings.send_ping(h2::Ping::opaque()).is_err() {
                    return tracing::debug!("a connection is dead: no answer to a ping");
                }
                waiting_for_pong = true;
            },
        }
    }
}

async fn pong(pings: Option<&mut h2::PingPong>) -> Result<(), h2::Error> {
    match pings {
        Some(pings) => std::future::poll_fn(|cx| pings.poll_pong(cx)).await.map(drop),
        None => std::future::pending().await,
    }
}

/// Answers one request.
async fn one(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    connection: Arc<Connection>,
    windows: Arc<SharedWindow>,
) {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let request = request.map(|stream| RequestBody::of_http2(StreamBody::new(stream, windows), length));
    let answer = tokio::select! {
        answer = super::dispatch::answer(&connection, request) => answer,
        // Whoever asked does not want to know any longer.
        _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => return,
    };
    let Ok(answer) = answer;
    send::send(respond, answer).await;
}

/// A connection's window, as those see it who read bodies.
#[derive(Debug)]
struct SharedWindow {
    window: Mutex<Window>,
    /// The target is another one.
    changed: Notify,
    budget: Arc<Mutex<Budget>>,
}

/// The body of a request on a stream.
#[derive(Debug)]
pub(super) struct StreamBody {
    stream: h2::RecvStream,
    windows: Arc<SharedWindow>,
}

impl StreamBody {
    fn new(stream: h2::RecvStream, windows: Arc<SharedWindow>) -> Self {
        lock(&windows.window).body_begins();
        Self { stream, windows }
    }

    /// The next bytes; `None` at the end of a body that is whole.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BrokenBody>> {
        let Some(data) = ready!(self.stream.poll_data(cx)) else {
            return Poll::Ready(Ok(None));
        };
        let data = data.map_err(|_| BrokenBody::Cut)?;
        // Fails only where the stream is closed, and then nothing is waited for.
        let _ = self.stream.flow_control().release_capacity(data.len());
        let changed = lock(&self.windows.window).read(data.len() as u64, &mut lock(&self.windows.budget));
        if changed {
            self.windows.changed.notify_one();
        }
        Poll::Ready(Ok(Some(data)))
    }
}

impl StreamBody {
    /// What comes after a body that was read to its end.
    pub(super) fn poll_trailers(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<HeaderMap>, BrokenBody>> {
        self.stream.poll_trailers(cx).map_err(|_| BrokenBody::Cut)
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if lock(&self.windows.window).body_ends() {
            self.windows.changed.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
