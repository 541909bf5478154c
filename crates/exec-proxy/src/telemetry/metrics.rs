//! What is counted.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use podbay_protocol::Cause;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{By, Code, Failure, Handler, Phase, Request, Start, Wake, Way};

/// Seconds that divide requests: from what a proxied one takes to what a held one does.
const REQUEST_SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0,
];
/// The same of starts and their steps: from the kubelet's floor to what a pull of a large image takes.
const START_SECONDS: [f64; 11] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// What the service counts. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    requests: Family<Request, Counter>,
    seconds: Family<By, Histogram>,
    in_flight: Gauge,
    connections: Gauge,
    accepted: Counter,
    upgraded: Gauge,
    to_sandboxes: Counter,
    from_sandboxes: Counter,
    bytes: Family<Way, Counter>,
    starts: Family<Start, Counter>,
    start_seconds: Family<Phase, Histogram>,
    failures: Family<Failure, Counter>,
    wakes: Family<Wake, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let bytes = Family::<Way, Counter>::default();
        let way = |direction| bytes.get_or_create_owned(&Way { direction });
        Self(Arc::new(Counts {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            accepted: Counter::default(),
            upgraded: Gauge::default(),
            to_sandboxes: way("to_sandbox"),
            from_sandboxes: way("from_sandbox"),
            bytes,
            starts: Family::default(),
            start_seconds: Family::new_with_constructor(|| Histogram::new(START_SECONDS)),
            failures: Family::default(),
            wakes: Family::default(),
        }))
    }
}

/// Counts something that is there, until it is dropped.
#[derive(Debug)]
pub(crate) struct There(Gauge);

impl There {
    fn begin(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for There {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// A request that is being answered.
    pub(crate) fn asked(&self) -> There {
        There::begin(&self.0.in_flight)
    }

    /// A request whose answer has begun, after so long.
    pub(crate) fn answered(&self, handler: Handler, status: StatusCode, after: Duration) {
        let request = Request {
            handler: handler.0,
            code: Code::of(handler, status),
        };
        self.0.requests.get_or_create(&request).inc();
        let by = By { handler: handler.0 };
        self.0.seconds.get_or_create(&by).observe(after.as_secs_f64());
    }

    /// A connection of a client.
    pub(crate) fn connected(&self) -> There {
        self.0.accepted.inc();
        There::begin(&self.0.connections)
    }

    /// A connection that is no longer HTTP.
    pub(crate) fn upgraded(&self) -> There {
        There::begin(&self.0.upgraded)
    }

    /// Bytes of bodies and of upgraded connections that went to sandboxes.
    pub(crate) fn bytes_to_sandboxes(&self) -> Counter {
        self.0.to_sandboxes.clone()
    }

    /// The same that came from them.
    pub(crate) fn bytes_from_sandboxes(&self) -> Counter {
        self.0.from_sandboxes.clone()
    }

    /// A step of a start that is over, and how long it took; or all of a start.
    pub(crate) fn step(&self, phase: &Phase, took: Duration) {
        let histogram = self.0.start_seconds.get_or_create(phase);
        histogram.observe(took.as_secs_f64());
    }

    /// A start that has ended with a session that is ready.
    pub(crate) fn started(&self) {
        self.0.starts.get_or_create(&Start { result: "ready" }).inc();
    }

    /// One that has failed, and why.
    pub(crate) fn not_started(&self, cause: Option<Cause>) {
        self.0.starts.get_or_create(&Start { result: "failed" }).inc();
        self.0.failures.get_or_create(&cause.into()).inc();
    }

    /// What came of a request that wakes a paused session.
    pub(crate) fn woken(&self, result: &'static str) {
        self.0.wakes.get_or_create(&Wake { result }).inc();
    }

    /// Has all of it shown.
    pub(super) fn register(&self, registry: &mut Registry) {
        let Counts {
            requests,
            seconds,
            in_flight,
            connections,
            accepted,
            upgraded,
            to_sandboxes: _,
            from_sandboxes: _,
            bytes,
            starts,
            start_seconds,
            failures,
            wakes,
        } = &*self.0;
        registry.register(
            "http_requests",
            "Requests answered, by who answered and with what: a route of the API, a port of a sandbox (its status by hundreds)",
            requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "From a request's head until the head of its answer, also while it was held",
            Unit::Seconds,
            seconds.clone(),
        );
        registry.register(
            "http_requests_in_flight",
            "Requests whose answer has not begun",
            in_flight.clone(),
        );
        registry.register("connections", "Connections of clients", connections.clone());
        registry.register(
            "connections_accepted",
            "Connections of clients since the start",
            accepted.clone(),
        );
        registry.register(
            "upgraded_connections",
            "Connections between clients and sandboxes that are no longer HTTP, such as WebSockets",
            upgraded.clone(),
        );
        registry.register_with_unit(
            "proxied",
            "Bytes of bodies and of upgraded connections, without what HTTP adds",
            Unit::Bytes,
            bytes.clone(),
        );
        registry.register(
            "session_starts",
            "Starts that this process has seen to their end: ready, or failed",
            starts.clone(),
        );
        registry.register_with_unit(
            "session_start_duration",
            "Steps of the starts that this process has made, and all of one (phase=\"total\", of those that became ready)",
            Unit::Seconds,
            start_seconds.clone(),
        );
        registry.register(
            "session_start_failures",
            "Starts that failed, by the cause of their verdict",
            failures.clone(),
        );
        registry.register(
            "session_wakes",
            "Requests that were to wake a paused session",
            wakes.clone(),
        );
    }
}
