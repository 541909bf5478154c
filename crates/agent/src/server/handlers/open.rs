//! What everybody may ask.

use http::StatusCode;
use podbay_protocol::agent::proof::{ProofAnswer, ProofRequest};
use podbay_protocol::agent::{AgentError, AgentErrorCode, ServerInfo};
use serde_json::json;

use crate::server::Services;
use crate::server::answer::{self, Answer};
use crate::server::dispatch::Asked;

/// Bytes of a request for a proof, at most.
const PROOF_LIMIT: usize = 1024;

pub(super) fn alive(asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    Ok(answer::json(StatusCode::OK, &json!({"status": "ok"})))
}

pub(super) fn server_info(services: &Services, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let (uptime, requests) = services.activity.times();
    let idle = services.meter.idle(requests, services.needed());
    let info = ServerInfo::new(env!("CARGO_PKG_VERSION"), uptime.as_secs_f64(), idle.seconds);
    let info = info.with_resources(services.meter.resources());
    Ok(answer::json(StatusCode::OK, &info))
}

pub(super) async fn proof(services: &Services, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let request: ProofRequest = asked.body.json_within(PROOF_LIMIT).await?;
    let Some(key) = &services.key else {
        return Err(AgentError::new(
            AgentErrorCode::InvalidRequest,
            "this server has no key to prove: it answers this machine alone",
        ));
    };
    let proof = key.prove(&request.nonce, &services.pod_uid);
    Ok(answer::json(StatusCode::OK, &ProofAnswer { proof }))
}
