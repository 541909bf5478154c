//! The service: OpenHands' remote runtime API over sessions, and the way from a URL to a sandbox.
//!
//! ```text
//!   sessions/  what the two above ask of sessions, of a cluster or of this machine
//! ```

pub mod sessions;
