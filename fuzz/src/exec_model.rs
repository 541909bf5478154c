//! The client's side of the remote-command protocol (KEP-4006), frame by frame, and its status frames.

use podbay_k8s_client::ExecEnd;
use podbay_k8s_client::remote_command::{Channel, Event, OutputChannel, Protocol, ProtocolError};
use serde_json::Value;

/// What is known of a connection.
#[derive(Clone, Debug)]
pub struct Connection {
    protocol: Protocol,
    tty: bool,
    closed: Closed,
    status_seen: bool,
    /// Whether the command has written.
    pub output_seen: bool,
}

/// Which channels ended.
#[derive(Clone, Copy, Debug, Default)]
struct Closed {
    stdout: bool,
    stderr: bool,
    status: bool,
}

/// What a frame tells.
#[derive(Debug)]
pub enum Told {
    /// Nothing new.
    Nothing,
    /// This.
    Event(Event),
    /// Something with this JSON text, which [`status`] reads.
    Status(Vec<u8>),
    /// That the server breaks the protocol.
    Broken(ProtocolError),
}

impl Connection {
    /// A fresh one.
    pub const fn new(protocol: Protocol, tty: bool) -> Self {
        Self {
            protocol,
            tty,
            closed: Closed {
                stdout: false,
                stderr: tty,
                status: false,
            },
            status_seen: false,
            output_seen: false,
        }
    }

    /// Whether there is nothing more to come.
    pub const fn is_complete(&self) -> bool {
        self.status_seen && self.closed.stdout && self.closed.stderr
    }

    /// Reads the next frame.
    pub fn frame(&mut self, frame: &[u8]) -> Told {
        use ProtocolError as Broken;
        let v5 = self.protocol == Protocol::V5;
        let told = match frame {
            [] => Err(Broken::EmptyFrame),
            [255, channel] if v5 => self.close(*channel),
            [255, ..] if v5 => Err(Broken::MalformedClose(frame.len())),
            [0, ..] => Err(Broken::WrongDirection(Channel::Stdin)),
            [4, ..] => Err(Broken::WrongDirection(Channel::Resize)),
            [1..=3] => Ok(Told::Nothing),
            [2, ..] if self.tty => Err(Broken::NotAskedFor(Channel::Stderr)),
            [1, ..] if self.closed.stdout => Err(Broken::AfterClose(Channel::Stdout)),
            [2, ..] if self.closed.stderr => Err(Broken::AfterClose(Channel::Stderr)),
            [number @ (1 | 2), bytes @ ..] => {
                self.output_seen = true;
                let channel = if *number == 1 {
                    OutputChannel::Stdout
                } else {
                    OutputChannel::Stderr
                };
                let bytes = bytes.to_vec().into();
                Ok(Told::Event(Event::Output { channel, bytes }))
            }
            [3, ..] if self.status_seen => Err(Broken::SecondStatus),
            [3, ..] if self.closed.status => Err(Broken::AfterClose(Channel::Status)),
            [3, json @ ..] => {
                self.status_seen = true;
                Ok(Told::Status(json.to_vec()))
            }
            [other, ..] => Err(Broken::UnknownChannel(*other, self.protocol)),
        };
        told.unwrap_or_else(Told::Broken)
    }

    fn close(&mut self, channel: u8) -> Result<Told, ProtocolError> {
        let (closed, event) = match channel {
            1 => (&mut self.closed.stdout, Event::Closed(OutputChannel::Stdout)),
            2 => (&mut self.closed.stderr, Event::Closed(OutputChannel::Stderr)),
            3 => {
                self.closed.status = true;
                return Ok(Told::Nothing);
            }
            0 | 4 => return Ok(Told::Nothing),
            other => return Err(ProtocolError::UnknownChannel(other, self.protocol)),
        };
        if *closed {
            return Ok(Told::Nothing);
        }
        *closed = true;
        Ok(Told::Event(event))
    }
}

/// Why a status tells no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEnd {
    /// Its fields are not of their types.
    Malformed,
    /// It is neither success nor failure.
    UnknownStatus,
    /// It has no exit code where it should.
    NoExitCode,
    /// Its exit code is none.
    BadExitCode,
}

/// Words of a connection that broke behind the API server.
const BROKEN: [&str; 9] = [
    "error reading from error stream",
    "error stream protocol error",
    "unexpected EOF",
    "connection reset by peer",
    "broken pipe",
    "use of closed network connection",
    "context canceled",
    "context deadline exceeded",
    "i/o timeout",
];

/// Why a JSON text is not read.
enum Unread {
    /// A field is not of its type.
    WrongType,
    /// An array where an object belongs: serde takes it for the fields in their order, so nothing is claimed.
    Array,
}

/// Reads a `metav1.Status`; none where the text is no JSON, or one that JSON libraries differ on.
pub fn status(json: &[u8], output_seen: bool) -> Option<Result<ExecEnd, NoEnd>> {
    let value: Value = serde_json::from_slice(json).ok()?;
    match end(&value, output_seen) {
        Ok(end) => Some(end),
        Err(Unread::WrongType) => Some(Err(NoEnd::Malformed)),
        Err(Unread::Array) => None,
    }
}

fn end(value: &Value, output_seen: bool) -> Result<Result<ExecEnd, NoEnd>, Unread> {
    object(value)?;
    let status = text(value, "status")?;
    let message = text(value, "message")?.unwrap_or_default();
    let reason = text(value, "reason")?.unwrap_or_default();
    let code = exit_code(value)?;
    Ok(match (status, reason) {
        (Some("Success"), _) => Ok(ExecEnd::Exited { code: 0 }),
        (Some("Failure"), "NonZeroExitCode") => match code {
            None => Err(NoEnd::NoExitCode),
            Some(code) => match code.parse::<i32>() {
                Ok(code) if code >= 1 => Ok(ExecEnd::Exited { code }),
                _ => Err(NoEnd::BadExitCode),
            },
        },
        (Some("Failure"), reason) => {
            let upstream = BROKEN.iter().any(|words| message.contains(words));
            let lost = output_seen || (upstream && !message.contains("error dialing backend"));
            Ok(if lost {
                let message = format!("the API server lost the command: {message}");
                ExecEnd::Lost { message }
            } else {
                ExecEnd::NotStarted {
                    reason: reason.to_owned(),
                    message: message.to_owned(),
                }
            })
        }
        _ => Err(NoEnd::UnknownStatus),
    })
}

fn object(value: &Value) -> Result<(), Unread> {
    match value {
        Value::Object(_) => Ok(()),
        Value::Array(_) => Err(Unread::Array),
        _ => Err(Unread::WrongType),
    }
}

/// A text that may be missing or null.
fn text<'a>(value: &'a Value, field: &str) -> Result<Option<&'a str>, Unread> {
    match value.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Unread::WrongType),
    }
}

/// The message of the first cause `ExitCode`.
fn exit_code(status: &Value) -> Result<Option<&str>, Unread> {
    let details = match status.get("details") {
        None | Some(Value::Null) => return Ok(None),
        Some(details) => details,
    };
    object(details)?;
    let causes = match details.get("causes") {
        None | Some(Value::Null) => return Ok(None),
        Some(causes) => causes.as_array().ok_or(Unread::WrongType)?,
    };
    let mut found = None;
    for cause in causes {
        object(cause)?;
        let (reason, message) = (text(cause, "reason")?, text(cause, "message")?);
        if reason == Some("ExitCode") && found.is_none() {
            found = Some(message);
        }
    }
    Ok(found.flatten())
}
