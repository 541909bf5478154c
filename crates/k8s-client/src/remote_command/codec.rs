//! Frames and events: the protocol as a state machine without I/O.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::status::{self, StatusError};
use crate::exec::{ExecEnd, ExecRequest, TerminalSize};

/// The versions of the protocol that carry an exit code. Older ones (v1 to v3) don't and are not offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `v4.channel.k8s.io`.
    V4,
    /// `v5.channel.k8s.io`: v4 with half-close of a channel.
    V5,
}

/// Which streams a command has. It always has a standard output, and a standard error unless it has a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Whether it reads a standard input of ours.
    pub stdin: bool,
    /// Whether it has a terminal.
    pub tty: bool,
}

/// An output stream of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputChannel {
    /// Standard output; with a terminal, all there is.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a frame tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Output of the command, at least one byte.
    Output {
        /// On which stream.
        channel: OutputChannel,
        /// The bytes.
        bytes: Bytes,
    },
    /// The stream ended; nothing more comes on it.
    Closed(OutputChannel),
    /// How the command ended. Output may still follow.
    Status(ExecEnd),
}

/// A request that this version of the protocol can't carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Standard input over v4.
    #[error(
        "the server speaks only v4.channel.k8s.io (Kubernetes before 1.30), which can't tell a command that \
         its standard input ended; run the command without standard input, or use a newer API server"
    )]
    StdinNeedsV5,
}

/// A frame that breaks the protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// No channel byte.
    #[error("an empty frame, without a channel")]
    EmptyFrame,
    /// A text frame; all remote-command frames are binary.
    #[error("a text frame, where only binary ones are allowed")]
    TextFrame,
    /// The channel byte is none of this version's.
    #[error("a frame for channel {0}, which {1} does not have")]
    UnknownChannel(u8, Protocol),
    /// Data on a channel that only the client writes.
    #[error("a frame for the {0} channel, which only the client writes")]
    WrongDirection(Channel),
    /// Data on a channel that was not asked for.
    #[error("data on the {0} channel, which was not asked for")]
    NotAskedFor(Channel),
    /// Data on a channel that was closed.
    #[error("data on the {0} channel after its close")]
    AfterClose(Channel),
    /// A close frame that does not name one channel.
    #[error("a close frame of {0} bytes, where it takes 2")]
    MalformedClose(usize),
    /// A second status.
    #[error("a second status")]
    SecondStatus,
    /// The status can't be understood.
    #[error("a status that can't be understood")]
    Status(#[source] StatusError),
}

/// The channels by their number on the wire (`k8s.io/apimachinery/pkg/util/remotecommand`, `Stream*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// 0, to the server.
    Stdin,
    /// 1, to the client.
    Stdout,
    /// 2, to the client.
    Stderr,
    /// 3, to the client.
    Status,
    /// 4, to the server.
    Resize,
}

/// Both directions of one command.
#[derive(Debug)]
pub struct Codec {
    /// Understands what the server sends.
    pub decoder: Decoder,
    /// Encodes standard input, if asked for; that it exists proves that its end can be told.
    pub stdin: Option<StdinEncoder>,
    /// Encodes sizes, if there is a terminal.
    pub resize: Option<ResizeEncoder>,
}

/// Turns the payloads of binary frames into events.
#[derive(Debug)]
pub struct Decoder {
    protocol: Protocol,
    streams: Streams,
    stdout_closed: bool,
    stderr_closed: bool,
    status: StatusChannel,
    /// Whether the command has written anything, and therefore was started.
    output_seen: bool,
}

/// What has happened on the status channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StatusChannel {
    Waiting,
    Received,
    Closed,
}

/// Turns standard input into frames.
#[derive(Debug)]
pub struct StdinEncoder(());

/// The frames of one piece of standard input.
#[derive(Debug)]
pub struct StdinFrames(Bytes);

/// Turns terminal sizes into frames.
#[derive(Debug)]
pub struct ResizeEncoder(());

/// The channel byte of a v5 close frame.
const CLOSE: u8 = 255;

/// Most bytes of standard input in a frame: 32 KiB, as client-go sends (the buffer of Go's `io.Copy`), so that
/// servers see nothing they are not used to, and a ping or a new size never waits behind more than that.
pub const STDIN_CHUNK: usize = 32 * 1024;

impl Protocol {
    /// Its name in `Sec-WebSocket-Protocol`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4.channel.k8s.io",
            Self::V5 => "v5.channel.k8s.io",
        }
    }

    /// The version of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::V5, Self::V4]
            .into_iter()
            .find(|protocol| protocol.name() == name)
    }

    /// What to offer for these streams, best first. For standard input only v5: an older server then refuses the
    /// upgrade, and the command is never started.
    pub const fn offer(streams: Streams) -> &'static [Self] {
        if streams.stdin {
            &[Self::V5]
        } else {
            &[Self::V5, Self::V4]
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<&ExecRequest> for Streams {
    fn from(request: &ExecRequest) -> Self {
        let ExecRequest {
            container: _,
            argv: _,
            stdin,
            tty,
        } = request;
        Self {
            stdin: *stdin,
            tty: *tty,
        }
    }
}

impl From<OutputChannel> for Channel {
    fn from(channel: OutputChannel) -> Self {
        match channel {
            OutputChannel::Stdout => Self::Stdout,
            OutputChannel::Stderr => Self::Stderr,
        }
    }
}

impl Channel {
    const fn number(self) -> u8 {
        match self {
            Self::Stdin => 0,
            Self::Stdout => 1,
            Self::Stderr => 2,
            Self::Status => 3,
            Self::Resize => 4,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        [
            Self::Stdin,
            Self::Stdout,
            Self::Stderr,
            Self::Status,
            Self::Resize,
        ]
        .into_iter()
        .find(|channel| channel.number() == number)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Status => "status",
            Self::Resize => "resize",
        })
    }
}

impl Codec {
    /// A codec for one command.
    pub const fn new(protocol: Protocol, streams: Streams) -> Result<Self, Refusal> {
        let stdin = match (streams.stdin, protocol) {
            (false, _) => None,
            (true, Protocol::V5) => Some(StdinEncoder(())),
            (true, Protocol::V4) => return Err(Refusal::StdinNeedsV5),
        };
        let resize = if streams.tty {
            Some(ResizeEncoder(()))
        } else {
            None
        };
        let decoder = Decoder {
            protocol,
            streams,
            stdout_closed: false,
            stderr_closed: streams.tty,
            status: StatusChannel::Waiting,
            output_seen: false,
        };
        Ok(Self {
            decoder,
            stdin,
            resize,
        })
    }
}

impl Decoder {
    /// Understands one binary frame; none if it tells nothing (a channel marker, a repeated close).
    pub fn decode(&mut self, mut frame: Bytes) -> Result<Option<Event>, ProtocolError> {
        if frame.is_empty() {
            return Err(ProtocolError::EmptyFrame);
        }
        let number = frame.split_to(1)[0];
        if number == CLOSE && self.protocol == Protocol::V5 {
            return self.close(&frame);
        }
        match self.channel(number)? {
            channel @ (Channel::Stdin | Channel::Resize) => Err(ProtocolError::WrongDirection(channel)),
            Channel::Stdout => self.output(OutputChannel::Stdout, frame),
            Channel::Stderr => self.output(OutputChannel::Stderr, frame),
            Channel::Status => self.status(&frame),
        }
    }

    /// Whether the command has told all it can: its status, and the close of each output stream.
    pub const fn is_complete(&self) -> bool {
        matches!(self.status, StatusChannel::Received) && self.stdout_closed && self.stderr_closed
    }

    fn channel(&self, number: u8) -> Result<Channel, ProtocolError> {
        Channel::from_number(number).ok_or(ProtocolError::UnknownChannel(number, self.protocol))
    }

    fn output(&mut self, channel: OutputChannel, bytes: Bytes) -> Result<Option<Event>, ProtocolError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let closed = match channel {
            OutputChannel::Stderr if self.streams.tty => {
                return Err(ProtocolError::NotAskedFor(Channel::Stderr));
            }
            OutputChannel::Stdout => self.stdout_closed,
            OutputChannel::Stderr => self.stderr_closed,
        };
        if closed {
            return Err(ProtocolError::AfterClose(channel.into()));
        }
        self.output_seen = true;
        Ok(Some(Event::Output { channel, bytes }))
    }

    fn status(&mut self, json: &[u8]) -> Result<Option<Event>, ProtocolError> {
        if json.is_empty() {
            return Ok(None);
        }
        match self.status {
            StatusChannel::Waiting => {}
            StatusChannel::Received => return Err(ProtocolError::SecondStatus),
            StatusChannel::Closed => return Err(ProtocolError::AfterClose(Channel::Status)),
        }
        let end = status::parse_status(json, self.output_seen).map_err(ProtocolError::Status)?;
        self.status = StatusChannel::Received;
        Ok(Some(Event::Status(end)))
    }

    fn close(&mut self, payload: &[u8]) -> Result<Option<Event>, ProtocolError> {
        let &[number] = payload else {
            return Err(ProtocolError::MalformedClose(payload.len() + 1));
        };
        let (closed, channel) = match self.channel(number)? {
            // The server reads no more of it. What is still sent there it discards, as a command's pipe would.
            Channel::Stdin | Channel::Resize => return Ok(None),
            Channel::Status => {
                if self.status == StatusChannel::Waiting {
                    self.status = StatusChannel::Closed;
                }
                return Ok(None);
            }
            Channel::Stdout => (&mut self.stdout_closed, OutputChannel::Stdout),
            Channel::Stderr => (&mut self.stderr_closed, OutputChannel::Stderr),
        };
        // Closing twice is nothing new, as on the server's side.
        Ok((!std::mem::replace(closed, true)).then_some(Event::Closed(channel)))
    }
}

impl StdinEncoder {
    /// The frames that carry `bytes`, in order, each of at most [`STDIN_CHUNK`] bytes of input.
    pub const fn frames(&self, bytes: Bytes) -> StdinFrames {
        StdinFrames(bytes)
    }

    /// The frame that ends the input.
    pub const fn close(self) -> Bytes {
        const END: &[u8] = &[CLOSE, Channel::Stdin.number()];
        Bytes::from_static(END)
    }
}

impl StdinFrames {
    /// No frames.
    pub const fn empty() -> Self {
        Self(Bytes::new())
    }
}

impl Iterator for StdinFrames {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.0.is_empty() {
            return None;
        }
        let chunk = self.0.split_to(self.0.len().min(STDIN_CHUNK));
        let mut frame = BytesMut::with_capacity(1 + chunk.len());
        frame.put_u8(Channel::Stdin.number());
        frame.put(chunk);
        Some(frame.freeze())
    }
}

impl ResizeEncoder {
    /// The frame that tells the terminal's size (`TerminalSize` of client-go's `tools/remotecommand`).
    pub fn frame(&self, size: TerminalSize) -> Bytes {
        let TerminalSize { width, height } = size;
        let json = format!(r#"{{"Width":{width},"Height":{height}}}"#);
        let mut frame = BytesMut::with_capacity(1 + json.len());
        frame.put_u8(Channel::Resize.number());
        frame.put(json.as_bytes());
        frame.freeze()
    }
}
