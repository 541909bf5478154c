//! One request's way: to the API, or to a session's sandbox.

use http::{Request, Response};
use hyper::body::Incoming;

use crate::api::Api;
use crate::body::Body;
use crate::listen::{Answer, Arrival};
use crate::routing::{Routed, Router};
use crate::sessions::ServiceSessions;

/// The service.
pub struct Service {
    api: Api,
    router: Router<ServiceSessions>,
}

impl Service {
    /// The API, and the ways to its sessions.
    pub const fn new(api: Api, router: Router<ServiceSessions>) -> Self {
        Self { api, router }
    }

    /// The ways to sessions.
    pub const fn router(&self) -> &Router<ServiceSessions> {
        &self.router
    }
}

impl Answer for Service {
    async fn answer(&self, request: Request<Incoming>, arrival: Arrival) -> Response<Body> {
        match self.router.route(request, &arrival).await {
            Routed::Answer(answer) => answer,
            Routed::Api(request) => {
                let (parts, body) = request.into_parts();
                self.api.answer(&parts, body).await
            }
        }
    }
}
