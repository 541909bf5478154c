//! `GET /metrics`, on a listener of its own.

use http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::process::Process;
use super::sessions::OfSessions;
use crate::body::Body;
use crate::listen::{Answer, Arrival};
use crate::sessions::AllSessions;

/// OpenMetrics 1.0, for those who ask for it; Prometheus does.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Prometheus' older format, for all others.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers `GET /metrics`. It asks for no key: nothing that it says is about one session, owner or client.
#[derive(Debug)]
pub struct Exposition(Registry);

impl Exposition {
    /// What these count, the sessions of the service, and this process, of this version.
    pub fn new(metrics: &Metrics, sessions: impl Into<AllSessions>, version: &'static str) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let own = registry.sub_registry_with_prefix("podbay");
        own.register(
            "build",
            "The version of the program",
            Info::new(vec![("version", version)]),
        );
        metrics.register(own);
        own.register_collector(Box::new(OfSessions(sessions.into())));
        Self(registry)
    }

    /// All figures as they are now; with their type.
    fn page(&self, open_metrics: bool) -> (String, &'static str) {
        let mut page = String::new();
        let (written, kind) = if open_metrics {
            (text::encode(&mut page, &self.0), OPEN_METRICS)
        } else {
            (prometheus_text::encode(&mut page, &self.0), PROMETHEUS_TEXT)
        };
        if let Err(error) = written {
            // Nothing that is written into memory fails.
            tracing::warn!(%error, "the metrics can't be written");
        }
        (page, kind)
    }

    fn find<B>(&self, request: &Request<B>) -> Response<Body> {
        let mut answer = Response::new(Body::empty());
        if request.uri().path() != "/metrics" {
            *answer.status_mut() = StatusCode::NOT_FOUND;
            return answer;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let wants_open_metrics = request.headers().get_all(ACCEPT).iter().any(|accept| {
            accept
                .to_str()
                .is_ok_and(|accept| accept.contains("application/openmetrics-text"))
        });
        let (page, kind) = self.page(wants_open_metrics);
        answer
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if request.method() == Method::GET {
            *answer.body_mut() = Body::from(page);
        }
        answer
    }
}

impl Answer for Exposition {
    async fn answer(&self, request: Request<Incoming>, _arrival: Arrival) -> Response<Body> {
        self.find(&request)
    }
}
