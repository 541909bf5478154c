//! One connection to a port of a sandbox, by HTTP/1.1.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use podbay_runtime::dial::BoxIo;
use prometheus_client::metrics::counter::Counter;
use tokio_util::io::InspectReader;

/// Bytes of the head of an answer, at most; and of what is read of a body before it is passed on.
const BUFFER: usize = 64 << 10;
/// Header fields of an answer, at most.
const HEADERS: usize = 128;

/// What moves the bytes of a connection: it has to be polled for anything to happen.
type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// A connection to a port of a sandbox, on which one request at a time is answered.
///
/// Whoever waits for an answer moves its bytes meanwhile, so that a request costs no switch between tasks: those are what a small request
/// mostly costs. One with a body is moved by a task of its own, since client and sandbox may each wait for the other to read.
pub(super) struct Connection {
    sender: SendRequest<RequestBody>,
    /// `None` once a task of its own has it, or it has ended.
    driver: Option<Driver>,
    /// Whether anything came since the last request was sent.
    heard: Arc<AtomicBool>,
    /// Whether it has answered a request before.
    is_used: bool,
}

/// Why a request was not answered.
#[derive(Debug)]
pub(super) struct NotAnswered {
    /// What was met.
    pub(super) error: hyper::Error,
    /// The request, if nothing of it was sent.
    pub(super) unsent: Option<Request<RequestBody>>,
    /// Whether the sandbox closed a connection that had been idle, without having sent a byte: it may have closed it before the
    /// request came.
    pub(super) was_closed_while_idle: bool,
}

impl Connection {
    /// Speaks HTTP over what was dialled. Nothing is sent yet.
    pub(super) async fn begin(io: BoxIo) -> hyper::Result<Self> {
        let heard = Arc::new(AtomicBool::new(false));
        let hears = Arc::clone(&heard);
        let io = InspectReader::new(io, move |read| {
            if !read.is_empty() {
                hears.store(true, Ordering::Relaxed);
            }
        });
        let (sender, connection) = Builder::new()
            .max_headers(HEADERS)
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(io))
            .await?;
        Ok(Self {
            sender,
            driver: Some(Box::pin(connection.with_upgrades())),
            heard,
            is_used: false,
        })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, NotAnswered> {
        self.heard.store(false, Ordering::Relaxed);
        let was_used = std::mem::replace(&mut self.is_used, true);
        if matches!(request.body(), RequestBody::Client(..)) {
            self.move_by_itself();
        }
        let mut sent = std::pin::pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let answered = poll_fn(|cx| {
            if let Poll::Ready(sent) = sent.as_mut().poll(cx) {
                return Poll::Ready(sent);
            }
            poll_driver(driver, cx);
            sent.as_mut().poll(cx)
        })
        .await;
        answered.map_err(|mut failure| {
            let unsent = failure.take_message();
            let error = failure.into_error();
            NotAnswered {
                was_closed_while_idle: was_used && !self.heard.load(Ordering::Relaxed) && !error.is_timeout(),
                error,
                unsent,
            }
        })
    }

    /// Has a task move its bytes from now on.
    pub(super) fn move_by_itself(&mut self) {
        if let Some(driver) = self.driver.take() {
            // Ends with the connection: when its sender is dropped, or the other side closes it.
            tokio::spawn(async move {
                if let Err(error) = driver.await {
                    tracing::debug!(%error, "a connection to a sandbox ended early");
                }
            });
        }
    }

    /// Moves what can be moved now.
    pub(super) fn poll_move(&mut self, cx: &mut Context<'_>) {
        poll_driver(&mut self.driver, cx);
    }

    /// Whether it takes a request now, after a look at what has come of it since the last one.
    pub(super) fn takes_a_request(&mut self) -> bool {
        self.poll_move(&mut Context::from_waker(Waker::noop()));
        self.sender.is_ready() && !self.sender.is_closed()
    }

    /// Whether it is known to be closed.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

fn poll_driver(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    if let Some(moving) = driver
        && let Poll::Ready(ended) = moving.as_mut().poll(cx)
    {
        *driver = None;
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection to a sandbox ended early");
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("is_used", &self.is_used)
            .finish_non_exhaustive()
    }
}

/// The body of a request on its way to a sandbox: that of the client, without what may come after it.
#[derive(Debug)]
pub(super) enum RequestBody {
    /// None.
    Empty,
    /// As it comes.
    Client(Incoming, Counter),
}

impl RequestBody {
    /// The client's, whose bytes are counted there.
    pub(super) fn of(body: Incoming, counted: Counter) -> Self {
        if body.is_end_stream() {
            Self::Empty
        } else {
            Self::Client(body, counted)
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Client(body, counted) => {
                let frame = poll_data(body, cx);
                count(counted, &frame);
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client(body, _) => body.size_hint(),
        }
    }
}

/// The next data. Trailers are not passed on: in one version of HTTP they may say what in the other decides where a message ends.
pub(super) fn poll_data(
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    let frame = ready!(Pin::new(body).poll_frame(cx));
    Poll::Ready(frame.filter(|frame| frame.as_ref().map_or(true, Frame::is_data)))
}

/// Counts the bytes of a piece.
pub(super) fn count<E>(counted: &Counter, frame: &Poll<Option<Result<Frame<Bytes>, E>>>) {
    if let Poll::Ready(Some(Ok(frame))) = frame
        && let Some(data) = frame.data_ref()
    {
        counted.inc_by(data.len() as u64);
    }
}
