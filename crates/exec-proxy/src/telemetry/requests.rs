//! What is told of each request, around whoever answers it.

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::labels::Handler;
use super::metrics::Metrics;
use super::request_id::RequestId;
use crate::body::Body;
use crate::listen::{Answer, Arrival};

/// Answers as another does, and gives each request a name, counts it and logs how it was answered.
///
/// Which part of the service answered is an extension of the answer; one without is counted as `unknown`.
#[derive(Debug)]
pub struct RequestTelemetry<A> {
    answers: A,
    metrics: Metrics,
}

impl<A> RequestTelemetry<A> {
    /// Around `answers`; counted in `metrics`.
    pub const fn new(answers: A, metrics: Metrics) -> Self {
        Self { answers, metrics }
    }

    /// Who answers.
    pub const fn inner(&self) -> &A {
        &self.answers
    }
}

impl<A: Answer> Answer for RequestTelemetry<A> {
    async fn answer(&self, mut request: Request<Incoming>, arrival: Arrival) -> Response<Body> {
        let begun = Instant::now();
        let _there = self.metrics.asked();
        let id = RequestId::of(request.headers());
        id.put(request.headers_mut());
        let span = tracing::info_span!("request", request_id = %id, runtime_id = tracing::field::Empty);
        let answered = self.answers.answer(request, arrival).instrument(span.clone());
        let mut answer = answered.await;
        let took = begun.elapsed();
        id.put(answer.headers_mut());
        let handler = answer.extensions().get().copied().unwrap_or(Handler::UNKNOWN);
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
