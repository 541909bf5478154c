//! Sessions by either id, several at once, and all that run.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use podbay_runtime::protocol::{Blame, Cause};
use podbay_runtime::{SessionId, SessionState};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Api;
use super::answer::{Answer, SessionAnswer, json};
use super::error::Refusal;
use crate::keys::Caller;
use crate::sessions::Known;

/// Sessions that one request is answered of at once.
const AT_ONCE: usize = 32;
/// Ids in one request, at most.
const MOST_IDS: usize = 1000;

impl Api {
    /// `GET /sessions/{id}`.
    pub(super) async fn session(&self, caller: &Caller, id: &str) -> Result<Answer, Refusal> {
        let since = Instant::now();
        let known = self.by_session_id(caller, id).await?;
        let known = known.ok_or_else(|| Refusal::no_session(id))?;
        let (known, answers) = self.settled(caller, known, since).await;
        self.sessions.of(caller).ask_what_is_told(&known).await;
        Ok(json(
            StatusCode::OK,
            &self.describe(caller, &known, answers).await?,
        ))
    }

    /// `GET /sessions/batch?ids=`: one entry for each id, in their order, null for one that is not known.
    pub(super) async fn batch(&self, caller: &Caller, ids: Vec<String>) -> Result<Answer, Refusal> {
        if ids.len() > MOST_IDS {
            return Err(Refusal::invalid(format!(
                "{} ids are too many: {MOST_IDS} are answered at once",
                ids.len()
            )));
        }
        let entries = stream::iter(ids).map(|id| async move {
            match self.by_session_id(caller, &id).await? {
                Some(known) => self.describe_now(caller, &known).await.map(Some),
                None => Ok(None),
            }
        });
        let entries: Vec<Option<SessionAnswer>> = entries.buffered(AT_ONCE).try_collect().await?;
        Ok(json(StatusCode::OK, &entries))
    }

    /// `GET /runtime/{id}`, which V0's clients alone ask.
    ///
    /// Their exception for a pod that has failed says no more than that. Of a start that failed the status tells it, with a
    /// `detail` that their exception has: 422 where it was what was asked, such as a bad image, 503 where it was the
    /// cluster. One whose program ended is told as they expect it: of those they try again with more memory.
    pub(super) async fn runtime(&self, caller: &Caller, id: &str) -> Result<Answer, Refusal> {
        let since = Instant::now();
        let known = self
            .known(caller, id)
            .await?
            .ok_or_else(|| Refusal::no_runtime(id))?;
        let (known, answers) = self.settled(caller, known, since).await;
        self.sessions.of(caller).ask_what_is_told(&known).await;
        let answer = self.describe(caller, &known, answers).await?;
        let Some(status) = status_of_failure(&known) else {
            return Ok(json(StatusCode::OK, &answer));
        };
        let detail = answer.status_detail.clone();
        let mut body = serde_json::to_value(answer).unwrap_or_default();
        if let Value::Object(fields) = &mut body {
            fields.insert("detail".to_owned(), json!(detail));
        }
        Ok(json(status, &body))
    }

    /// `GET /list`: clients count every session that is listed as one that runs.
    pub(super) async fn list(&self, caller: &Caller) -> Result<Answer, Refusal> {
        let all = self.sessions.of(caller).list(&caller.owner).await?;
        let runtimes = stream::iter(all).map(|known| async move { self.describe_now(caller, &known).await });
        let runtimes: Vec<_> = runtimes.buffered(AT_ONCE).collect().await;
        let runtimes: Vec<SessionAnswer> = runtimes
            .into_iter()
            .filter_map(Result::ok)
            .filter(|answer| ["starting", "running"].contains(&answer.status))
            .collect();
        Ok(json(StatusCode::OK, &json!({"runtimes": runtimes})))
    }

    async fn describe_now(&self, caller: &Caller, known: &Known) -> Result<SessionAnswer, Refusal> {
        let answers = self.sessions.of(caller).answers(known).await;
        self.describe(caller, known, answers).await
    }

    /// The session of a client's id; none for a text that is no such id.
    async fn by_session_id(&self, caller: &Caller, id: &str) -> Result<Option<Known>, Refusal> {
        match id.parse::<SessionId>() {
            Ok(id) => Ok(self.sessions.of(caller).find(&caller.owner, &id).await?),
            Err(_) => Ok(None),
        }
    }
}

/// The status that tells V0's clients of a start that failed, in place of a word of which they make nothing.
fn status_of_failure(known: &Known) -> Option<StatusCode> {
    if known.failure.is_some() {
        return Some(StatusCode::SERVICE_UNAVAILABLE);
    }
    match &known.state {
        SessionState::Failed(verdict) if matches!(verdict.cause, Cause::Exited | Cause::OutOfMemory) => None,
        SessionState::Failed(verdict) if verdict.blame == Blame::Configuration => {
            Some(StatusCode::UNPROCESSABLE_ENTITY)
        }
        SessionState::Failed(_) => Some(StatusCode::SERVICE_UNAVAILABLE),
        _ => None,
    }
}
