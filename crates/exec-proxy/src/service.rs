//! One request's way: to the API, or to a session's sandbox.

use http::{Request, Response};
use hyper::body::Incoming;

use crate::api::Api;
use crate::body::Body;
use crate::listen::{Answer, Arrival};
use crate::routing::{Routed, Router};
use crate::sessions::AllSessions;
use crate::telemetry::Handler;

/// The service. Around it is [`RequestTelemetry`](crate::telemetry::RequestTelemetry), if its requests are to be counted.
pub struct Service {
    api: Api,
    router: Router<AllSessions>,
}

impl Service {
    /// The API, and the ways to its sessions.
    pub const fn new(api: Api, router: Router<AllSessions>) -> Self {
        Self { api, router }
    }

    /// The ways to sessions.
    pub const fn router(&self) -> &Router<AllSessions> {
        &self.router
    }
}

impl Answer for Service {
    async fn answer(&self, request: Request<Incoming>, arrival: Arrival) -> Response<Body> {
        let (handler, mut answer) = match self.router.route(request, &arrival).await {
            Routed::Refused(answer) => (Handler::NOBODY, answer),
            Routed::Answer(endpoint, answer) => (Handler::of_sandbox(endpoint), answer),
            // It has named its route.
            Routed::Api(request) => {
                let (parts, body) = request.into_parts();
                return self.api.answer(&parts, body).await;
            }
        };
        answer.extensions_mut().insert(handler);
        answer
    }
}
