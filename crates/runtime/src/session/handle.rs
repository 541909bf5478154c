//! A session that is there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use podbay_config::CleanupPolicy;
use podbay_k8s_client::{LogRequest, LogStream};
use podbay_manifests::{Record, SessionId, SessionSpec};
use podbay_protocol::Verdict;
use secrecy::SecretString;

use super::builder::OpenReport;
use super::cluster::ClusterSession;
use super::describe::{self, Description};
use crate::context::{Backing, Podbay};
use crate::dial::SandboxAddress;
use crate::error::Error;
use crate::lifecycle::Closed;
use crate::local::LocalSession;

/// A session. Dropping the handle leaves the session open: [`Session::close`] ends it.
#[derive(Clone)]
pub struct Session {
    podbay: Podbay,
    place: Place,
    report: OpenReport,
}

/// Where a session is.
#[derive(Clone)]
pub(crate) enum Place {
    /// On a cluster.
    Cluster(ClusterSession),
    /// On this machine.
    Machine(LocalSession),
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("podbay", &self.podbay)
            .field("id", &self.id())
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn unverified(podbay: Podbay, id: SessionId) -> Self {
        let owner = podbay.1.clone();
        let place = match &podbay.0 {
            Backing::Cluster(ctx) => Place::Cluster(ClusterSession::unverified(Arc::clone(ctx), owner, id)),
            Backing::Machine(machine) => Place::Machine(LocalSession::new(Arc::clone(machine), owner, id)),
        };
        Self {
            podbay,
            place,
            report: OpenReport {
                attached: true,
                ..OpenReport::default()
            },
        }
    }

    pub(crate) fn opened(podbay: Podbay, record: Box<Record>, pod: String, report: OpenReport) -> Self {
        let place = match &podbay.0 {
            Backing::Cluster(ctx) => Place::Cluster(ClusterSession::opened(Arc::clone(ctx), record, pod)),
            Backing::Machine(machine) => Place::Machine(LocalSession::of(machine, &record)),
        };
        Self {
            podbay,
            place,
            report,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        match &self.place {
            Place::Cluster(session) => session.id(),
            Place::Machine(session) => session.id(),
        }
    }

    /// Where it runs.
    pub const fn podbay(&self) -> &Podbay {
        &self.podbay
    }

    /// Where it is, with what can be done there.
    pub(crate) const fn home(&self) -> &Place {
        &self.place
    }

    /// What opening it came to.
    pub const fn report(&self) -> &OpenReport {
        &self.report
    }

    /// The name of its pod, as far as this process knows it: that of a Job's pod is known once the session was opened or
    /// used here. A session of this machine has none, and this is the name that it would have.
    pub fn pod_name(&self) -> String {
        match &self.place {
            Place::Cluster(session) => session.pod_name(),
            Place::Machine(session) => session.pod_name(),
        }
    }

    /// The key that the session's server takes (`X-Session-API-Key`).
    pub async fn session_key(&self) -> Result<SecretString, Error> {
        match &self.place {
            Place::Cluster(session) => session.session_key().await,
            Place::Machine(session) => session.key().await,
        }
    }

    /// Where a browser finds the session's VS Code, if it was asked for. `token` is VS Code's own connection token; without,
    /// the URL holds no secret and VS Code asks for it.
    pub async fn vscode_url(&self, token: Option<&str>) -> Result<Option<String>, Error> {
        Ok(self.specification().await?.vscode_url(token))
    }

    /// Where the ports that were asked for are reached.
    pub async fn web_hosts(&self) -> Result<BTreeMap<String, u16>, Error> {
        Ok(self.specification().await?.web_hosts())
    }

    /// What it was made from.
    pub(crate) async fn specification(&self) -> Result<SessionSpec, Error> {
        match &self.place {
            Place::Cluster(session) => session.specification().await,
            Place::Machine(session) => Ok(session.record().await?.spec),
        }
    }

    /// The log of its container: what its main program wrote, not what commands did. That of a session of this machine is what
    /// its agent complains of.
    pub async fn logs(&self, request: LogRequest) -> Result<LogStream, Error> {
        match &self.place {
            Place::Cluster(session) => session.logs(request).await,
            Place::Machine(session) => session.logs(request).await,
        }
    }

    /// All there is to know of it.
    pub async fn describe(&self) -> Result<Description, Error> {
        match &self.place {
            Place::Cluster(session) => Box::pin(session.describe()).await,
            Place::Machine(session) => match session.look().await? {
                Some(seen) => Ok(describe::describe_here(&seen)),
                None => Err(session.not_found()),
            },
        }
    }

    /// Ends the session; see [`Podbay::close`].
    pub async fn close(self) -> Result<Closed, Error> {
        match &self.place {
            Place::Cluster(session) => session.close().await,
            Place::Machine(session) => session.close().await,
        }
    }

    /// Ends the session, or leaves it, as its clean-up policy says of one whose work succeeded or not. None where it was
    /// left.
    pub async fn finish(self, succeeded: bool) -> Result<Option<Closed>, Error> {
        let keep = match self.specification().await?.cleanup_policy() {
            CleanupPolicy::AlwaysKeep => true,
            CleanupPolicy::KeepOnFailure => !succeeded,
            CleanupPolicy::AlwaysClean => false,
        };
        if keep {
            Ok(None)
        } else {
            self.close().await.map(Some)
        }
    }

    /// Where its sandbox is, for the [dialer](Podbay::dialer). `None` if it has no pod.
    pub async fn address(&self) -> Result<Option<SandboxAddress>, Error> {
        match &self.place {
            Place::Cluster(session) => Box::pin(session.address()).await,
            Place::Machine(session) => {
                let record = session.record().await?;
                Ok(Some(session.address_of(&record)))
            }
        }
    }

    /// Why it takes no processes any longer, if it doesn't.
    pub(crate) async fn verdict_of_end(&self) -> Option<Verdict> {
        match &self.place {
            Place::Cluster(session) => session.verdict_of_pod().await,
            Place::Machine(session) => session.verdict_of_agent().await,
        }
    }
}
