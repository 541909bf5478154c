//! A process's terminal over a WebSocket (RFC 6455), for clients that have no other: `GET` of
//! [`ProcessPart::Terminal`](super::path::ProcessPart::Terminal), over HTTP/1.1.
//!
//! Binary messages are bytes: from the server what the process wrote, to it what is typed. Text messages are JSON: from the server
//! [`TerminalEvent`], to it [`TerminalControl`].

use serde::{Deserialize, Serialize};

use crate::process::EndRecord;
use crate::terminal::TerminalSize;

/// The subprotocol. A client that asks for any has to ask for this one.
pub const SUBPROTOCOL: &str = "podbay.terminal.v1";

/// What a subprotocol begins with that carries the session's key, in base64url without padding (RFC 4648, 5): a page in a browser can
/// set no header.
pub const KEY_SUBPROTOCOL: &str = "podbay.key.";

/// What a client tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum TerminalControl {
    /// The terminal has another size.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
}

impl TerminalControl {
    /// A size.
    pub const fn resize(TerminalSize { width, height }: TerminalSize) -> Self {
        Self::Resize { width, height }
    }
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TerminalEvent {
    /// The next byte has this offset, in bytes from the first that the process wrote. The first message; another one where what came
    /// between was dropped before this client took it. A client that lost its connection asks for the offset it has come to.
    Output {
        /// The offset.
        offset: u64,
    },
    /// The process has ended, and all that it wrote was sent. The last message.
    End {
        /// How it ended.
        end: Box<EndRecord>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ProcessEnd;

    #[test]
    fn messages_keep_their_shape_on_the_wire() {
        let text = r#"{"type":"resize","width":100,"height":30}"#;
        let size = TerminalSize {
            width: 100,
            height: 30,
        };
        let control: TerminalControl = serde_json::from_str(text).unwrap();
        assert_eq!(control, TerminalControl::resize(size));
        assert_eq!(serde_json::to_string(&control).unwrap(), text);
        for wrong in [
            "{}",
            r#"{"type":"fly"}"#,
            r#"{"type":"resize","width":-1,"height":30}"#,
            r#"{"type":"resize","width":1,"height":30,"depth":1}"#,
        ] {
            assert!(serde_json::from_str::<TerminalControl>(wrong).is_err(), "{wrong}");
        }
        let output = TerminalEvent::Output { offset: 7 };
        assert_eq!(
            serde_json::to_string(&output).unwrap(),
            r#"{"type":"output","offset":7}"#
        );
        let end = TerminalEvent::End {
            end: Box::new(EndRecord::new(ProcessEnd::Exited { code: 3 })),
        };
        let text = serde_json::to_string(&end).unwrap();
        assert!(
            text.starts_with(r#"{"type":"end","end":{"end":{"kind":"exited","code":3}"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<TerminalEvent>(&text).unwrap(), end);
    }
}
