//! What is passed on of the headers of requests and answers.
//!
//! ```text
//!   connection.rs  what `Connection` names, and a change of protocol
//!   cookies.rs     ours, which no sandbox sees or sets, and where those of a sandbox go
//!   request.rs     to the sandbox
//!   answer.rs      from the sandbox
//! ```
//!
//! Pure: a function of the headers, of what was asked for, and of who asked.

mod answer;
mod connection;
mod cookies;
mod request;

pub use answer::{AnswerFrom, from_sandbox};
pub(super) use connection::is_websocket;
pub use connection::{RefusedHeader, Upgrade};
pub use cookies::{OWN_COOKIE, OWN_COOKIE_WITHOUT_TLS, own_cookies};
pub use request::{API_KEY, Asker, SESSION_KEY, to_sandbox};

use http::header::HeaderName;

/// Headers that are about one connection (RFC 9110, 7.6.1), whether or not `Connection` names them. `TE` is among them, and
/// `Trailer`: no trailers are passed on.
const HOP_BY_HOP: [HeaderName; 10] = [
    // No header has this name (RFC 9110, 18.4): it would be one that `Connection: close` names.
    HeaderName::from_static("close"),
    http::header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    http::header::PROXY_AUTHENTICATE,
    http::header::PROXY_AUTHORIZATION,
    http::header::TE,
    http::header::TRAILER,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
];
