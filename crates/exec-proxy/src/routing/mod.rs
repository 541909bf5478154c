//! The way from a URL to a sandbox.
//!
//! ```text
//!   router.rs      what a request is for, and who answers it
//!   letting_in.rs  whether one for what checks no key itself is let in
//!   passing_on.rs  a request sent to its sandbox, and the answer's way back
//!   tunnels.rs     connections that are no longer HTTP
//!   relay.rs       bytes between two connections
//!   frames.rs      where the frames of a WebSocket begin and end (pure)
//!   entry/         who may see what checks no key itself
//!   settings.rs    how requests are routed
//!   hold.rs        requests held until their sandbox is there
//!   pool.rs        connections that wait for their next request
//!   connection.rs  one connection to a sandbox
//!   refusal.rs     answers to requests that no sandbox answers
//!   page.rs        pages for browsers
//!   asked.rs       what decides how a request is treated without a sandbox (pure)
//!   headers/       what is passed on of headers (pure)
//!   target.rs      which session a request is for (pure)
//!   url.rs         the URLs of a session (pure)
//!   ports.rs       which ports stand for a session (pure)
//!   endpoint.rs    what of a sandbox a URL leads to (pure)
//!   domain.rs      host names that sessions are found under (pure)
//! ```

mod asked;
mod connection;
pub mod domain;
pub mod endpoint;
mod entry;
mod frames;
pub mod headers;
mod hold;
mod letting_in;
mod page;
mod passing_on;
mod pool;
pub mod ports;
pub(crate) mod refusal;
mod relay;
mod router;
mod settings;
pub mod target;
mod tunnels;
pub mod url;

pub use entry::{Access, SecretError};
pub use hold::HoldLimits;
pub use pool::{PoolLimits, SandboxBody};
pub use router::{Routed, Router};
pub use settings::RoutingSettings;
