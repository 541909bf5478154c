//! What a request is for, and who answers it.

use std::sync::Arc;
use std::time::Duration;

use http::header::SET_COOKIE;
use http::{Request, Response};
use hyper::body::Incoming;

use super::asked::Asked;
use super::connection::RequestBody;
use super::endpoint::Endpoint;
use super::entry::{Access, Admission, Claim, Entry};
use super::headers::{AnswerFrom, to_sandbox};
use super::passing_on::{AskedUpgrade, OnItsWay};
use super::pool::Pool;
use super::refusal::Refusal;
use super::settings::RoutingSettings;
use super::target::{Meant, Target};
use super::tunnels::Tunnels;
use super::url::UrlStyle;
use crate::body::Body;
use crate::listen::Arrival;
use crate::listen::request::RequestHost;
use crate::sessions::Sessions;
use crate::telemetry::Metrics;

/// Passes requests on to the sandboxes that they are for.
#[derive(Debug)]
pub struct Router<S> {
    pub(super) sessions: Arc<S>,
    pub(super) settings: RoutingSettings,
    pub(super) pool: Pool,
    pub(super) tunnels: Tunnels,
    pub(super) entry: Entry,
    pub(super) metrics: Metrics,
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
        let answer = self.answer(request, &host, &target, arrival).await;
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
        arrival: &Arrival,
    ) -> Response<Body> {
        let path = target.path_in_sandbox(request.uri().path_and_query());
        let claim = self.claim(&mut request, host, target, &path).await;
        let admission = match &claim {
            Some(claim) => self.let_in(claim, target, &path).await,
            None => Ok(Admission::Pass(None)),
        };
        let version = request.version();
        let upgrade = match to_sandbox(request.headers_mut(), version, host, target, &arrival.asker) {
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
        let asked = match claim.filter(Claim::is_form) {
            Some(form) if self.has_pages() => asked.with_form(
                request.headers(),
                Entry::is_wake_path(path.path()),
                form.way_back(),
            ),
            _ => asked,
        };
        let entered = match admission {
            Ok(Admission::Wake(to)) => return self.wake_by_page(target, &asked, to).await,
            Ok(Admission::Pass(cookie)) => cookie,
            Ok(Admission::Answer(answer)) => return answer,
            Ok(Admission::Refuse) => return Refusal::NotLetIn.answer(&asked),
            Err(refusal) => return refusal.answer(&asked),
        };
        let upgrade = upgrade.map(|upgrade| AskedUpgrade {
            upgrade,
            client: hyper::upgrade::on(&mut request),
            place: Arc::clone(&arrival.place),
        });
        let (parts, body) = request.into_parts();
        let body = RequestBody::of(body, self.metrics.bytes_to_sandboxes());
        let on_its_way = OnItsWay::new(parts.method, path, parts.headers, body);
        let from = AnswerFrom {
            host,
            prefix: &target.prefix,
            trusted_single_tenant: self.settings.trusted_single_tenant,
        };
        let mut answer = match self.pass_on(on_its_way, target, &asked, upgrade, &from).await {
            Ok(answer) => answer,
            Err(refusal) => {
                let id = target.id.as_str();
                let endpoint = target.endpoint.name();
                // Whoever waits for a server asks again and again.
                if asked.is_probe {
                    tracing::debug!(session = id, endpoint, %refusal, "a sandbox did not answer whether it is there");
                } else {
                    tracing::info!(session = id, endpoint, %refusal, "a request was not answered by its sandbox");
                }
                refusal.answer(&asked)
            }
        };
        // Also with a page of ours: its form is for a browser that was let in.
        if let Some(cookie) = entered {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
        answer
    }

    /// Whether each sandbox is an origin of its own, so that pages and cookies of ours can be there.
    pub(super) const fn has_pages(&self) -> bool {
        matches!(self.settings.style, UrlStyle::Host { .. })
    }
}
