//! Actions as OpenHands' clients have them.

use http::Method;
use podbay_protocol::agent::path;
use serde_json::{Value, json};

use super::handle::Session;
use crate::agent::request::{self, to_json};
use crate::error::{Error, Operation};

impl Session {
    /// Has the sandbox's agent carry an action of OpenHands' out, version 0 of its API, and returns the observation: both as
    /// that has them in JSON (`{"action": "run", "args": {"command": "ls"}, "timeout": 60}`). Waits as long as the action
    /// takes. An action that an agent can do something about gives an observation of the kind `error`; one that can't be
    /// carried out at all is an error here. So is a connection that breaks: the action goes on, and who asks the same again
    /// within a minute of its end gets its observation. Where there is no agent, or an earlier one, that is refused as
    /// [`NotPossible`](crate::error::NotPossible).
    pub async fn run_action(&self, action: &Value) -> Result<Value, Error> {
        let agent = self.agent_for(Operation::Action).await?;
        let asked = async {
            let body = to_json(&json!({ "action": action }))?;
            let request = request::request(Method::POST, path::EXECUTE_ACTION, body)?;
            let answer = request::answer(&agent, request).await?;
            request::read_json(answer.into_body()).await
        };
        match asked.await {
            Ok(observation) => Ok(observation),
            Err(failure) => Err(self.failed(Operation::Action, failure).await),
        }
    }
}
