//! The service: OpenHands' remote runtime API over sessions, and the way from a URL to a sandbox.
//!
//! ```text
//!   listen/    listeners: HTTP/1.1 and HTTP/2, limits, the end
//!   routing/   the way from a URL to a sandbox
//!   sessions/  what the two above ask of sessions, of a cluster or of this machine
//!   body.rs    the body of an answer
//! ```

mod body;
pub mod listen;
pub mod routing;
pub mod sessions;

pub use body::{Body, BodyError};
