//! One request's way: to the API, or to a session's sandbox.

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::api::Api;
use crate::body::Body;
use crate::listen::{Answer, Arrival};
use crate::routing::{Routed, Router};
use crate::sessions::AllSessions;
use crate::telemetry::{Handler, Metrics, RequestId};

/// The service.
pub struct Service {
    api: Api,
    router: Router<AllSessions>,
    metrics: Metrics,
}

impl Service {
    /// The API, and the ways to its sessions.
    pub fn new(api: Api, router: Router<AllSessions>) -> Self {
        Self {
            api,
            router,
            metrics: Metrics::default(),
        }
    }

    /// The same, with its requests counted there.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// The ways to sessions.
    pub const fn router(&self) -> &Router<AllSessions> {
        &self.router
    }

    async fn find(&self, request: Request<Incoming>, arrival: &Arrival) -> (Handler, Response<Body>) {
        match self.router.route(request, arrival).await {
            Routed::Refused(answer) => (Handler::NOBODY, answer),
            Routed::Answer(endpoint, answer) => (Handler::of_sandbox(endpoint), answer),
            Routed::Api(request) => {
                let (parts, body) = request.into_parts();
                let answer = self.api.answer(&parts, body).await;
                let handler = answer.extensions().get().copied();
                (handler.unwrap_or(Handler::UNKNOWN), answer)
            }
        }
    }
}

impl Answer for Service {
    async fn answer(&self, mut request: Request<Incoming>, arrival: Arrival) -> Response<Body> {
        let begun = Instant::now();
        let _there = self.metrics.asked();
        let id = RequestId::of(request.headers());
        id.put(request.headers_mut());
        let span = tracing::info_span!("request", request_id = %id, runtime_id = tracing::field::Empty);
        let found = self.find(request, &arrival).instrument(span.clone()).await;
        let (handler, mut answer) = found;
        let took = begun.elapsed();
        id.put(answer.headers_mut());
        self.metrics.answered(handler, answer.status(), took);
        span.in_scope(|| {
            let (status, milliseconds) = (answer.status().as_u16(), took.as_millis());
            tracing::debug!(
                handler = handler.0,
                status,
                milliseconds,
                "a request was answered"
            );
        });
        answer
    }
}
