//! How the command ended: from the status frame, and from how the connection ended.

use std::time::Duration;

use serde::Deserialize;

use super::codec::ProtocolError;
use crate::exec::ExecEnd;

/// A status frame that tells no end.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// No JSON of `metav1.Status`.
    #[error("it is no metav1.Status")]
    Malformed(#[source] serde_json::Error),
    /// `status` is neither `Success` nor `Failure`.
    #[error("its status is {0:?}, where Success and Failure are known")]
    UnknownStatus(String),
    /// Reason `NonZeroExitCode` without a cause `ExitCode`.
    #[error("it tells of a non-zero exit code and gives none")]
    NoExitCode,
    /// The exit code is no number from 1 up.
    #[error("its exit code is {0:?}, which is no number from 1 up")]
    BadExitCode(String),
}

impl PartialEq for StatusError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for StatusError {}

/// How the connection ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server closed it: code and reason of the WebSocket close frame, if it had them.
    Closed(Option<String>),
    /// It broke: reset, or ended without a close frame.
    Broken(String),
    /// The status and the close of all output streams arrived.
    Complete,
    /// The status arrived, and then nothing for [`LINGER`](super::LINGER).
    Lingered,
    /// Nothing arrived for so long, though a ping was sent.
    Silent(Duration),
    /// The server broke the protocol.
    Violation(ProtocolError),
    /// Not even WebSocket was spoken.
    NotWebSocket(String),
    /// The caller dropped the process.
    GivenUp,
}

/// The part of `metav1.Status` that tells how a command ended. Read leniently: servers leave out `kind` and
/// `apiVersion` here.
#[derive(Deserialize)]
struct WireStatus {
    status: Option<String>,
    message: Option<String>,
    reason: Option<String>,
    details: Option<WireDetails>,
}

#[derive(Deserialize)]
struct WireDetails {
    causes: Option<Vec<WireCause>>,
}

#[derive(Deserialize)]
struct WireCause {
    /// The JSON name of `StatusCause.Type`.
    reason: Option<String>,
    message: Option<String>,
}

/// What the API server's connection to the node says when it breaks under a running command. As a status these
/// are an `InternalError` like a failed start (`streamtranslator.go` wraps every error so), but they tell
/// nothing of the command. `client-go/tools/remotecommand/{errorstream,v4}.go`, Go's `io`, `net`, `context`.
const BROKEN_UPSTREAM: [&str; 9] = [
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

/// What the API server says when it never reached the node; what follows it may be one of [`BROKEN_UPSTREAM`].
const NEVER_REACHED: &str = "error dialing backend";

/// Understands the payload of a status frame. `output_seen` tells whether the command has written anything.
///
/// A failure without an exit code is [`ExecEnd::NotStarted`] only if nothing speaks against it: a command that has
/// written was started, and a broken connection behind the API server tells nothing. Both are [`ExecEnd::Lost`],
/// so that nobody repeats a command that ran.
pub fn parse_status(json: &[u8], output_seen: bool) -> Result<ExecEnd, StatusError> {
    // An object, and nothing else: serde would take the fields from an array as well.
    let fields: serde_json::Map<_, _> = serde_json::from_slice(json).map_err(StatusError::Malformed)?;
    let WireStatus {
        status,
        message,
        reason,
        details,
    } = serde_json::from_value(fields.into()).map_err(StatusError::Malformed)?;
    match status.as_deref() {
        Some("Success") => return Ok(ExecEnd::Exited { code: 0 }),
        Some("Failure") => {}
        other => return Err(StatusError::UnknownStatus(other.unwrap_or_default().to_owned())),
    }
    if reason.as_deref() == Some("NonZeroExitCode") {
        return exit_code(details).map(|code| ExecEnd::Exited { code });
    }
    let message = message.unwrap_or_default();
    if output_seen || tells_broken_upstream(&message) {
        return Ok(ExecEnd::Lost {
            message: format!("the API server lost the command: {message}"),
        });
    }
    Ok(ExecEnd::NotStarted {
        reason: reason.unwrap_or_default(),
        message,
    })
}

fn exit_code(details: Option<WireDetails>) -> Result<i32, StatusError> {
    let code = details
        .and_then(|details| details.causes)
        .unwrap_or_default()
        .into_iter()
        .find(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .and_then(|cause| cause.message)
        .ok_or(StatusError::NoExitCode)?;
    match code.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(StatusError::BadExitCode(code)),
    }
}

fn tells_broken_upstream(message: &str) -> bool {
    !message.contains(NEVER_REACHED) && BROKEN_UPSTREAM.iter().any(|words| message.contains(words))
}

/// The result of the command: what the status said only if one arrived and the connection ended in a way that
/// leaves no doubt about the output; else lost.
pub fn conclude(status: Option<ExecEnd>, ending: Ending) -> ExecEnd {
    let message = match (status, ending) {
        // Output may be missing, so the end that was told must not stand.
        (_, Ending::GivenUp) => "given up by the caller".to_owned(),
        (_, Ending::Violation(error)) => format!("the server broke the protocol: {}", chain(&error)),
        (_, Ending::NotWebSocket(error)) => format!("the server broke the WebSocket protocol: {error}"),
        // The server writes the status when the streams have been copied: a connection cut after it is complete.
        (
            Some(end),
            Ending::Closed(_) | Ending::Broken(_) | Ending::Complete | Ending::Lingered | Ending::Silent(_),
        ) => return end,
        (None, Ending::Closed(None)) => "the server closed the connection without a status".to_owned(),
        (None, Ending::Closed(Some(why))) => {
            format!("the server closed the connection without a status: {why}")
        }
        (None, Ending::Broken(error)) => format!("the connection broke: {error}"),
        (None, Ending::Silent(time)) => {
            format!(
                "nothing came from the server for {} s, not even the answer to a ping",
                time.as_secs_f64()
            )
        }
        (None, Ending::Complete | Ending::Lingered) => "no status came".to_owned(),
    };
    ExecEnd::Lost { message }
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_started(reason: &str, message: &str) -> ExecEnd {
        ExecEnd::NotStarted {
            reason: reason.into(),
            message: message.into(),
        }
    }

    #[test]
    fn success_is_exit_code_zero() {
        let json = br#"{"metadata":{},"status":"Success"}"#;
        assert_eq!(parse_status(json, true), Ok(ExecEnd::Exited { code: 0 }));
    }

    #[test]
    fn non_zero_exit_code_is_read_from_its_cause() {
        let json = br#"{"metadata":{},"status":"Failure","message":"m","reason":"NonZeroExitCode",
            "details":{"causes":[{"reason":"Other","message":"9"},{"reason":"ExitCode","message":"137"}]}}"#;
        assert_eq!(parse_status(json, true), Ok(ExecEnd::Exited { code: 137 }));
    }

    #[test]
    fn exit_code_that_is_missing_or_absurd_is_an_error() {
        for (details, expected) in [
            ("null", StatusError::NoExitCode),
            (r#"{"causes":null}"#, StatusError::NoExitCode),
            (r#"{"causes":[{"reason":"ExitCode"}]}"#, StatusError::NoExitCode),
            (
                r#"{"causes":[{"reason":"ExitCode","message":"0"}]}"#,
                StatusError::BadExitCode("0".into()),
            ),
            (
                r#"{"causes":[{"reason":"ExitCode","message":"x"}]}"#,
                StatusError::BadExitCode("x".into()),
            ),
            (
                r#"{"causes":[{"reason":"ExitCode","message":"-1"}]}"#,
                StatusError::BadExitCode("-1".into()),
            ),
        ] {
            let json = format!(r#"{{"status":"Failure","reason":"NonZeroExitCode","details":{details}}}"#);
            assert_eq!(parse_status(json.as_bytes(), false), Err(expected), "{json}");
        }
    }

    #[test]
    fn failed_start_keeps_the_runtimes_words() {
        let json = br#"{"status":"Failure","reason":"InternalError","message":"exec: \"nope\": not found"}"#;
        assert_eq!(
            parse_status(json, false),
            Ok(not_started("InternalError", "exec: \"nope\": not found"))
        );
    }

    #[test]
    fn failure_after_output_is_no_failed_start() {
        let json = br#"{"status":"Failure","reason":"InternalError","message":"anything"}"#;
        assert!(matches!(parse_status(json, true), Ok(ExecEnd::Lost { .. })));
    }

    #[test]
    fn broken_connection_behind_the_server_is_no_failed_start() {
        let lost = br#"{"status":"Failure","reason":"InternalError",
            "message":"Internal error occurred: error reading from error stream: read tcp: i/o timeout"}"#;
        assert!(matches!(parse_status(lost, false), Ok(ExecEnd::Lost { .. })));
        let never = br#"{"status":"Failure","reason":"InternalError","message":"error dialing backend: i/o timeout"}"#;
        assert_eq!(
            parse_status(never, false),
            Ok(not_started("InternalError", "error dialing backend: i/o timeout"))
        );
    }

    #[test]
    fn what_is_no_status_is_an_error() {
        for json in [&b"{"[..], b"[]", br#"["Success",null,null,null]"#, b"\xff", b"7"] {
            assert!(
                matches!(parse_status(json, false), Err(StatusError::Malformed(_))),
                "{json:?}"
            );
        }
        assert_eq!(
            parse_status(b"{}", false),
            Err(StatusError::UnknownStatus(String::new()))
        );
    }

    #[test]
    fn only_a_status_makes_an_exit() {
        let endings = || {
            [
                Ending::Closed(None),
                Ending::Closed(Some("1011: x".into())),
                Ending::Broken("reset".into()),
                Ending::Complete,
                Ending::Lingered,
                Ending::Silent(Duration::from_secs(45)),
                Ending::Violation(ProtocolError::EmptyFrame),
                Ending::NotWebSocket("masked".into()),
                Ending::GivenUp,
            ]
        };
        for ending in endings() {
            let shown = format!("{ending:?}");
            assert!(matches!(conclude(None, ending), ExecEnd::Lost { .. }), "{shown}");
        }
        for ending in endings() {
            let doubtful = matches!(
                ending,
                Ending::Violation(_) | Ending::NotWebSocket(_) | Ending::GivenUp
            );
            let shown = format!("{ending:?}");
            let end = conclude(Some(ExecEnd::Exited { code: 3 }), ending);
            assert_eq!(end == ExecEnd::Exited { code: 3 }, !doubtful, "{shown}");
        }
    }
}
