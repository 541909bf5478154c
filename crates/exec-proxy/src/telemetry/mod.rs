//! What is told of the service while it runs: figures for Prometheus, a name for each request, and who did what.
//!
//! ```text
//!   metrics.rs     what is counted
//!   labels.rs      what figures are told apart by: sets that don't grow with sessions or clients   (pure)
//!   sessions.rs    figures of the index, taken when they are asked for
//!   process.rs     figures of this process
//!   exposition.rs  `GET /metrics`
//!   request_id.rs  a name for each request
//!   requests.rs    what is told of each request, around whoever answers it
//!   audit.rs       who did what to which session
//! ```

pub mod audit;
mod exposition;
mod labels;
mod metrics;
mod process;
mod request_id;
mod requests;
mod sessions;

pub use exposition::Exposition;
pub(crate) use labels::{Handler, Phase};
pub use metrics::Metrics;
pub(crate) use metrics::There;
pub use requests::RequestTelemetry;
