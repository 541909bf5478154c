//! From a request to its answer: route, key, handler.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use http::{HeaderMap, Method, Request, Version};
use hyper::upgrade::OnUpgrade;
use podbay_protocol::agent::{AgentError, AgentErrorCode, KEY_HEADER};

use super::answer::{self, Answer, Served};
use super::body::RequestBody;
use super::connection::Connection;
use super::query::{Query, invalid};
use super::route::{NoRoute, Route};
use super::{Services, handlers, websocket};
use crate::action::Refusal;

/// A request whose sender may ask it.
pub(super) struct Asked {
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) body: RequestBody,
    /// What it came on.
    pub(super) connection: Arc<Connection>,
    /// Where its sender asks for another protocol on the connection.
    pub(super) upgrade: Option<OnUpgrade>,
}

/// Answers a request.
pub(super) async fn answer(connection: &Arc<Connection>, request: Request<RequestBody>) -> Served {
    let is_head = request.method() == Method::HEAD;
    let what = format!("{} {}", request.method(), request.uri().path());
    let answer = guarded(&what, find(connection, request)).await;
    Ok(if is_head {
        answer::without_body(answer)
    } else {
        answer
    })
}

/// A fault of ours in answering is told, and ends nothing but the request.
async fn guarded(what: &str, answering: impl Future<Output = Answer>) -> Answer {
    if let Ok(answer) = AssertUnwindSafe(answering).catch_unwind().await {
        return answer;
    }
    tracing::error!(
        request = what,
        "a fault of the agent: the request was not answered"
    );
    let message = format!("a fault of the agent: {what} was not answered");
    answer::error(&AgentError::new(AgentErrorCode::Internal, message))
}

async fn find(connection: &Arc<Connection>, request: Request<RequestBody>) -> Answer {
    let services = connection.services();
    let (mut head, body) = request.into_parts();
    let upgrade = head.extensions.remove::<OnUpgrade>();
    let route = match Route::find(&head.method, head.uri.path()) {
        Ok(route) => route,
        Err(NoRoute::Method(allowed)) => return answer::method_not_allowed(allowed),
        Err(NoRoute::Id(problem)) => return answer::error(&invalid(problem)),
        Err(NoRoute::Unknown) => {
            let message = format!("the API has no path {}", head.uri.path());
            return answer::error(&AgentError::new(AgentErrorCode::UnknownPath, message));
        }
    };
    let has_key = may_ask(services, &route, &head.headers);
    if has_key {
        connection.presented_the_key();
    } else if route.is_action() {
        return handlers::actions::refused(&Refusal::new(403, "Invalid API Key"));
    } else if !route.is_open() {
        return answer::error(&AgentError::new(
            AgentErrorCode::Unauthorized,
            format!("the header {KEY_HEADER} does not carry the key of this session"),
        ));
    }
    let busy = route.is_use().then(|| services.activity.begin());
    let is_action = route.is_action();
    if head.version < Version::HTTP_2 {
        connection.has_read();
    }
    let answered = match Query::parse(head.uri.query()) {
        Ok(query) => {
            let asked = Asked {
                query,
                headers: head.headers,
                body,
                connection: Arc::clone(connection),
                upgrade,
            };
            handlers::handle(services, route, asked).await
        }
        Err(error) => Err(error),
    };
    match answered {
        // The server is busy until the answer is sent.
        Ok(answer) => answer::keeping(answer, busy),
        Err(error) if error.code == AgentErrorCode::UpgradeRequired => {
            answer::upgrade_required(&error, head.version)
        }
        Err(error) if is_action => handlers::actions::refused(&handlers::actions::of_error(&error)),
        Err(error) => answer::error(&error),
    }
}

/// Whether exactly one key is presented, and it is the session's; without a session's key, everybody may (only this
/// machine can, then). Who opens a terminal may present it among the subprotocols.
fn may_ask(services: &Services, route: &Route, headers: &HeaderMap) -> bool {
    let Some(key) = &services.key else { return true };
    let mut presented = headers.get_all(KEY_HEADER).into_iter();
    match (presented.next(), presented.next()) {
        (Some(one), None) => key.is(one.as_bytes()),
        (None, None) if matches!(route, Route::Terminal(_)) => {
            websocket::key(headers).is_some_and(|one| key.is(&one))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_answers_500_and_no_more() {
        let answer = guarded("GET /x", async { panic!("on purpose") }).await;
        assert_eq!(answer.status(), 500);
        let Ok(body) = answer.into_body().collect().await else {
            panic!("no body")
        };
        let error: AgentError = serde_json::from_slice(&body.to_bytes()).unwrap();
        assert_eq!(error.code, AgentErrorCode::Internal);
    }
}
