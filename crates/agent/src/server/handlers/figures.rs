//! What the sandbox uses, and whether it is to be kept.

use std::time::Duration;

use http::StatusCode;
use podbay_protocol::agent::figures::HoldRequest;
use podbay_protocol::agent::{AgentError, AgentErrorCode};

use crate::figures::LONGEST_HOLD;
use crate::server::Services;
use crate::server::answer::{self, Answer};
use crate::server::dispatch::Asked;
use crate::server::query::invalid;

/// Bytes of a request for a hold, at most.
const HOLD_LIMIT: usize = 1024;

pub(super) async fn show(services: &Services, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let requests = services.activity.times().1;
    let (meter, running) = (services.meter.clone(), services.needed());
    let figures = tokio::task::spawn_blocking(move || meter.figures(requests, running))
        .await
        .map_err(|error| {
            AgentError::new(
                AgentErrorCode::Internal,
                format!("the figures could not be read: {error}"),
            )
        })?;
    Ok(answer::json(StatusCode::OK, &figures))
}

pub(super) async fn hold(services: &Services, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let HoldRequest { seconds } = asked.body.json_within(HOLD_LIMIT).await?;
    let wanted = Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|wanted| *wanted <= LONGEST_HOLD)
        .ok_or_else(|| {
            invalid(format!(
                "a hold is of 0 to {} seconds, not of {seconds}",
                LONGEST_HOLD.as_secs()
            ))
        })?;
    services.meter.hold(wanted);
    Ok(answer::nothing())
}
