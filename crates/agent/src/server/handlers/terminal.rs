//! A process's terminal over a WebSocket: `podbay_protocol::agent::terminal`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use http::header::ORIGIN;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use podbay_protocol::agent::terminal::{TerminalControl, TerminalEvent};
use podbay_protocol::agent::{AgentError, AgentErrorCode as Code};
use podbay_protocol::{Offsets, ProcessId, TerminalSize};
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use super::{output, processes};
use crate::process::{OutputReader, Piece, Processes, ReadError, UnknownProcess};
use crate::server::Services;
use crate::server::activity::Busy;
use crate::server::answer::Answer;
use crate::server::connection::Connection;
use crate::server::dispatch::Asked;
use crate::server::query::invalid;
use crate::server::websocket::Handshake;

/// Bytes of a message from a client, at most.
const MESSAGE_LIMIT: usize = 256 << 10;
/// How long the client may take to close once it was told why.
const LINGER: Duration = Duration::from_secs(2);
/// How often the first byte that is kept is looked for anew, when it is dropped between the look and the attempt to read it.
const LOOKS: u32 = 5;

/// Where the output begins.
#[derive(Clone, Copy)]
enum Begin {
    /// With the first byte that is kept.
    First,
    /// With this one.
    At(u64),
    /// So many bytes before the last.
    Tail(u64),
}

pub(super) fn open(services: &Services, id: ProcessId, mut asked: Asked) -> Result<Answer, AgentError> {
    let begin = match (asked.query.read("offset")?, asked.query.read("tail")?) {
        (None, None) => Begin::First,
        (Some(offset), None) => Begin::At(offset),
        (None, Some(bytes)) => Begin::Tail(bytes),
        (Some(_), Some(_)) => {
            return Err(invalid(
                "of the parameters \"offset\" and \"tail\" one may be there",
            ));
        }
    };
    let read_only = asked.query.flag("read_only")?;
    asked.query.finish()?;
    let handshake = Handshake::of(&asked.headers)?;
    let Some(upgrade) = asked.upgrade else {
        let message = "a WebSocket is opened over HTTP/1.1";
        return Err(AgentError::new(Code::UpgradeRequired, message));
    };
    if services.key.is_none() && asked.headers.contains_key(ORIGIN) {
        // Any page may have a browser connect to this machine.
        let message = "pages in browsers open no terminals of an agent that has no key";
        return Err(AgentError::new(Code::Unauthorized, message));
    }
    let processes = &services.processes;
    let info = processes
        .info(&id)
        .ok_or_else(|| self::processes::unknown(&UnknownProcess { id: id.clone() }))?;
    if !info.terminal {
        let message = format!("process {id} has no terminal");
        return Err(AgentError::new(Code::NoTerminal, message));
    }
    if !read_only && info.stdin.is_none() {
        let message =
            format!("process {id} has no standard input: its terminal can be watched, with \"read_only\"");
        return Err(AgentError::new(Code::StdinClosed, message));
    }
    let (from, reader) = begin_to_read(processes, &id, begin)?;
    let terminal = Terminal {
        id,
        processes: processes.clone(),
        reader,
        from,
        read_only,
        pulse: services.idle,
        connection: Arc::clone(&asked.connection),
        _busy: services.activity.begin(),
    };
    asked.connection.becomes(terminal.serve(upgrade));
    Ok(handshake.answer())
}

fn begin_to_read(
    processes: &Processes,
    id: &ProcessId,
    begin: Begin,
) -> Result<(u64, OutputReader), AgentError> {
    let mut looks = 0;
    loop {
        let (first, written) = processes.info(id).map_or((0, 0), |info| {
            (info.first.unwrap_or_default().stdout, info.written.stdout)
        });
        let from = match begin {
            Begin::First => first,
            Begin::At(offset) => offset,
            Begin::Tail(bytes) => first.max(written.saturating_sub(bytes)),
        };
        match read(processes, id, from) {
            Ok(reader) => return Ok((from, reader)),
            Err(ReadError::Gone { .. }) if !matches!(begin, Begin::At(_)) && looks < LOOKS => looks += 1,
            Err(error) => return Err(output::refused(&error)),
        }
    }
}

/// A terminal is one output.
fn read(processes: &Processes, id: &ProcessId, from: u64) -> Result<OutputReader, ReadError> {
    let from = Offsets {
        stdout: from,
        stderr: 0,
    };
    processes.read(id, from, None)
}

/// A terminal and its client.
struct Terminal {
    id: ProcessId,
    processes: Processes,
    reader: OutputReader,
    from: u64,
    /// Whether what comes from the client is passed over.
    read_only: bool,
    /// How often the client is asked whether it is there.
    pulse: Duration,
    connection: Arc<Connection>,
    _busy: Busy,
}

/// Why it is over.
enum Over {
    /// The process has ended, and all was told.
    Ended,
    /// The client has closed it, or is gone.
    Left,
    /// What the client sent makes no sense.
    Refused(String),
    /// The server ends.
    Closing,
}

/// Signs of life of a client.
struct Life {
    heard: AtomicBool,
    /// Whether what it has typed waits for the process: nothing more is read from it then.
    is_waiting: AtomicBool,
}

impl Terminal {
    /// Serves the client until either side ends it.
    async fn serve(self, upgrade: OnUpgrade) {
        let io = match upgrade.await {
            Ok(io) => TokioIo::new(io),
            Err(error) => return tracing::debug!(%error, "a WebSocket was not opened"),
        };
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_LIMIT))
            .max_frame_size(Some(MESSAGE_LIMIT));
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await;
        let (mut sink, mut stream) = socket.split();
        let Self {
            id,
            processes,
            reader,
            from,
            read_only,
            pulse,
            connection,
            _busy,
        } = self;
        let life = Life {
            heard: AtomicBool::new(true),
            is_waiting: AtomicBool::new(false),
        };
        let typed = Typed {
            id: &id,
            processes: &processes,
            read_only,
        };
        let over = tokio::select! {
            over = tell(&mut sink, (&processes, &id), reader, from, (pulse, &life)) => over.unwrap_or(Over::Left),
            over = typed.take(&mut stream, &life) => over,
            () = connection.should_end() => Over::Closing,
        };
        let (code, reason) = match over {
            Over::Ended => (CloseCode::Normal, "the process has ended".to_owned()),
            Over::Left => (CloseCode::Normal, String::new()),
            Over::Refused(reason) => (CloseCode::Policy, reason),
            Over::Closing => (CloseCode::Away, "the agent ends".to_owned()),
        };
        let reason = reason.into();
        let closing = async {
            sink.send(Message::Close(Some(CloseFrame { code, reason })))
                .await?;
            while stream.next().await.is_some_and(|message| message.is_ok()) {}
            Ok::<_, Error>(())
        };
        // A client that is gone has nothing to be told.
        let _ = timeout(LINGER, closing).await;
    }
}

/// Tells the client what the process writes, up to its end.
async fn tell(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    (processes, id): (&Processes, &ProcessId),
    mut reader: OutputReader,
    from: u64,
    (pulse, life): (Duration, &Life),
) -> Result<Over, Error> {
    let mut ticks = interval(pulse);
    // What stood still, as in a sandbox that was paused, does not make up for the pings that it left out.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    sink.send(event(&TerminalEvent::Output { offset: from })).await?;
    loop {
        let piece = tokio::select! {
            piece = reader.next() => piece,
            _ = ticks.tick() => {
                // What has arrived counts before a client is taken for gone: after a stand-still both are due.
                yield_now().await;
                if !life.heard.swap(false, Ordering::Relaxed) && !life.is_waiting.load(Ordering::Relaxed) {
                    return Ok(Over::Left);
                }
                sink.send(Message::Ping(Bytes::new())).await?;
                continue;
            }
        };
        match piece {
            Some(Piece::Output { bytes, .. }) => sink.send(Message::Binary(bytes)).await?,
            Some(Piece::Gone { mut first, .. }) => {
                reader = loop {
                    match read(processes, id, first) {
                        Ok(reader) => break reader,
                        Err(ReadError::Gone { first: later, .. }) => first = later,
                        // It was forgotten.
                        Err(_) => return Ok(Over::Ended),
                    }
                };
                sink.send(event(&TerminalEvent::Output { offset: first })).await?;
            }
            Some(Piece::End(end)) => {
                sink.send(event(&TerminalEvent::End { end })).await?;
                return Ok(Over::Ended);
            }
            None => return Ok(Over::Ended),
        }
    }
}

/// No event fails to become JSON: numbers, text and lists.
fn event(event: &TerminalEvent) -> Message {
    Message::text(serde_json::to_string(event).unwrap_or_default())
}

/// Where what a client types goes.
struct Typed<'a> {
    id: &'a ProcessId,
    processes: &'a Processes,
    read_only: bool,
}

impl Typed<'_> {
    async fn take(
        &self,
        stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
        life: &Life,
    ) -> Over {
        while let Some(Ok(message)) = stream.next().await {
            life.heard.store(true, Ordering::Relaxed);
            match message {
                Message::Close(_) => break,
                Message::Binary(bytes) if !self.read_only => {
                    life.is_waiting.store(true, Ordering::Relaxed);
                    // One that has ended, or closed its terminal, takes nothing any longer.
                    let _ = self.processes.append_stdin(self.id, bytes).await;
                    life.is_waiting.store(false, Ordering::Relaxed);
                }
                Message::Text(text) if !self.read_only => match serde_json::from_str(&text) {
                    Ok(TerminalControl::Resize { width, height }) => {
                        // Of one that has ended there is none to be resized.
                        let _ = self.processes.resize(self.id, TerminalSize { width, height });
                    }
                    Ok(_) => {}
                    Err(error) => return Over::Refused(refusal(&error.to_string())),
                },
                _ => {}
            }
        }
        Over::Left
    }
}

/// The reason of a close frame has room for 123 bytes (RFC 6455, 5.5).
fn refusal(error: &str) -> String {
    let mut reason = format!("a text message that is no JSON of a control: {error}");
    let end = (0..=123).rev().find(|end| reason.is_char_boundary(*end));
    reason.truncate(end.unwrap_or_default());
    reason
}
