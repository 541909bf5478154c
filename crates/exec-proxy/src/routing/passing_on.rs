//! A request sent to its sandbox, over a connection that waits or a new one, and the answer's way back.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use podbay_runtime::dial::{DialError, SandboxAddress};
use podbay_runtime::error::chain;
use podbay_runtime::{ErrorCode, SessionState};
use tokio::time::sleep;

use super::asked::Asked;
use super::connection::{Connection, NotAnswered, RequestBody};
use super::headers::{AnswerFrom, Upgrade, from_sandbox, is_websocket};
use super::hold::{Admitted, Hold};
use super::pool::{PoolKey, SandboxBody};
use super::refusal::Refusal;
use super::relay::Passing;
use super::router::Router;
use super::target::Target;
use crate::body::Body;
use crate::listen::Place;
use crate::sessions::{Route, Sessions};

/// How often a sandbox is dialled again whose port is not open yet.
const DIAL_AGAIN: Duration = Duration::from_millis(50);
/// After how long without an answer it is looked whether the sandbox is still there: a node that is lost closes no connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a request is begun anew: a connection was closed, or the sandbox has changed.
const TRIES: u32 = 4;

/// A request on its way.
pub(super) struct OnItsWay {
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
    /// `None` while it is being sent.
    body: Option<RequestBody>,
}

/// A change of the protocol that a client asks for.
pub(super) struct AskedUpgrade {
    pub(super) upgrade: Upgrade,
    pub(super) client: OnUpgrade,
    /// Of its connection.
    pub(super) place: Arc<Place>,
}

/// Why a request is begun anew, or is not.
enum Failure {
    /// It is not lost: the next try finds another connection, or another sandbox.
    Again(Refusal),
    /// Nothing listens there, or not yet.
    NotThere(Refusal),
    /// That is all.
    Final(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Final(refusal)
    }
}

impl<S: Sessions> Router<S> {
    /// Has the session's sandbox answer a request, once it is there.
    pub(super) async fn pass_on(
        &self,
        mut request: OnItsWay,
        target: &Target,
        asked: &Asked,
        upgrade: Option<AskedUpgrade>,
        from: &AnswerFrom<'_>,
    ) -> Result<Response<Body>, Refusal> {
        let mut tries = 1;
        let mut hold = Hold::begin(asked, &self.settings.hold);
        let (answer, connection, key) = loop {
            let admitted = hold.admit(&*self.sessions, &target.id).await?;
            let port = target.endpoint.port(&admitted.route.ports);
            let key = Arc::new(PoolKey {
                id: target.id.clone(),
                uid: admitted.address.uid().to_owned(),
                port,
            });
            match self.try_once(&mut request, &admitted, &key).await {
                Ok((answer, connection)) => break (answer, connection, key),
                Err(Failure::NotThere(_)) if hold.is_patient() => sleep(DIAL_AGAIN).await,
                Err(Failure::Again(_)) if tries < TRIES => tries += 1,
                Err(Failure::Again(refusal) | Failure::NotThere(refusal) | Failure::Final(refusal)) => {
                    return Err(refusal);
                }
            }
        };
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.change_protocol(answer, connection, upgrade, from);
        }
        let (mut parts, body) = answer.into_parts();
        from_sandbox(&mut parts.headers, parts.status, from);
        let counted = self.metrics.bytes_from_sandboxes();
        let body = SandboxBody::new(body, self.pool.clone(), key, connection, counted);
        let mut answer = Response::new(Body::of_sandbox(body));
        *answer.status_mut() = parts.status;
        *answer.headers_mut() = parts.headers;
        Ok(answer)
    }

    /// Sends the request to the sandbox, over a connection that waits or a new one.
    async fn try_once(
        &self,
        request: &mut OnItsWay,
        admitted: &Admitted,
        key: &Arc<PoolKey>,
    ) -> Result<(Response<Incoming>, Connection), Failure> {
        let waiting = self.pool.take(key);
        let may_be_closed = waiting.is_some();
        let mut connection = match waiting {
            Some(connection) => connection,
            None => self.dial(admitted, key).await?,
        };
        let Some(outgoing) = request.begin(may_be_closed) else {
            let reason = "its body was sent already".to_owned();
            return Err(Failure::Final(Refusal::Broken { reason }));
        };
        let sent = tokio::select! {
            sent = connection.send(outgoing) => sent,
            refusal = self.is_gone(admitted) => return Err(Failure::Final(refusal)),
        };
        let NotAnswered {
            error,
            unsent,
            was_closed_while_idle,
        } = match sent {
            Ok(answer) => return Ok((answer, connection)),
            Err(failure) => failure,
        };
        // The others that wait were probably closed with it.
        self.pool.forget(key);
        let refusal = Refusal::Broken {
            reason: chain(&error),
        };
        let is_whole = match unsent {
            Some(unsent) => {
                let (parts, body) = unsent.into_parts();
                request.headers = parts.headers;
                request.body = Some(body);
                true
            }
            None => was_closed_while_idle && request.is_replayable(),
        };
        Err(if is_whole {
            Failure::Again(refusal)
        } else {
            Failure::Final(refusal)
        })
    }

    async fn dial(&self, admitted: &Admitted, key: &PoolKey) -> Result<Connection, Failure> {
        let unreachable = |reason| Refusal::Unreachable {
            port: key.port,
            reason,
        };
        let io = match self.sessions.connect(&admitted.address, key.port).await {
            Ok(io) => io,
            Err(error) => {
                if drops_address(&error) {
                    self.pool.forget(key);
                }
                let refusal = unreachable(chain(&error));
                return Err(if self.is_still_there(admitted).await {
                    Failure::NotThere(refusal)
                } else {
                    Failure::Again(refusal)
                });
            }
        };
        // The address may have been given to another pod since: then that one is who answered.
        if !self.is_still_there(admitted).await {
            let reason = "its pod was replaced".to_owned();
            return Err(Failure::Again(unreachable(reason)));
        }
        let connection = Connection::begin(io).await;
        connection.map_err(|error| Failure::Final(unreachable(chain(&error))))
    }

    /// Whether the sandbox that a request was admitted to is still the session's.
    async fn is_still_there(&self, admitted: &Admitted) -> bool {
        match self.sessions.route(&admitted.route.runtime_id).await {
            Ok(route) => route
                .and_then(|route| route.address)
                .is_some_and(|address| address.uid() == admitted.address.uid()),
            // What was known last holds.
            Err(_) => true,
        }
    }

    /// Waits until the sandbox is known to be gone.
    async fn is_gone(&self, admitted: &Admitted) -> Refusal {
        loop {
            sleep(PATIENCE).await;
            match self.sessions.route(&admitted.route.runtime_id).await {
                Ok(None) => return Refusal::Stopped,
                Ok(Some(route)) => {
                    if let Some(refusal) = gone(&route, &admitted.address) {
                        return refusal;
                    }
                }
                Err(_) => {}
            }
        }
    }

    /// Passes on that the sandbox changes the protocol, and from then on bytes.
    fn change_protocol(
        &self,
        mut answer: Response<Incoming>,
        connection: Connection,
        asked: Option<AskedUpgrade>,
        from: &AnswerFrom<'_>,
    ) -> Result<Response<Body>, Refusal> {
        let AskedUpgrade {
            upgrade,
            client,
            place,
        } = asked.ok_or(Refusal::Upgrade)?;
        if !upgrade.is_granted_by(answer.headers()) {
            return Err(Refusal::Upgrade);
        }
        let of_sandbox = hyper::upgrade::on(&mut answer);
        let passing = if is_websocket(answer.headers()) {
            Passing::WebSocket
        } else {
            Passing::Bytes
        };
        self.tunnels.begin(client, of_sandbox, passing, connection, place);
        let mut headers = answer.headers().clone();
        from_sandbox(&mut headers, answer.status(), from);
        Upgrade::grant(answer.headers(), &mut headers);
        let mut passed_on = Response::new(Body::empty());
        *passed_on.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *passed_on.headers_mut() = headers;
        Ok(passed_on)
    }
}

impl OnItsWay {
    /// One of which nothing was sent yet.
    pub(super) const fn new(
        method: Method,
        path: PathAndQuery,
        headers: HeaderMap,
        body: RequestBody,
    ) -> Self {
        Self {
            method,
            path,
            headers,
            body: Some(body),
        }
    }

    /// The request as it is sent; `None` if it was sent and can't be again. What is kept of it is enough to send it again only
    /// if that `may` become necessary and do no harm.
    fn begin(&mut self, may_be_sent_again: bool) -> Option<Request<RequestBody>> {
        let (headers, body) = if may_be_sent_again && self.is_replayable() {
            (self.headers.clone(), RequestBody::Empty)
        } else {
            (std::mem::take(&mut self.headers), self.body.take()?)
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from(self.path.clone());
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = headers;
        Some(request)
    }

    /// Whether it may be sent twice: it has no body, and changes nothing.
    fn is_replayable(&self) -> bool {
        self.method.is_safe() && matches!(self.body, Some(RequestBody::Empty))
    }
}

/// Whether a failure to connect speaks against the address: nothing answers there, or the API server could not get there. That
/// it refuses the request says nothing about the pod.
fn drops_address(error: &DialError) -> bool {
    !matches!(error, DialError::Refused { .. }) || error.code() == ErrorCode::Unavailable
}

/// What a request that waits for an answer is told, if no answer will come.
fn gone(route: &Route, address: &SandboxAddress) -> Option<Refusal> {
    match (&route.state, &route.address) {
        (SessionState::Lost(verdict) | SessionState::Failed(verdict), _) => {
            Some(Refusal::Failed(Box::new(verdict.clone())))
        }
        (_, Some(now)) if now.uid() != address.uid() => Some(Refusal::Broken {
            reason: "its pod was replaced".to_owned(),
        }),
        _ => None,
    }
}
