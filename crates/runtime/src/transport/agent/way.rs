//! Whether a session's agent is there, and the way to it.

use std::sync::Arc;

use secrecy::SecretString;

use crate::agent::AgentConnection;
use crate::delivery::Means;
use crate::dial::SandboxAddress;
use crate::error::{AgentFailure, Error, chain};
use crate::session::Session;

/// The connection to a session's agent, made or found. `None` where there is none, or no way to it: then commands go by exec,
/// and a word is said once.
///
/// A client that brings no agents does not look for those of others, unless it has the session's record already: it would pay
/// for the look with a request before each command, and exec does for it.
pub(in crate::transport) async fn agent(session: &Session) -> Option<AgentConnection> {
    if !session.knows_its_record() && !Means::bring_agents(session.podbay().config()) {
        return None;
    }
    match find(session).await {
        Ok(found) => found,
        Err(error) => {
            // Whoever goes by exec next is told what is wrong with the session itself.
            tracing::debug!(
                error = error.chain(),
                "the session's agent could not be looked for"
            );
            None
        }
    }
}

/// The same, looked for in any case.
pub(in crate::transport) async fn find(session: &Session) -> Result<Option<AgentConnection>, Error> {
    let Some(port) = session.specification().await?.agent().port() else {
        return Ok(None);
    };
    let Some(address) = session.address().await? else {
        return Ok(None);
    };
    let ctx = &session.podbay().0;
    if let Some(known) = ctx.agents.get(address.uid()) {
        return Ok(Some(known));
    }
    let key = session.session_key().await?;
    let uid = address.uid().to_owned();
    match connect(session, &address, port, &key).await {
        Ok(connection) => Ok(Some(ctx.agents.keep(&uid, connection))),
        Err(failure) => {
            tracing::warn!(
                session = session.id(),
                "commands and files go through the API server's exec: {}",
                chain(&failure)
            );
            Ok(None)
        }
    }
}

/// Tries each way in its order, and says what was wrong with the last.
async fn connect(
    session: &Session,
    address: &SandboxAddress,
    port: u16,
    key: &SecretString,
) -> Result<AgentConnection, AgentFailure> {
    let mut failure = None;
    for dialer in session.podbay().dialers() {
        let connection = AgentConnection::new(Arc::clone(&dialer), address.clone(), port, key.clone());
        match connection.ensure().await {
            Ok(()) => return Ok(connection),
            Err(error) => {
                tracing::debug!(error = chain(&error), "one way to the agent is not there");
                failure = Some(error);
            }
        }
    }
    Err(failure.unwrap_or(AgentFailure::NoWay))
}
