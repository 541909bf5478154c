//! Standard input, terminal sizes and pings to the socket.

use std::time::Duration;

use bytes::Bytes;
use futures::{Sink, SinkExt, future};
use tokio::sync::{mpsc, watch};
use tokio::time::{self, Instant, MissedTickBehavior};
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};

use super::codec::{ResizeEncoder, StdinEncoder, StdinFrames};
use super::driver::SharedLiveness;
use super::window::Window;
use crate::exec::TerminalSize;

/// Writes what one command is sent.
#[derive(Debug)]
pub(super) struct Writer {
    stdin: Option<StdinSource>,
    resize: Option<ResizeSource>,
    ping_interval: Duration,
    window: Window,
    /// Since when the answer to the first ping is waited for, before any was answered.
    asked: Option<Instant>,
}

/// How long a server may take for its first answer to a ping before it counts as one that answers none: then input is sent
/// as fast as the connection takes it.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// The caller's input.
#[derive(Debug)]
pub(super) struct StdinSource {
    encoder: StdinEncoder,
    receiver: mpsc::Receiver<Bytes>,
    /// The rest of the piece being sent.
    frames: StdinFrames,
}

type ResizeSource = (ResizeEncoder, watch::Receiver<TerminalSize>);

/// What is to be sent next.
enum Next {
    Stdin(Bytes),
    StdinEnded,
    Resize(TerminalSize),
    ResizeEnded,
    Ping,
}

impl Writer {
    pub(super) const fn new(
        stdin: Option<StdinSource>,
        resize: Option<ResizeSource>,
        ping_interval: Duration,
    ) -> Self {
        Self {
            stdin,
            resize,
            ping_interval,
            window: Window::new(),
            asked: None,
        }
    }

    /// Writes until that fails. What the failure means is the reader's to find out: there may be more to read.
    pub(super) async fn run(
        mut self,
        sink: &mut (impl Sink<Message, Error = WebSocketError> + Unpin),
        liveness: &SharedLiveness,
    ) {
        let mut pings = time::interval_at(Instant::now() + self.ping_interval, self.ping_interval);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Before any input, so that the answer tells whether this server answers at all.
        if self.stdin.is_some() && sink.send(self.ping(liveness)).await.is_err() {
            liveness.lock().write_failed(Instant::now());
            return;
        }
        loop {
            let is_open = self.is_open(liveness);
            // One frame a turn, so that a large input keeps neither sizes nor pings waiting.
            let next = tokio::select! {
                frame = next_stdin(&mut self.stdin), if is_open => frame.map_or(Next::StdinEnded, Next::Stdin),
                () = opens(self.asked, liveness), if !is_open => continue,
                size = next_size(&mut self.resize) => size.map_or(Next::ResizeEnded, Next::Resize),
                _ = pings.tick() => Next::Ping,
            };
            let Some(message) = self.message(next, liveness) else {
                continue;
            };
            let sent = sink.send(message).await;
            let sent = if sent.is_ok() && self.stdin.is_some() && self.window.wants_mark() {
                sink.send(self.ping(liveness)).await
            } else {
                sent
            };
            if let Err(error) = sent {
                tracing::debug!(%error, "writing to a remote command failed");
                liveness.lock().write_failed(Instant::now());
                return;
            }
        }
    }

    fn message(&mut self, next: Next, liveness: &SharedLiveness) -> Option<Message> {
        match next {
            Next::Stdin(frame) => {
                liveness.lock().stdin(Instant::now());
                self.window.sent(frame.len());
                Some(Message::Binary(frame))
            }
            Next::StdinEnded => self
                .stdin
                .take()
                .map(|stdin| Message::Binary(stdin.encoder.close())),
            Next::Resize(size) => self
                .resize
                .as_ref()
                .map(|(encoder, _)| Message::Binary(encoder.frame(size))),
            Next::ResizeEnded => {
                self.resize = None;
                None
            }
            Next::Ping => Some(self.ping(liveness)),
        }
    }

    fn ping(&mut self, liveness: &SharedLiveness) -> Message {
        let number = liveness.lock().ping(Instant::now());
        self.window.marked(number);
        self.asked.get_or_insert_with(Instant::now);
        Message::Ping(Bytes::copy_from_slice(&number.to_be_bytes()))
    }

    /// Whether input may be sent.
    fn is_open(&mut self, liveness: &SharedLiveness) -> bool {
        let answered = liveness.lock().answered();
        let answers_none = answered == 0 && self.asked.is_some_and(|asked| asked.elapsed() >= FIRST_ANSWER);
        self.window.is_open(answered) || answers_none
    }
}

impl StdinSource {
    pub(super) const fn new(encoder: StdinEncoder, receiver: mpsc::Receiver<Bytes>) -> Self {
        Self {
            encoder,
            receiver,
            frames: StdinFrames::empty(),
        }
    }
}

/// Waits until input may be sent again, as far as can be told. `asked` is when the first ping was sent.
async fn opens(asked: Option<Instant>, liveness: &SharedLiveness) {
    let first_answer = async {
        match asked {
            Some(asked) if liveness.lock().answered() == 0 => time::sleep_until(asked + FIRST_ANSWER).await,
            _ => future::pending().await,
        }
    };
    tokio::select! {
        () = liveness.answered() => {}
        () = first_answer => {}
    }
}

/// The next frame of input, none at its end; waits for ever where there is no input. Loses nothing if given up.
async fn next_stdin(stdin: &mut Option<StdinSource>) -> Option<Bytes> {
    let Some(stdin) = stdin else {
        return future::pending().await;
    };
    loop {
        if let Some(frame) = stdin.frames.next() {
            return Some(frame);
        }
        let piece = stdin.receiver.recv().await?;
        stdin.frames = stdin.encoder.frames(piece);
    }
}

/// The next size, none if there won't be another; waits for ever where there is no terminal.
async fn next_size(resize: &mut Option<ResizeSource>) -> Option<TerminalSize> {
    let Some((_, sizes)) = resize else {
        return future::pending().await;
    };
    sizes.changed().await.ok()?;
    Some(*sizes.borrow_and_update())
}
