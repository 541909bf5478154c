//! Whether a session's agent is there, and the way to it.

use podbay_k8s_client::{Error as ClientError, ErrorKind};
use podbay_protocol::PassedOver;

use crate::agent::AgentConnection;
use crate::delivery::Means;
use crate::error::{Error, chain};
use crate::session::ClusterSession;

/// Whether a session's agent carries what is asked for.
pub(in crate::transport) enum Way {
    /// It does.
    Agent(AgentConnection),
    /// There is none, or no way to it: the exec subresource does. With what was tried in vain.
    Exec(Vec<PassedOver>),
}

/// The connection to a session's agent, made or found, or word that commands go by exec. Fails where the user chose a way that
/// does not lead to an agent that is meant to be there.
///
/// A client that brings no agents and names no way does not look for those of others, unless it has the session's record already:
/// it would pay for the look with a request before each command, and exec does for it.
pub(in crate::transport) async fn way(session: &ClusterSession) -> Result<Way, Error> {
    let ctx = session.ctx();
    let is_named = ctx.ways.is_named();
    if !session.knows_its_record() && !is_named && !Means::bring_agents(&ctx.config) {
        return Ok(Way::Exec(Vec::new()));
    }
    match find(session).await {
        Err(paused @ Error::Paused { .. }) => Err(paused),
        Err(error) if !is_named => {
            // Whoever goes by exec next is told what is wrong with the session itself.
            tracing::debug!(
                error = error.chain(),
                "the session's agent could not be looked for"
            );
            Ok(Way::Exec(Vec::new()))
        }
        found => found,
    }
}

/// The connection to a session's agent, for what nothing else can do: why there is none is told. `None` where the session has no
/// agent.
pub(in crate::transport) async fn required(
    session: &ClusterSession,
) -> Result<Option<AgentConnection>, Error> {
    if let Some(connection) = session.fresh_agent() {
        return Ok(Some(connection));
    }
    let Some((port, address)) = Box::pin(session.agent_address()).await? else {
        return Ok(None);
    };
    let Some(address) = address else {
        let missing = ClientError::new("find the session's pod", ErrorKind::NotFound);
        return Err(Box::pin(session.explain(missing)).await);
    };
    match session.agent_at(address, port).await {
        Err(failure @ Error::Agent { .. }) => Err(Box::pin(session.explain_agent(failure)).await),
        connection => connection.map(Some),
    }
}

/// The same as [`way`], looked for in any case.
async fn find(session: &ClusterSession) -> Result<Way, Error> {
    if let Some(connection) = session.fresh_agent() {
        return Ok(Way::Agent(connection));
    }
    if session.knows_its_record() && session.specification().await?.agent().port().is_none() {
        return Ok(Way::Exec(Vec::new()));
    }
    let Some((port, Some(address))) = Box::pin(session.agent_address()).await? else {
        return Ok(Way::Exec(Vec::new()));
    };
    match session.agent_at(address, port).await {
        Ok(connection) => Ok(Way::Agent(connection)),
        Err(Error::Agent { source, .. }) if !session.ctx().ways.is_named() => {
            tracing::warn!(
                session = session.id(),
                "commands and files go through the API server's exec: {}",
                chain(&*source)
            );
            Ok(Way::Exec(source.passed_over()))
        }
        Err(error) => Err(error),
    }
}
