//! Sessions: agent sandboxes that are opened, run commands, exchange files and are closed, each one a pod.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use podbay_runtime::{Config, Podbay};
//!
//! let podbay = Podbay::from_config(Config::load()?).await?;
//! let session = podbay.session("demo").image("debian:12").open().await?;
//! let outcome = session.exec(["python3", "-c", "print(1)"]).await?;
//! println!("{}", outcome.stdout_content.text());
//! session.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! The same with no cluster, in local processes without isolation:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use podbay_runtime::{Backend, Config, Podbay};
//!
//! let podbay = Podbay::builder(Config::default()).backend(Backend::Embedded).connect().await?;
//! let session = podbay.session("demo").open().await?;
//! let outcome = session.exec(["sh", "-c", "echo out; echo err >&2; exit 3"]).await?;
//! assert_eq!(outcome.end.exit_code(), 3);
//! assert_eq!(outcome.stdout_content.text(), "out\n");
//! assert_eq!(outcome.stderr_content.text(), "err\n");
//! session.close().await?;
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Layers
//!
//! ```text
//!   podbay.rs, backend.rs   the cluster chosen, and what can be asked of it
//!   connect.rs              its client, with the feature `live`
//!   check.rs                whether a configuration can be used
//!   session/                a session: its builder, its handle, its description
//!   lifecycle/              objects made and removed
//!   readiness/              from a pod's state to ready, wait or hopeless (pure but for wait.rs)
//!   state/                  from a session's record and pods to its state (pure)
//!   command/                a command run in a session: streams, time-outs, outcome
//!   copy/                   files in and out
//!   watch.rs                one watch over pods, shared; pod_outline.rs: what it keeps of one
//! ```

pub mod backend;
mod check;
pub mod command;
#[cfg_attr(not(feature = "live"), path = "no_connect.rs")]
mod connect;
pub mod copy;
pub mod error;
pub mod lifecycle;
mod pod_outline;
pub mod podbay;
mod readiness;
pub mod session;
mod state;
mod watch;

pub use backend::{Backend, BackendKind};
pub use check::{ConfigurationProblem, ConfigurationProblems, check_configuration};
pub use command::{Command, Running};
pub use error::Error;
pub use lifecycle::{Closed, RetainedClaim};
pub use podbay::{Podbay, PodbayBuilder, WatchScope};
pub use session::{
    Description, OpenReport, Session, SessionBuilder, Status, StatusStream, Summary, unheeded_on_this_machine,
};

pub use podbay_config::Config;
pub use podbay_k8s_client::{LogRequest, LogStream, TerminalSize};
pub use podbay_manifests::{Profile, SessionRequest};
pub use podbay_protocol as protocol;
pub use podbay_protocol::{Degraded, ErrorCode, Outcome, RuntimeStatus, SessionState, StartPhase, Verdict};
