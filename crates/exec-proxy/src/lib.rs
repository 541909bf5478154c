//! The service: OpenHands' remote runtime API over sessions, and the way from a URL to a sandbox.
//!
//! ```text
//!   service.rs   one request's way: to the API, or to a session's sandbox
//!   listen/      listeners: HTTP/1.1 and HTTP/2, limits, the end
//!   api/         OpenHands' remote runtime API
//!   registry/    whether a registry has an image
//!   routing/     the way from a URL to a sandbox
//!   style.rs     how the URLs of sessions are made           (pure)
//!   keys/        API keys, and whose the sessions are
//!   sessions/    what the API and the routes ask of sessions, of a cluster or of this machine
//!   telemetry/   what is told of the service: metrics, names of requests, who did what
//!   body.rs      the body of an answer
//!   words.rs     what fields and operations are called in answers   (pure)
//! ```

pub mod api;
mod body;
pub mod keys;
pub mod listen;
pub mod registry;
pub mod routing;
pub mod service;
pub mod sessions;
pub mod style;
pub mod telemetry;
mod words;

pub use body::{Body, BodyError};
