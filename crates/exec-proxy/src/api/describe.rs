//! From a session to its answer; held back for a moment while the session is about to be ready.

use http::StatusCode;
use podbay_manifests::Record;
use podbay_protocol::{PodLoss, Verdict};
use podbay_runtime::{SessionState, log_tail};
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use super::Api;
use super::answer::SessionAnswer;
use super::error::Refusal;
use super::status::{Status, is_settled, status_of};
use crate::keys::Caller;
use crate::sessions::{Known, Told, bounded};
use crate::words::Http;

/// Characters of what is told in words, at most.
const MOST_DETAIL: usize = 4096;

impl Api {
    /// Waits until something is to be told of a session that starts, for as long as answers are held back.
    pub(super) async fn settled(&self, caller: &Caller, mut known: Known, since: Instant) -> (Known, bool) {
        let deadline = since + self.hold;
        loop {
            let answers = self.sessions.of(caller).answers(&known).await;
            if known.failure.is_some() || is_settled(&known.state, answers) || Instant::now() >= deadline {
                return (known, answers);
            }
            let waited = tokio::time::timeout_at(deadline, self.sessions.of(caller).changes(&known)).await;
            match self
                .sessions
                .of(caller)
                .find(&caller.owner, known.record.id())
                .await
            {
                Ok(Some(found)) => known = found,
                // What was known before is told.
                Ok(None) | Err(_) => return (known, answers),
            }
            if waited.is_err() {
                let answers = self.sessions.of(caller).answers(&known).await;
                return (known, answers);
            }
        }
    }

    /// The answer of a session whose server was seen to answer or not.
    pub(super) async fn describe(
        &self,
        caller: &Caller,
        known: &Known,
        answers: bool,
    ) -> Result<SessionAnswer, Refusal> {
        let record = &known.record;
        let Some(id) = &record.runtime_id else {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "the session was made by a version of Podbay whose sessions have no runtime id: open it again",
            ));
        };
        let urls = self.urls.of(id).await.ok_or_else(|| {
            Refusal::unavailable("all ports of this machine that sessions may have are taken")
        })?;
        let Status { status, pod_status } = status_of(known, answers);
        let key = match self.sessions.of(caller).session_key(known).await {
            Ok(key) => Some(key.expose_secret().to_owned()),
            Err(error) => {
                tracing::warn!(session = %record.id(), error = error.chain(), "the session's key can't be read");
                None
            }
        };
        // Who takes a session for running needs its key.
        let status = if key.is_none() && status == "running" {
            "starting"
        } else {
            status
        };
        let ports = known.ports();
        let (restarts, reason) = known.restarts.clone();
        let loss = record.last_loss.as_deref();
        let failed_with = known.state.verdict();
        let told = if failed_with.is_some() || matches!(known.state, SessionState::Starting(_)) {
            self.sessions.of(caller).told(known)
        } else {
            Told::default()
        };
        let ended = self.sessions.of(caller).ended_command(known).await;
        let mut containers = told.containers;
        containers.extend(ended.as_ref().map(|end| first_line(&end.message).to_owned()));
        Ok(SessionAnswer {
            runtime_id: id.to_string(),
            id: id.to_string(),
            session_id: record.id().to_string(),
            session_api_key: key,
            work_hosts: urls.work_hosts(ports.work),
            url: urls.server,
            status,
            pod_status,
            status_detail: with_end(detail(known), ended.as_ref()).map(cut),
            restart_count: restarts.saturating_add(loss.map_or(0, |loss| loss.count)),
            restart_reasons: loss.map(reason_of_loss).into_iter().chain(reason).collect(),
            container_statuses: containers,
            events: events(&known.state, told.events),
            pod_logs: failed_with
                .or(ended.as_ref())
                .and_then(log_tail)
                .map(ToOwned::to_owned)
                .unwrap_or_default(),
            image: record.spec.image().to_string(),
            created_at: record.created.as_ref().map(|created| created.0.to_string()),
            resource_factor: record.spec.resources().factor(),
            kind: record.spec.kind().as_str(),
        })
    }
}

/// What a pause means.
pub(super) const PAUSED: &str =
    "paused: the workspace is kept; what was installed outside of it, and what ran, is not";

/// What there is to say, with how the session's command ended.
fn with_end(detail: Option<String>, ended: Option<&Verdict>) -> Option<String> {
    let ended = ended.map(|end| format!("the session goes on, but {}", end.message));
    let told: Vec<String> = detail.into_iter().chain(ended).collect();
    (!told.is_empty()).then(|| told.join(". "))
}

/// The line before what a program wrote.
fn first_line(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default();
    line.split_once(';').map_or(line, |(end, _)| end)
}

/// That a pod was lost and followed by another, among the reasons of restarts.
fn reason_of_loss(loss: &PodLoss) -> String {
    format!(
        "pod lost at {}: {}: {}",
        loss.at, loss.verdict.cause, loss.verdict.message
    )
}

/// The same as a sentence, of a session that starts or runs again.
fn loss_in_words(record: &Record, loss: &PodLoss) -> String {
    let files = if record.spec.persistent() {
        "its workspace is kept; what ran in it, and what was installed outside of the workspace, is gone"
    } else {
        "what ran in it is gone, and so are its files"
    };
    format!(
        "its pod was lost at {}, and another takes its place: {}; {files}",
        loss.at, loss.verdict
    )
}

/// What there is to say of a state, in words.
pub(super) fn detail(known: &Known) -> Option<String> {
    if let Some(failure) = &known.failure {
        return Some(failure.clone());
    }
    match &known.state {
        SessionState::Failed(verdict) | SessionState::Lost(verdict) => {
            let hint = verdict.hint.in_words(&Http);
            Some(if hint.is_empty() {
                verdict.to_string()
            } else {
                format!("{verdict}. {hint}")
            })
        }
        SessionState::Starting(_) | SessionState::Ready(_) => {
            let degraded = known.state.degraded().map(ToString::to_string);
            let loss = known.record.last_loss.as_deref();
            let loss = loss.map(|loss| loss_in_words(&known.record, loss));
            let told: Vec<String> = degraded.into_iter().chain(loss).collect();
            (!told.is_empty()).then(|| told.join(". "))
        }
        SessionState::Paused => Some(PAUSED.to_owned()),
        SessionState::Unreadable => Some("the session's record can't be read by this version".to_owned()),
        _ => None,
    }
}

/// What the cluster said: the events, or what a verdict has of them.
fn events(state: &SessionState, told: Vec<String>) -> Vec<String> {
    let of_verdict = state.verdict().map(|verdict| verdict.message.clone());
    if told.is_empty() {
        bounded(of_verdict.into_iter().collect())
    } else {
        told
    }
}

/// No longer than what a client shows.
fn cut(text: String) -> String {
    match text.char_indices().nth(MOST_DETAIL) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
