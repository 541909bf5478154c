//! The server: HTTP/1.1 and cleartext HTTP/2 on one port.
//!
//! ```text
//!   listen      where; without a key only for this machine; listener what is listened on
//!   accept      connections taken in, counted (admission, pure) and ended
//!   preface     which protocol a connection speaks
//!   http1       on hyper; http2 on h2, with windows that grow and shrink (window, pure)
//!   connection  what requests of one connection have in common; watched how it ends
//!   dispatch    route (pure), key, handler; a panic answers 500
//!   websocket   how a connection becomes one (pure)
//!   query, body what a request brings; answer what it gets
//!   activity    whether there is something to do: one of the signals of `crate::figures`
//!   handlers/   one file for each group of resources
//!   fuzzing     requests and answers, for those who fuzz them
//! ```
//!
//! What a client may take is bounded by [`Limits`]: connections, heads, and the time that either takes to arrive.

mod accept;
mod activity;
mod admission;
mod answer;
mod body;
mod connection;
mod dispatch;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handlers;
mod http1;
mod http2;
mod limits;
mod listen;
mod listener;
mod preface;
mod query;
mod route;
mod watched;
mod websocket;
mod window;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::action::{ActionSettings, Actions, Deliveries};
use crate::figures::Meter;
use crate::files::{Disk, Transfers};
use crate::key::SessionKey;
use crate::process::Processes;
use activity::Activity;

pub use limits::Limits;
pub use listen::{NeedsKey, address, listen, listen_on_socket};
pub use listener::Listener;

/// What the server serves.
pub struct Services {
    key: Option<SessionKey>,
    pod_uid: String,
    processes: Processes,
    actions: Arc<Actions>,
    deliveries: Deliveries,
    disk: Disk,
    transfers: Transfers,
    /// What relative paths are relative to.
    directory: PathBuf,
    activity: Activity,
    meter: Meter,
    idle: Duration,
}

impl Services {
    /// Processes and files for those who have `key`; without one, for everybody, so that it is for the caller to see to
    /// it that nobody else can connect ([`address`]). `pod_uid` is what the proof of the key says of the pod; it is
    /// empty where there is none.
    pub fn new(key: Option<SessionKey>, pod_uid: impl Into<String>, processes: Processes) -> Self {
        let meter = Meter::new(processes.directory());
        let disk = Disk::default();
        let actions = Actions::new(processes.clone(), disk.clone(), ActionSettings::default());
        Self {
            key,
            pod_uid: pod_uid.into(),
            directory: processes.directory(),
            processes,
            actions: Arc::new(actions),
            deliveries: Deliveries::default(),
            disk,
            transfers: Transfers::default(),
            activity: Activity::new(),
            meter,
            idle: Limits::default().idle,
        }
    }

    /// The same with other settings for the actions of OpenHands' clients.
    #[must_use]
    pub fn with_actions(mut self, mut settings: ActionSettings) -> Self {
        let made_of_key = || self.key.as_ref().map(SessionKey::vscode_token);
        settings.vscode.token = settings.vscode.token.or_else(made_of_key);
        self.actions = Arc::new(Actions::new(self.processes.clone(), self.disk.clone(), settings));
        self
    }

    /// How many processes run that somebody needs: a shell that waits for the next command is no sign of that.
    fn needed(&self) -> usize {
        self.processes.alive().saturating_sub(self.actions.resting())
    }

    /// How long nobody has asked for anything, nor been answered.
    pub fn idle(&self) -> Duration {
        self.activity.times().1
    }
}

/// Serves all who connect until `ends` is ready; then answers what was asked before, for [`Limits::grace`] at most.
pub async fn serve(
    listener: impl Into<Listener>,
    mut services: Services,
    limits: Limits,
    ends: impl Future<Output = ()> + Send,
) {
    services.idle = limits.idle;
    let services = Arc::new(services);
    let looked_at = Arc::clone(&services);
    let looking = tokio::spawn(services.meter.clone().run(move || looked_at.needed()));
    accept::serve(listener.into(), services, limits, ends).await;
    looking.abort();
}
