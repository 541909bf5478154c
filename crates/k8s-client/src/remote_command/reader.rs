//! From the socket to the queues.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::time::{self, Instant};
use tokio_tungstenite::tungstenite::error::ProtocolError as WebSocketProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};
use tokio_util::sync::CancellationToken;

use super::codec::{Decoder, Event, OutputChannel, ProtocolError};
use super::driver::SharedLiveness;
use super::queue::QueueWriter;
use super::status::Ending;
use crate::exec::ExecEnd;

/// How long the connection may be silent after the status before it counts as ended. API servers close it
/// within milliseconds; a proxy between may forget to. 5 s outlast a retransmission or two, so that output
/// behind the status is not cut off.
pub const LINGER: Duration = Duration::from_secs(5);

/// Reads one connection to its end.
#[derive(Debug)]
pub(super) struct Reader {
    decoder: Decoder,
    stdout: Output,
    stderr: Output,
    status: Option<ExecEnd>,
}

/// An output's queue, until the stream was closed.
type Output = Option<QueueWriter>;

/// What the connection does next.
enum Incoming {
    Frame(Bytes),
    /// A frame that carries nothing for the command: ping, pong.
    Control,
    End(Ending),
}

impl Reader {
    pub(super) const fn new(decoder: Decoder, stdout: QueueWriter, stderr: Output) -> Self {
        Self {
            decoder,
            stdout: Some(stdout),
            stderr,
            status: None,
        }
    }

    /// Reads until the connection ends; cancels `ended` when the command has told how it ended.
    pub(super) async fn run(
        mut self,
        stream: &mut (impl Stream<Item = Result<Message, WebSocketError>> + Unpin),
        liveness: &SharedLiveness,
        ended: &CancellationToken,
    ) -> (Option<ExecEnd>, Ending) {
        let mut last_frame = Instant::now();
        let ending = loop {
            let message = if self.status.is_none() {
                stream.next().await
            } else {
                match time::timeout_at(last_frame + LINGER, stream.next()).await {
                    Ok(message) => message,
                    Err(_) => break Ending::Lingered,
                }
            };
            liveness.lock().received(Instant::now());
            match understand(message, liveness) {
                Incoming::Control => {}
                Incoming::End(ending) => break ending,
                Incoming::Frame(frame) => {
                    if let Err(error) = self.frame(frame, liveness, ended).await {
                        break Ending::Violation(error);
                    }
                    if self.decoder.is_complete() {
                        break Ending::Complete;
                    }
                    last_frame = Instant::now();
                }
            }
        };
        // The earlier protocol closes no streams: a status that is believed says that all was sent.
        let is_told = !matches!(self.status, None | Some(ExecEnd::Lost { .. }));
        if is_told && !matches!(ending, Ending::Violation(_) | Ending::NotWebSocket(_)) {
            complete(&mut self.stdout);
            complete(&mut self.stderr);
        }
        (self.status, ending)
    }

    async fn frame(
        &mut self,
        frame: Bytes,
        liveness: &SharedLiveness,
        ended: &CancellationToken,
    ) -> Result<(), ProtocolError> {
        match self.decoder.decode(frame)? {
            None => {}
            Some(Event::Output { channel, bytes }) => self.output(channel, bytes, liveness).await,
            Some(Event::Closed(OutputChannel::Stdout)) => complete(&mut self.stdout),
            Some(Event::Closed(OutputChannel::Stderr)) => complete(&mut self.stderr),
            Some(Event::Status(end)) => {
                self.status = Some(end);
                ended.cancel();
            }
        }
        Ok(())
    }

    /// Hands output to its queue; waits there while the queue is full.
    async fn output(&mut self, channel: OutputChannel, bytes: Bytes, liveness: &SharedLiveness) {
        let (queue, other) = match channel {
            OutputChannel::Stdout => (&mut self.stdout, &self.stderr),
            OutputChannel::Stderr => (&mut self.stderr, &self.stdout),
        };
        let Some(queue) = queue else { return };
        let other = other.as_ref().map(QueueWriter::probe);
        let may_spool = || other.as_ref().is_some_and(super::queue::ReaderProbe::is_alive);
        liveness.lock().pause();
        queue.push(bytes, may_spool).await;
        liveness.lock().resume(Instant::now());
    }
}

/// Ends an output of which all has come.
fn complete(output: &mut Output) {
    if let Some(queue) = output.take() {
        queue.complete();
    }
}

fn understand(message: Option<Result<Message, WebSocketError>>, liveness: &SharedLiveness) -> Incoming {
    match message {
        Some(Ok(Message::Binary(frame))) => Incoming::Frame(frame),
        Some(Ok(Message::Pong(payload))) => {
            if let Ok(number) = payload[..].try_into() {
                liveness.pong(u64::from_be_bytes(number));
            }
            Incoming::Control
        }
        // The answer to a ping of the server's goes out by itself.
        Some(Ok(Message::Ping(_) | Message::Frame(_))) => Incoming::Control,
        Some(Ok(Message::Text(_))) => Incoming::End(Ending::Violation(ProtocolError::TextFrame)),
        Some(Ok(Message::Close(frame))) => Incoming::End(Ending::Closed(
            frame.map(|CloseFrame { code, reason }| format!("{code} {reason}")),
        )),
        None => Incoming::End(Ending::Closed(None)),
        Some(Err(WebSocketError::Protocol(WebSocketProtocolError::ResetWithoutClosingHandshake))) => {
            Incoming::End(Ending::Broken("it ended without a close frame".to_owned()))
        }
        Some(Err(WebSocketError::Io(error))) => Incoming::End(Ending::Broken(error.to_string())),
        Some(Err(error)) => Incoming::End(Ending::NotWebSocket(error.to_string())),
    }
}
