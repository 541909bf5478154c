//! A service with the router alone, over sessions that a test scripts, before sandboxes on this machine.

mod client;
mod sandbox;
mod sessions;

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use podbay_exec_proxy::Body;
use podbay_exec_proxy::listen::{Answer, Arrival, Limits, Listening, serve};
use podbay_exec_proxy::routing::domain::Domain;
use podbay_exec_proxy::routing::url::{Scheme, Separator, UrlStyle};
use podbay_exec_proxy::routing::{Routed, Router, RoutingSettings};
use podbay_manifests::RuntimeId;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use client::{Client, get, http2, text, upgrade};
pub(crate) use sandbox::{Sandbox, answering, answering_with, echoing, raw, unbound};
pub(crate) use sessions::{KEY, PORTS, Scripted, ready};

/// The session that tests ask for.
pub(crate) fn id() -> RuntimeId {
    RuntimeId::from_random([0xa5; 16])
}

/// Its host.
pub(crate) fn host() -> String {
    format!("{}.example.test", id())
}

/// Settings of host style.
pub(crate) fn settings() -> RoutingSettings {
    RoutingSettings::new(UrlStyle::Host {
        scheme: Scheme::Http,
        domain: domain("example.test"),
        separator: Separator::Dot,
    })
}

pub(crate) fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

/// A service with the router alone.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    pub(crate) router: Arc<Router<Scripted>>,
    end: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

pub(crate) struct Routing(pub(crate) Arc<Router<Scripted>>);

impl Answer for Routing {
    async fn answer(&self, request: Request<Incoming>, arrival: Arrival) -> Response<Body> {
        match self.0.route(request, &arrival).await {
            Routed::Refused(answer) | Routed::Answer(_, answer) => answer,
            Routed::Api(_) => Response::new(Body::from("the API")),
        }
    }
}

impl Proxy {
    /// With the usual settings.
    pub(crate) async fn over(sessions: &Arc<Scripted>) -> Self {
        Self::with(sessions, settings(), Limits::default(), Listening::default()).await
    }

    pub(crate) async fn with(
        sessions: &Arc<Scripted>,
        settings: RoutingSettings,
        limits: Limits,
        listening: Listening,
    ) -> Self {
        Self::of(Router::new(Arc::clone(sessions), settings), limits, listening).await
    }

    pub(crate) async fn of(router: Router<Scripted>, limits: Limits, listening: Listening) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Arc::new(router);
        let (end, ends) = oneshot::channel();
        let answer = Arc::new(Routing(Arc::clone(&router)));
        let serving = tokio::spawn(serve(listener, listening, answer, limits, async {
            let _ = ends.await;
        }));
        Self {
            address,
            router,
            end: Some(end),
            serving,
        }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Ends it; gives what waits until it has ended.
    pub(crate) fn end(&mut self) -> &mut JoinHandle<()> {
        drop(self.end.take());
        &mut self.serving
    }
}
