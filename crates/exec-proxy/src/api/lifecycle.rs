//! Start, stop, pause, resume.

use std::sync::PoisonError;

use http::StatusCode;
use podbay_manifests::RuntimeId;
use podbay_runtime::SessionId;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Api;
use super::answer::{Answer, json};
use super::describe::PAUSED;
use super::error::Refusal;
use super::here;
use super::launch::Drawn;
use super::start::StartBody;
use crate::keys::Caller;
use crate::sessions::{Begun, Drained, Known, NotKnown, NotStarted};
use crate::telemetry::audit::{self, Action};

impl Api {
    /// `POST /start`: the session is there when this answers, whatever the image.
    pub(super) async fn start(&self, caller: &Caller, body: &[u8]) -> Result<Answer, Refusal> {
        let since = Instant::now();
        let body = StartBody::parse(body)?;
        let session = body.session_id.clone();
        let started = self.start_as(caller, body).await;
        let runtime_id = |begun: &Begun| begun.known.record.runtime_id.clone();
        let about = Audited {
            action: Action::Start,
            session: &session,
            runtime_id: started.as_ref().ok().and_then(runtime_id),
        };
        let Begun { known, differences } = about.write(caller, started)?;
        let (known, answers) = self.settled(caller, known, since).await;
        let mut answer = self.describe(caller, &known, answers).await?;
        let differs = (!differences.is_empty()).then(|| {
            format!(
                "the session was there, and stays as it is; asked was another {}",
                differences.join(", another ")
            )
        });
        let told: Vec<String> = answer.status_detail.take().into_iter().chain(differs).collect();
        answer.status_detail = (!told.is_empty()).then(|| told.join(". "));
        Ok(json(StatusCode::OK, &answer))
    }

    /// Counts a start; one that is too many in a minute is to be tried again, which OpenHands' V0 clients do by themselves.
    fn count_start(&self, caller: &Caller) -> Result<(), NotStarted> {
        let Some(most) = caller.starts_per_minute else {
            return Ok(());
        };
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = rate.count(&caller.key, most, Instant::now());
        counted.map_err(|wait| NotStarted::TooOften {
            seconds: wait.as_secs() + 1,
        })
    }

    async fn start_as(&self, caller: &Caller, body: StartBody) -> Result<Begun, Refusal> {
        let id: SessionId = body
            .session_id
            .parse()
            .map_err(|error| Refusal::invalid(format!("session_id {:?}: {error}", body.session_id)))?;
        if self.policy.on_this_machine {
            here::check(&body)?;
        }
        let drawn = Drawn::now(self.policy.on_this_machine)?;
        let request = body.request(&self.policy, &drawn)?;
        let counted = || self.count_start(caller);
        Ok(self
            .sessions
            .of(caller)
            .start(caller, &id, request, counted)
            .await?)
    }

    /// `POST /stop`: one that is not there is stopped, and so is nobody's: V0's clients send null after a start that failed.
    pub(super) async fn stop(&self, caller: &Caller, body: &[u8]) -> Result<Answer, Refusal> {
        let stopped = json(StatusCode::OK, &json!({"status": "stopped"}));
        let Some(id) = runtime_id(body)? else {
            return Ok(stopped);
        };
        let Some(known) = self.known(caller, &id).await? else {
            return Ok(stopped);
        };
        let done = self.sessions.of(caller).stop(&known).await;
        Audited::of(Action::Stop, &known).write(caller, done.map_err(|error| Refusal::from(&error)))?;
        Ok(stopped)
    }

    /// `POST /pause`.
    pub(super) async fn pause(&self, caller: &Caller, body: &[u8]) -> Result<Answer, Refusal> {
        let known = self.asked(caller, body).await?;
        let drained = self.sessions.of(caller).drain(&known, self.pause_drain).await;
        let done = self.sessions.of(caller).pause(&known).await;
        Audited::of(Action::Pause, &known).write(caller, done.map_err(|error| Refusal::from(&error)))?;
        let cut = match drained {
            Drained::Idle => String::new(),
            Drained::StillBusy => format!(
                "; an action that still ran after {} s was ended",
                self.pause_drain.as_secs()
            ),
        };
        Ok(json(
            StatusCode::OK,
            &json!({"status": "paused", "status_detail": format!("{PAUSED}{cut}")}),
        ))
    }

    /// `POST /resume`: also of one that has failed; 2xx for one that is there.
    pub(super) async fn resume(&self, caller: &Caller, body: &[u8]) -> Result<Answer, Refusal> {
        let since = Instant::now();
        let known = self.asked(caller, body).await?;
        let done = self.sessions.of(caller).resume(caller, &known).await;
        let known = Audited::of(Action::Resume, &known).write(caller, done.map_err(Refusal::from))?;
        let (known, answers) = self.settled(caller, known, since).await;
        Ok(json(
            StatusCode::OK,
            &self.describe(caller, &known, answers).await?,
        ))
    }

    /// The session that a body names.
    async fn asked(&self, caller: &Caller, body: &[u8]) -> Result<Known, Refusal> {
        let id = runtime_id(body)?.ok_or_else(|| Refusal::no_runtime("null"))?;
        self.known(caller, &id)
            .await?
            .ok_or_else(|| Refusal::no_runtime(&id))
    }

    /// The session of a runtime id; none for a text that is no such id.
    pub(super) async fn known(&self, caller: &Caller, id: &str) -> Result<Option<Known>, Refusal> {
        match id.parse::<RuntimeId>() {
            Ok(id) => Ok(self
                .sessions
                .of(caller)
                .find_by_runtime_id(&caller.owner, &id)
                .await?),
            Err(_) => Ok(None),
        }
    }
}

/// Something that a caller does to a session, for the audit log.
struct Audited<'a> {
    action: Action,
    session: &'a str,
    runtime_id: Option<RuntimeId>,
}

impl<'a> Audited<'a> {
    fn of(action: Action, known: &'a Known) -> Self {
        Self {
            action,
            session: known.record.id().as_str(),
            runtime_id: known.record.runtime_id.clone(),
        }
    }

    /// Writes down what came of it.
    fn write<T>(self, caller: &Caller, done: Result<T, Refusal>) -> Result<T, Refusal> {
        let refused = done.as_ref().err();
        let refused = refused.map(|refusal| (refusal.status.as_u16(), refusal.detail.as_str()));
        let runtime_id = self.runtime_id.as_ref().map(RuntimeId::as_str);
        audit::by_caller(self.action, caller, self.session, runtime_id, refused);
        done
    }
}

/// `{"runtime_id": ID}`; null is none.
fn runtime_id(body: &[u8]) -> Result<Option<String>, Refusal> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid(format!("the body is no JSON: {error}")))?;
    let Value::Object(fields) = &value else {
        return Err(Refusal::invalid("the body is no JSON object"));
    };
    match fields.get("runtime_id") {
        None => Err(Refusal::invalid("runtime_id is missing")),
        Some(Value::Null) => Ok(None),
        Some(Value::String(id)) => Ok(Some(id.clone())),
        Some(_) => Err(Refusal::invalid("runtime_id is neither a text nor null")),
    }
}

impl From<NotKnown> for Refusal {
    fn from(error: NotKnown) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<NotStarted> for Refusal {
    fn from(error: NotStarted) -> Self {
        match error {
            NotStarted::Session(error) => Self::from(&*error),
            NotStarted::NotKnown(error) => error.into(),
            too_often @ NotStarted::TooOften { seconds } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, too_often.to_string()).after(seconds)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_id_is_a_text_or_null() {
        assert_eq!(
            runtime_id(br#"{"runtime_id": "a", "x": 1}"#),
            Ok(Some("a".to_owned()))
        );
        assert_eq!(runtime_id(br#"{"runtime_id": null}"#), Ok(None));
        for wrong in [&br#"{"runtime_id": 7}"#[..], b"{}", b"null", b"[]", b"", b"{"] {
            assert_eq!(runtime_id(wrong).unwrap_err().status, 422);
        }
    }
}
