//! A request's way to its sandbox, and the answer's way back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue, LOCATION, SET_COOKIE};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use jiff::Timestamp;
use podbay_runtime::dial::{DialError, SandboxAddress};
use podbay_runtime::error::chain;
use podbay_runtime::{ErrorCode, SessionState};
use tokio::time::sleep;

use super::asked::Asked;
use super::connection::{Connection, NotAnswered, RequestBody};
use super::endpoint::Endpoint;
use super::entry::{Access, Admission, Claim, Entry};
use super::headers::{AnswerFrom, Asker, Upgrade, from_sandbox, to_sandbox};
use super::hold::{Admitted, Hold};
use super::pool::{Pool, PoolKey, SandboxBody};
use super::refusal::Refusal;
use super::settings::RoutingSettings;
use super::target::{Meant, Target};
use super::tunnels::Tunnels;
use super::url::UrlStyle;
use crate::body::Body;
use crate::listen::Arrival;
use crate::listen::request::RequestHost;
use crate::sessions::{Route, Sessions};
use crate::telemetry::Metrics;

/// How often a sandbox is dialled again whose port is not open yet.
const DIAL_AGAIN: Duration = Duration::from_millis(50);
/// After how long without an answer it is looked whether the sandbox is still there: a node that is lost closes no connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a form, at most.
const SMALL: usize = 4096;
/// How often a request is begun anew: a connection was closed, or the sandbox has changed.
const TRIES: u32 = 4;

/// Passes requests on to the sandboxes that they are for.
#[derive(Debug)]
pub struct Router<S> {
    sessions: Arc<S>,
    settings: RoutingSettings,
    pool: Pool,
    tunnels: Tunnels,
    entry: Entry,
    metrics: Metrics,
}

/// What came of a request.
#[derive(Debug)]
pub enum Routed {
    /// Nobody can be told to answer it, and it is refused.
    Refused(Response<Body>),
    /// It was for this of a sandbox, and is answered.
    Answer(Endpoint, Response<Body>),
    /// It is for the API.
    Api(Request<Incoming>),
}

/// A request on its way.
struct OnItsWay {
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
    /// `None` while it is being sent.
    body: Option<RequestBody>,
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
    /// Over these sessions. Within a tokio runtime.
    pub fn new(sessions: Arc<S>, settings: RoutingSettings) -> Self {
        let pool = Pool::new(settings.pool);
        Self {
            sessions,
            settings,
            pool,
            tunnels: Tunnels::default(),
            entry: Entry::new(Access::default()),
            metrics: Metrics::default(),
        }
    }

    /// The same, with what passes counted there.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self {
            tunnels: Tunnels::counted(metrics.clone()),
            metrics,
            ..self
        }
    }

    /// The same, with others who may see VS Code and the work ports.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self {
            entry: Entry::new(access),
            ..self
        }
    }

    /// How the URLs of sessions are made.
    pub const fn style(&self) -> &UrlStyle {
        &self.settings.style
    }

    /// Answers a request that is for a session, and gives back one that is for the API.
    pub async fn route(&self, request: Request<Incoming>, arrival: &Arrival) -> Routed {
        let host = RequestHost::of(
            request.version(),
            request.method(),
            request.uri(),
            request.headers(),
        );
        let host = match host {
            Ok(host) => host,
            Err(refused) => return Routed::Refused(Refusal::from(refused).plain()),
        };
        let target = match &arrival.target {
            Some(_) if !host.is_this_machine() => return Routed::Refused(Refusal::NotThisMachine.plain()),
            Some(target) => target.clone(),
            None => match self.settings.style.meant(&host, request.uri().path()) {
                Meant::Session(target) => target,
                Meant::Api => return Routed::Api(request),
                Meant::Nobody => return Routed::Refused(Refusal::NoSession.plain()),
            },
        };
        tracing::Span::current().record("runtime_id", target.id.as_str());
        let answer = self.answer(request, &host, &target, &arrival.asker).await;
        Routed::Answer(target.endpoint, answer)
    }

    /// Ends the connections that are no longer HTTP: after `grace` those that have not ended by themselves.
    pub async fn drain(&self, grace: Duration) {
        self.tunnels.drain(grace).await;
    }

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        host: &RequestHost,
        target: &Target,
        asker: &Asker,
    ) -> Response<Body> {
        let path = target.path_in_sandbox(request.uri().path_and_query());
        let admission = self.let_in(&mut request, host, target, &path).await;
        let version = request.version();
        let upgrade = match to_sandbox(request.headers_mut(), version, host, target, asker) {
            Ok(upgrade) => upgrade,
            Err(refused) => return Refusal::from(refused).plain(),
        };
        let asked = Asked::of(
            target.endpoint,
            request.method(),
            path.path(),
            request.headers(),
            upgrade.is_some(),
        );
        let asked = if self.settings.hold.wake && self.has_pages() {
            asked.with_wake_form(target.endpoint)
        } else {
            asked
        };
        let entered = match admission {
            Ok(Admission::Wake) => return self.wake_by_page(target, &asked).await,
            Ok(Admission::Pass(cookie)) => cookie,
            Ok(Admission::Answer(answer)) => return answer,
            Ok(Admission::Refuse) => return Refusal::NotLetIn.answer(&asked),
            Err(refusal) => return refusal.answer(&asked),
        };
        let upgrade = upgrade.map(|upgrade| (upgrade, hyper::upgrade::on(&mut request)));
        let (parts, body) = request.into_parts();
        let on_its_way = OnItsWay {
            method: parts.method,
            path,
            headers: parts.headers,
            body: Some(RequestBody::of(body, self.metrics.bytes_to_sandboxes())),
        };
        let from = AnswerFrom {
            host,
            prefix: &target.prefix,
            trusted_single_tenant: self.settings.trusted_single_tenant,
        };
        match self.pass_on(on_its_way, target, &asked, upgrade, &from).await {
            Ok(mut answer) => {
                if let Some(cookie) = entered {
                    answer.headers_mut().append(SET_COOKIE, cookie);
                }
                answer
            }
            Err(refusal) => {
                let id = target.id.as_str();
                tracing::info!(session = id, endpoint = target.endpoint.name(), %refusal, "a request was not answered by its sandbox");
                refusal.answer(&asked)
            }
        }
    }

    /// Whether a request for what checks no key itself is passed on, and the answers to those for our own paths.
    async fn let_in(
        &self,
        request: &mut Request<Incoming>,
        host: &RequestHost,
        target: &Target,
        path: &PathAndQuery,
    ) -> Result<Admission, Refusal> {
        let style = &self.settings.style;
        let is_for_server = target.endpoint == Endpoint::Server;
        let is_own = self.entry.is_own_path(path.path()) && !matches!(style, UrlStyle::Port);
        let is_wake = is_own && Entry::is_wake_path(path.path());
        let is_trusted = matches!(style, UrlStyle::Path { .. }) && self.settings.trusted_single_tenant;
        if (is_for_server && !is_own) || is_trusted {
            return Ok(Admission::Pass(None));
        }
        let mut claim = Claim::of(request.headers(), path, host, style.scheme());
        if is_own && request.method() == Method::POST {
            claim = claim.with_form(&small(request.body_mut()).await);
        }
        let route = self.sessions.route(&target.id).await?.ok_or(Refusal::NoSession)?;
        let (id, key) = (&target.id, route.key.as_ref());
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        if is_wake {
            if request.method() != Method::POST {
                return Ok(Admission::Refuse);
            }
            let admission = self.entry.wake(&claim, target.endpoint, id, key, now);
            return Ok(admission);
        }
        // Its owner shows what it serves to whoever knows the URL.
        let is_public = route.public && self.has_pages() && target.endpoint.is_work();
        if is_public && !is_own {
            return Ok(Admission::Pass(None));
        }
        Ok(if is_for_server {
            self.entry
                .links(&claim, style.urls(id, None), style, id, key, now)
        } else {
            self.entry.admit(&claim, style, id, target.endpoint, key, now)
        })
    }

    /// Whether each sandbox is an origin of its own, so that pages and cookies of ours can be there.
    const fn has_pages(&self) -> bool {
        matches!(self.settings.style, UrlStyle::Host { .. })
    }

    /// Brings a session back because a person wants it, and shows what there was to see.
    async fn wake_by_page(&self, target: &Target, asked: &Asked) -> Response<Body> {
        if !self.settings.hold.wake {
            return Refusal::Paused.page(None);
        }
        match self.sessions.wake(&target.id).await {
            Ok(()) => {
                let mut answer = Response::new(Body::empty());
                *answer.status_mut() = StatusCode::SEE_OTHER;
                let headers = answer.headers_mut();
                headers.insert(LOCATION, HeaderValue::from_static("/"));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                answer
            }
            Err(refused) => Refusal::NotWoken(refused).page(asked.wake_form),
        }
    }

    async fn pass_on(
        &self,
        mut request: OnItsWay,
        target: &Target,
        asked: &Asked,
        upgrade: Option<(Upgrade, OnUpgrade)>,
        from: &AnswerFrom<'_>,
    ) -> Result<Response<Body>, Refusal> {
        let mut tries = 0;
        let mut hold = Hold::begin(asked, &self.settings.hold);
        let (answer, connection, key) = loop {
            tries += 1;
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
                Err(Failure::Again(_)) if tries < TRIES => {}
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
        upgrade: Option<(Upgrade, OnUpgrade)>,
        from: &AnswerFrom<'_>,
    ) -> Result<Response<Body>, Refusal> {
        let (upgrade, of_client) = upgrade.ok_or(Refusal::Upgrade)?;
        if !upgrade.is_granted_by(answer.headers()) {
            return Err(Refusal::Upgrade);
        }
        let of_sandbox = hyper::upgrade::on(&mut answer);
        self.tunnels.begin(of_client, of_sandbox, connection);
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

/// All of a body that is small; nothing of one that is not, or does not come.
async fn small(body: &mut Incoming) -> Bytes {
    let collected = tokio::time::timeout(PATIENCE, Limited::new(body, SMALL).collect()).await;
    match collected {
        Ok(Ok(body)) => body.to_bytes(),
        _ => Bytes::new(),
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
