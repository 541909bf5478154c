//! The task between a command's connection and its caller.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{FutureExt, SinkExt, StreamExt, future, stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{self, Instant};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;

use super::codec::{Codec, Protocol, Streams};
use super::liveness::{Liveness, Patience};
use super::queue;
use super::reader::Reader;
use super::status::{Ending, conclude};
use super::writer::{StdinSource, Writer};
use crate::error::{Error, ErrorKind};
use crate::exec::{ExecEnd, ExecOutput, ExecProcess, ExecRequest, ExecStdin, TerminalSize};

/// How a connection is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverOptions {
    /// How often a ping is sent. Default 15 s: below the idle limits of common load balancers (60 s and up).
    pub ping_interval: Duration,
    /// How long nothing at all may come after a ping before the connection counts as lost. Default 45 s, so that
    /// a ping or two may get lost in a server that is overloaded.
    pub ping_timeout: Duration,
    /// The same while input is on its way that the command may not have read: a server that waits for the
    /// command does not answer pings. Default 4 h, the API server's own limit for an idle connection
    /// (`defaultIdleConnectionTimeout`); a dead host shows earlier, by the kernel's retransmission limit.
    pub unread_stdin_timeout: Duration,
    /// How many bytes of one output stream may wait in a temporary file for a slow reader while the other stream
    /// has a reader too. Default 256 MiB: more than logs, less than the disk of a small node.
    pub spool_limit: u64,
}

impl Default for DriverOptions {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(45),
            unread_stdin_timeout: Duration::from_secs(4 * 60 * 60),
            spool_limit: 256 << 20,
        }
    }
}

/// How many pieces of input may wait for the connection. What a caller writes is its own to bound; this only keeps
/// both sides busy.
const STDIN_PIECES: usize = 4;

/// How long a close frame may take to be written. It is a courtesy: the socket is closed in any case.
const FAREWELL: Duration = Duration::from_secs(1);

/// What reader, writer and watchdog of one connection share; never locked across an await.
#[derive(Debug)]
pub(super) struct SharedLiveness {
    liveness: Mutex<Liveness>,
    /// A ping was answered.
    answered: Notify,
}

impl SharedLiveness {
    fn new(patience: Patience) -> Self {
        Self {
            liveness: Mutex::new(Liveness::new(patience)),
            answered: Notify::new(),
        }
    }

    /// The answer to ping `number` was received.
    pub(super) fn pong(&self, number: u64) {
        self.lock().pong(number);
        self.answered.notify_one();
    }

    /// Waits for the answer to a ping; one that came before counts if nobody waited for it.
    pub(super) async fn answered(&self) {
        self.answered.notified().await;
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Liveness> {
        self.liveness.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes over a connection that was upgraded to WebSocket frames, and on which `protocol` was agreed, and gives the command's streams.
///
/// Must be called within a tokio runtime; the connection lives in a task of its own, which ends with the
/// connection or when the process's guard is dropped. A request the protocol can't carry out is
/// [`ErrorKind::Unsupported`]; the connection is then closed.
pub fn attach<S>(
    connection: S,
    protocol: Protocol,
    request: &ExecRequest,
    options: DriverOptions,
) -> Result<ExecProcess, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let codec = Codec::new(protocol, Streams::from(request)).map_err(|refusal| {
        Error::new(
            format!("exec in container {}", request.container),
            ErrorKind::Unsupported,
        )
        .with_message(refusal.to_string())
    })?;
    let Codec {
        decoder,
        stdin,
        resize,
    } = codec;
    let DriverOptions {
        ping_interval,
        ping_timeout,
        unread_stdin_timeout,
        spool_limit,
    } = options;

    let fault = Arc::new(AtomicBool::new(false));
    let (stdout_queue, stdout) = queue::queue(spool_limit, Arc::clone(&fault));
    let (stderr_queue, stderr) = if request.tty {
        (None, ExecOutput::new(stream::empty()))
    } else {
        let (writer, reader) = queue::queue(spool_limit, Arc::clone(&fault));
        (Some(writer), reader.into_output())
    };
    let (stdin_source, stdin) = stdin
        .map(|encoder| {
            let (sender, receiver) = mpsc::channel(STDIN_PIECES);
            (StdinSource::new(encoder, receiver), ExecStdin::new(sender))
        })
        .unzip();
    let (resize_source, resize) = resize
        .map(|encoder| {
            let (sender, receiver) = watch::channel(TerminalSize::default());
            ((encoder, receiver), sender)
        })
        .unzip();

    let cancelled = CancellationToken::new();
    let (end_sender, end_receiver) = oneshot::channel();
    let patience = Patience {
        ping: ping_timeout,
        unread_stdin: unread_stdin_timeout,
    };
    tokio::spawn(drive(
        connection,
        Reader::new(decoder, stdout_queue, stderr_queue),
        Writer::new(stdin_source, resize_source, ping_interval),
        SharedLiveness::new(patience),
        cancelled.clone(),
        end_sender,
    ));
    Ok(ExecProcess {
        stdin,
        stdout: stdout.into_output(),
        stderr,
        resize,
        signals: None,
        end: end_of(end_receiver, fault).boxed(),
        guard: cancelled.drop_guard(),
    })
}

async fn end_of(receiver: oneshot::Receiver<ExecEnd>, fault: Arc<AtomicBool>) -> ExecEnd {
    let lost = |message: &str| ExecEnd::Lost {
        message: message.to_owned(),
    };
    let end = receiver
        .await
        .unwrap_or_else(|_| lost("the runtime that drove the connection was shut down"));
    if fault.load(Ordering::Acquire) {
        return lost("output was put into a temporary file and could not be read back");
    }
    end
}

/// Runs reader, writer and watchdog until the connection ends.
///
/// They share one task but not one loop, so that none waits for another: a command that does not read its input
/// blocks only the writer, a full output queue only the reader.
async fn drive<S>(
    connection: S,
    reader: Reader,
    writer: Writer,
    liveness: SharedLiveness,
    cancelled: CancellationToken,
    end: oneshot::Sender<ExecEnd>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let socket = WebSocketStream::from_raw_socket(connection, Role::Client, None).await;
    let (mut sink, mut stream) = socket.split();
    let ended = CancellationToken::new();
    let writing = async {
        // The writer goes, and its caller's input with it, as soon as the command has ended.
        tokio::select! {
            () = writer.run(&mut sink, &liveness) => {}
            () = ended.cancelled() => {}
        }
        future::pending::<()>().await;
    };
    // Not biased: the branch that is polled first may use up the task's cooperative budget each time.
    let (status, ending) = tokio::select! {
        finished = reader.run(&mut stream, &liveness, &ended) => finished,
        silence = watch_silence(&liveness, ended.cancelled()) => (None, Ending::Silent(silence)),
        () = cancelled.cancelled() => (None, Ending::GivenUp),
        () = writing => (None, Ending::Broken("the writer stopped".to_owned())),
    };
    // Here the queues have ended and input is refused; now the end may be told.
    tracing::debug!(?status, ?ending, "a remote command's connection ended");
    // Nobody may be waiting for it.
    let _ = end.send(conclude(status, ending));
    // Failing to say farewell on a connection that is given up changes nothing.
    let _ = time::timeout(FAREWELL, sink.close()).await;
}

/// Returns how long nothing was received once that is too long; never after the command has ended.
async fn watch_silence(liveness: &SharedLiveness, ended: impl Future<Output = ()>) -> Duration {
    let watch = async {
        loop {
            let now = Instant::now();
            let (deadline, patience, shortest) = {
                let liveness = liveness.lock();
                (
                    liveness.deadline(),
                    liveness.patience(),
                    liveness.shortest_patience(),
                )
            };
            match deadline {
                Some(deadline) if deadline <= now => return patience,
                // Whatever happens meanwhile, nothing that starts to be due later is overdue before this.
                deadline => time::sleep_until(deadline.unwrap_or(now + shortest).min(now + shortest)).await,
            }
        }
    };
    tokio::select! {
        silence = watch => silence,
        () = ended => future::pending().await,
    }
}
