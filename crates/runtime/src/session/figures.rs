//! What a session's sandbox uses, and whether it is to be kept.

use std::time::Duration;

use http::Method;
use podbay_protocol::agent::figures::HoldRequest;
use podbay_protocol::agent::{AgentErrorCode, Figures, path};

use super::handle::{Place, Session};
use crate::agent::AgentConnection;
use crate::agent::request::{self, empty, to_json};
use crate::error::{AgentFailure, Error, NotPossible, Operation, ProcessError};

impl Session {
    /// What its sandbox uses: processor time, memory, disk, network, and since when nobody needs it. To ask does not count as
    /// a use of it. Only its agent knows: where there is none, or an earlier one, that is refused as
    /// [`NotPossible`].
    pub async fn figures(&self) -> Result<Figures, Error> {
        let agent = self.agent_for(Operation::Figures).await?;
        let asked = async {
            let request = request::request(Method::GET, path::FIGURES, empty())?;
            request::json(&agent, request).await
        };
        match asked.await {
            Ok(figures) => Ok(figures),
            Err(failure) => Err(self.failed(Operation::Figures, failure).await),
        }
    }

    /// Keeps its sandbox from being taken for idle for so long from now on, a day at most; [`Duration::ZERO`] ends that. It
    /// takes the place of an earlier hold.
    pub async fn hold(&self, duration: Duration) -> Result<(), Error> {
        let agent = self.agent_for(Operation::Hold).await?;
        let seconds = duration.as_secs_f64();
        let asked = async {
            let request = request::request(Method::PUT, path::HOLD, to_json(&HoldRequest { seconds })?)?;
            request::done(&agent, request).await
        };
        match asked.await {
            Ok(()) => Ok(()),
            Err(failure) => Err(self.failed(Operation::Hold, failure).await),
        }
    }

    pub(super) async fn agent_for(&self, operation: Operation) -> Result<AgentConnection, Error> {
        match Box::pin(self.required_agent()).await? {
            Some(agent) => Ok(agent),
            None => Err(not_possible(operation)),
        }
    }

    pub(super) async fn failed(&self, operation: Operation, failure: AgentFailure) -> Error {
        match failure {
            // An agent of a version before there were figures.
            AgentFailure::Refused { error, .. } if error.code == AgentErrorCode::UnknownPath => {
                not_possible(operation)
            }
            failure => {
                let answered = failure.refusal().is_some();
                let error = Error::Agent {
                    session: self.id().to_owned(),
                    source: failure.into(),
                };
                match self.home() {
                    Place::Cluster(session) if !answered => Box::pin(session.explain_agent(error)).await,
                    _ => error,
                }
            }
        }
    }
}

fn not_possible(operation: Operation) -> Error {
    let transport = "exec";
    ProcessError::from(NotPossible { operation, transport }).into()
}
