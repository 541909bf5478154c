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
//! The same with no cluster, in processes of this machine, without isolation. Here the session ends with this process; without
//! `in_this_process` it is kept by an agent (`podbay-agent`), and other processes of the same user find and use it.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use podbay_runtime::{Backend, Config, Podbay};
//!
//! let podbay = Podbay::builder(Config::default())
//!     .backend(Backend::Local)
//!     .in_this_process()
//!     .connect()
//!     .await?;
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
//! A module imports from those below it alone (`tests/layers.rs` holds that):
//!
//! ```text
//!   podbay.rs      choosing a cluster, and what can be asked of it
//!   check.rs       whether a configuration can be used
//!   rights.rs      what a service has to be allowed to do
//!   copy/          files in and out
//!   files/         files of a session, by commands in it
//!   command/       a command run in a session: streams, time-outs, outcome
//!   transport/     what reaches into a session, with stated capabilities: processes and files
//!   session/       a session: its builder, its handle, its description
//!   local/         sessions of this machine, without objects
//!   lifecycle/     objects created and removed
//!   delivery/      the agent brought into a session's pod
//!   wait/          waiting for what the cluster does
//!   context.rs     the client, the configuration, what sessions share; calls about one session
//!   machine.rs     what the sessions of this machine share
//!   events.rs      the events of a pod, listed once for all who wait for it
//!   index/         all sessions of a namespace, from watches over records and pods
//!   state/         from a session's record and pods to its state (pure)
//!   readiness/     from a pod's state to ready, wait or hopeless (pure)
//!   place.rs       a session's place under the limit on concurrent sessions (pure)
//!   agent/         requests to the agent in a pod
//!   dial/          connections to what listens in a sandbox
//!   pod.rs         what is kept of a pod, and which of several counts (pure)
//!   connect.rs     the client of a cluster, with the feature `live`
//!   backend.rs     which kind of cluster sessions run on
//!   error/         what can go wrong
//! ```

mod agent;
pub mod backend;
mod check;
pub mod command;
#[cfg_attr(not(feature = "live"), path = "no_connect.rs")]
mod connect;
mod context;
pub mod copy;
mod delivery;
pub mod dial;
pub mod error;
mod events;
mod files;
pub mod index;
pub mod lifecycle;
mod local;
mod machine;
mod place;
mod pod;
pub mod podbay;
mod readiness;
mod rights;
pub mod session;
mod state;
pub mod transport;
mod wait;

pub use backend::{Backend, BackendKind};
pub use check::check_configuration;
pub use command::{Attach, Command, Running};
pub use error::{
    ConfigurationProblem, ConfigurationProblems, Error, FailedWay, NoWayToPort, NotPossible, Operation,
    ProcessError,
};
pub use index::{Changes, SessionIndex, SessionReceiver, SessionView};
pub use lifecycle::{Closed, OpenMode, RetainedClaim, Stored};
pub use podbay::{ClosedUnowned, Podbay, PodbayBuilder, WatchScope};
pub use session::{
    AgentLine, Description, EventLine, Forwarded, Look, OpenReport, Session, SessionBuilder, Starting,
    Summary, unheeded_on_this_machine,
};
pub use wait::log_tail;

pub use podbay_config::Config;
pub use podbay_k8s_client::{LogRequest, LogStream, TerminalSize, WatchPolicy};
pub use podbay_manifests::{
    Difference, Profile, RunAs, RuntimeId, SessionId, SessionNames, SessionOwner, SessionRequest,
};
pub use podbay_manifests::{Launch, ServerCommand, ServerKind, SessionKind};
pub use podbay_protocol as protocol;
pub use podbay_protocol::{Degraded, ErrorCode, Outcome, RuntimeStatus, SessionState, StartPhase, Verdict};

/// The README's example is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
