//! Listeners: connections taken in, what clients may take of us, and the end.
//!
//! ```text
//!   ports.rs       port style: listeners of this machine for each session
//!   kept_ports.rs  which session has which ports, over a restart
//!   accept.rs      connections taken in, and their end
//!   connection.rs  one connection, by HTTP/1.1 or HTTP/2
//!   preface.rs     which of the two it is
//!   tls.rs         TLS, with a certificate that may be replaced
//!   limits.rs      how much clients may take
//!   settings.rs    what the settings say of listeners
//!   request.rs     which host a request is for, and what is refused (pure)
//! ```

mod accept;
mod connection;
mod kept_ports;
mod limits;
mod ports;
mod preface;
pub mod request;
mod settings;
mod tls;

use std::future::Future;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

use crate::body::Body;
use crate::routing::headers::Asker;
use crate::routing::target::Target;
use crate::telemetry::There;

pub use accept::{Listening, serve};
pub use limits::Limits;
pub use ports::PortListeners;
pub use tls::{Tls, TlsError, TlsFiles};

/// How a request came.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Who asks.
    pub asker: Asker,
    /// In port style: what the listener stands for that it came to.
    pub target: Option<Target>,
    /// The place of its connection.
    pub place: Arc<Place>,
}

/// The place of a client's connection among [`Limits::connections`]. It is free again once nobody holds it: a connection that is no
/// longer HTTP keeps it until its end.
#[derive(Debug)]
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
    _counted: There,
}

/// Who answers requests.
pub trait Answer: Send + Sync + 'static {
    /// Answers one.
    fn answer(
        &self,
        request: Request<Incoming>,
        arrival: Arrival,
    ) -> impl Future<Output = Response<Body>> + Send;
}
