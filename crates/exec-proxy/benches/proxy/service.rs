//! A service with the router alone, over one session, whose requests are named, counted and traced as those of `podbay serve`.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, Response};
use hyper::body::Incoming;
use podbay_exec_proxy::Body;
use podbay_exec_proxy::listen::{Answer, Arrival, Limits, Listening, serve};
use podbay_exec_proxy::routing::url::{Scheme, Separator, UrlStyle};
use podbay_exec_proxy::routing::{Routed, Router, RoutingSettings};
use podbay_exec_proxy::sessions::{NotKnown, NotWoken, Route, SandboxPorts, Sessions};
use podbay_exec_proxy::telemetry::{Metrics, RequestTelemetry};
use podbay_manifests::{KeyHash, RuntimeId};
use podbay_runtime::SessionState;
use podbay_runtime::dial::{BoxIo, DialError, Dialer as _, Loopback, SandboxAddress};
use tokio::net::TcpListener;

/// The session's host.
pub(crate) const HOST: &str = "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5.example.test";
/// Its key.
pub(crate) const KEY: &str = "the-key-of-the-session";

/// One session, which is ready, and whose every port is that of the sandbox.
struct One {
    route: Route,
    sandbox: u16,
}

#[async_trait]
impl Sessions for One {
    async fn route(&self, id: &RuntimeId) -> Result<Option<Route>, NotKnown> {
        Ok((*id == self.route.runtime_id).then(|| self.route.clone()))
    }

    async fn changed(&self, _: &Route) {
        std::future::pending::<()>().await;
    }

    async fn wake(&self, _: &RuntimeId) -> Result<(), NotWoken> {
        Ok(())
    }

    async fn connect(&self, address: &SandboxAddress, _: u16) -> Result<BoxIo, DialError> {
        Loopback.connect(address, self.sandbox).await
    }
}

struct Routing(Router<One>);

impl Answer for Routing {
    async fn answer(&self, request: Request<Incoming>, arrival: Arrival) -> Response<Body> {
        match self.0.route(request, &arrival).await {
            Routed::Refused(answer) | Routed::Answer(_, answer) => answer,
            Routed::Api(_) => Response::new(Body::empty()),
        }
    }
}

/// Serves until it is ended, and says on which port.
pub(crate) fn run(sandbox: &str) {
    let route = Route {
        runtime_id: HOST[..32].parse().unwrap(),
        session: "demo".parse().unwrap(),
        owner: None,
        state: SessionState::Ready(None),
        failure: None,
        address: Some(SandboxAddress::on_this_machine("demo", "pod")),
        ports: SandboxPorts {
            server: 60_000,
            vscode: 60_001,
            work: [12_000, 12_001],
        },
        key: Some(KeyHash::of(KEY.as_bytes())),
        vscode_token: None,
        public: false,
    };
    let sessions = Arc::new(One {
        route,
        sandbox: sandbox.parse().unwrap(),
    });
    let style = UrlStyle::Host {
        scheme: Scheme::Http,
        domain: "example.test".parse().unwrap(),
        separator: Separator::Dot,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        let metrics = Metrics::default();
        let router = Router::new(sessions, RoutingSettings::new(style)).with_metrics(metrics.clone());
        let service = RequestTelemetry::new(Routing(router), metrics.clone());
        let ends = std::future::pending();
        serve(
            listener,
            Listening {
                metrics,
                ..Listening::default()
            },
            Arc::new(service),
            Limits::default(),
            ends,
        )
        .await;
    });
}
