//! The connection to a pod's agent.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use podbay_protocol::agent::proof::{ProofAnswer, ProofRequest};
use podbay_protocol::agent::{KEY_HEADER, path};
use podbay_protocol::{DialWay, PassedOver, TransportUsed};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::proof;
use super::request::{Body, body};
use crate::dial::{Dialer, SandboxAddress, Ways};
use crate::error::{AgentFailure, TriedWay};

/// How long a new connection may take by one way, its first answer with it.
const PROOF_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer to the proof, at most.
const PROOF_LIMIT: usize = 4096;
/// What may be on its way to us, in bytes, of one answer and of all: below that a connection through the API server carries a
/// third of what it could.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Bytes of a frame that the agent may send: twice what all take, so that large answers cost less; a frame that a connection broke in is
/// sent again as a whole.
const FRAME: u32 = 32 << 10;
/// How often a connection is asked for a sign of life, and how long that may take: well below what load balancers bear of
/// silence (60 s), and a dead host is noticed within 40 s.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// For how long an answer of the agent tells that its pod is still the session's: short, because the pod of a node that was lost can be
/// replaced while the connection to it looks alive.
const FRESH: Duration = Duration::from_secs(5);

/// The connection to the agent of one pod, made when it is needed and made again when it broke. Cheap to clone; clones share it.
#[derive(Clone)]
pub(crate) struct AgentConnection(Arc<Shared>);

struct Shared {
    ways: Arc<Ways>,
    address: SandboxAddress,
    port: u16,
    key: SecretString,
    /// The newest connection. Held locked while one is made: of many who need it, one makes it.
    newest: tokio::sync::Mutex<Option<Newest>>,
    /// When the agent last answered.
    heard: Mutex<Option<Instant>>,
}

/// The newest connection, and how it was made.
struct Newest {
    sender: SendRequest<Body>,
    way: DialWay,
    passed_over: Vec<PassedOver>,
}

impl fmt::Debug for AgentConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentConnection")
            .field("address", &self.0.address)
            .field("port", &self.0.port)
            .finish_non_exhaustive()
    }
}

impl AgentConnection {
    /// To the agent that listens on `port` of the sandbox and knows `key`, by the first of the ways that leads there. Nothing is
    /// sent yet.
    pub(crate) fn new(ways: Arc<Ways>, address: SandboxAddress, port: u16, key: SecretString) -> Self {
        Self(Arc::new(Shared {
            ways,
            address,
            port,
            key,
            newest: tokio::sync::Mutex::default(),
            heard: Mutex::default(),
        }))
    }

    /// Whether the agent has answered within [`FRESH`] of `now`, over a connection that is still there. It proved itself as that of
    /// the pod with our uid, so that nothing needs to be asked of the cluster before the next request.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        let heard = *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // Where one is just being made there is none.
        let is_there = self
            .0
            .newest
            .try_lock()
            .is_ok_and(|newest| newest.as_ref().is_some_and(|newest| !newest.sender.is_closed()));
        is_there && heard.is_some_and(|heard| now.duration_since(heard) < FRESH)
    }

    fn hears(&self) {
        let now = Some(Instant::now());
        *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// The pod that is meant.
    pub(crate) fn address(&self) -> &SandboxAddress {
        &self.0.address
    }

    /// Makes the connection, if there is none, and has the other side prove itself.
    pub(crate) async fn ensure(&self) -> Result<(), AgentFailure> {
        self.sender().await.map(drop)
    }

    /// How the newest connection was made; `None` before there was one.
    pub(crate) async fn used(&self) -> Option<TransportUsed> {
        let newest = self.0.newest.lock().await;
        newest
            .as_ref()
            .map(|newest| TransportUsed::agent(newest.way, newest.passed_over.clone()))
    }

    /// Sends a request with the session's key, and waits for the head of its answer. The request's URI is a path; nothing is
    /// repeated.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, AgentFailure> {
        let mut sender = self.sender().await?;
        let (mut parts, body) = request.into_parts();
        let mut key = HeaderValue::from_str(self.0.key.expose_secret()).map_err(|_| {
            let reason = "the session's key can't stand in a header".to_owned();
            AgentFailure::Unreadable { reason }
        })?;
        // Not shown by whatever prints headers, and not kept in compression tables.
        key.set_sensitive(true);
        parts.headers.insert(KEY_HEADER, key);
        parts.uri = self.absolute(&parts.uri);
        let answer = sender.send_request(Request::from_parts(parts, body)).await;
        let answer = answer.map_err(AgentFailure::lost)?;
        self.hears();
        Ok(answer)
    }

    /// HTTP/2 wants a scheme and an authority.
    fn absolute(&self, path: &Uri) -> Uri {
        let mut parts = path.clone().into_parts();
        parts.scheme = Some(http::uri::Scheme::HTTP);
        let authority = format!("podbay-agent:{}", self.0.port);
        parts.authority = authority.parse().ok();
        Uri::from_parts(parts).unwrap_or_else(|_| path.clone())
    }

    async fn sender(&self) -> Result<SendRequest<Body>, AgentFailure> {
        let mut newest = self.0.newest.lock().await;
        if let Some(held) = newest.as_ref().filter(|held| !held.sender.is_closed()) {
            return Ok(held.sender.clone());
        }
        let made = self.connect(newest.as_ref().map(|held| held.way)).await?;
        Ok(newest.insert(made).sender.clone())
    }

    /// Tries each way in its order, until one leads to the agent. The one that did so `before` is the first.
    async fn connect(&self, before: Option<DialWay>) -> Result<Newest, AgentFailure> {
        let ways = &self.0.ways;
        let mut tried: Vec<TriedWay> = Vec::new();
        for dialer in ways.in_order(before, Instant::now()) {
            let way = dialer.way();
            let made = tokio::time::timeout(PROOF_TIMEOUT, self.connect_by(&*dialer)).await;
            let made = made.unwrap_or(Err(AgentFailure::TimedOut {
                seconds: PROOF_TIMEOUT.as_secs(),
            }));
            match made {
                Ok(sender) => {
                    ways.avoid(tried.iter().map(|tried| tried.way), Instant::now());
                    let pod = self.0.address.pod_name();
                    tracing::info!(pod, %way, "connected to the sandbox's agent");
                    return Ok(Newest {
                        sender,
                        way,
                        passed_over: tried.iter().map(TriedWay::passed_over).collect(),
                    });
                }
                Err(failure) => {
                    let tried_now = TriedWay { way, failure };
                    let PassedOver { way, why } = tried_now.passed_over();
                    tracing::info!(pod = self.0.address.pod_name(), %way, why, "a way to the sandbox's agent leads nowhere");
                    tried.push(tried_now);
                }
            }
        }
        Err(AgentFailure::of_ways(tried))
    }

    async fn connect_by(&self, dialer: &dyn Dialer) -> Result<SendRequest<Body>, AgentFailure> {
        let shared = &self.0;
        let dialled = dialer.connect(&shared.address, shared.port).await;
        let io = dialled.map_err(|error| AgentFailure::Unreachable {
            code: error.code(),
            source: error.into(),
        })?;
        let (mut sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            // What is still on its way for an answer that was given up counts as a fault to the library, which ends the
            // connection, and all commands that go over it, after 1,024 of these. They are no more than the windows let in.
            .max_local_error_reset_streams(None)
            .handshake(TokioIo::new(io))
            .await
            .map_err(AgentFailure::lost)?;
        let pod = shared.address.pod_name().to_owned();
        // Ends with the connection: when the last sender is dropped, or it breaks.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, pod, "the connection to an agent ended");
            }
        });
        self.demand_proof(&mut sender).await?;
        Ok(sender)
    }

    /// Has the other side prove that it knows the key. Until then it learns nothing.
    async fn demand_proof(&self, sender: &mut SendRequest<Body>) -> Result<(), AgentFailure> {
        let stranger = || AgentFailure::Stranger {
            pod: self.0.address.pod_name().to_owned(),
        };
        let nonce = proof::nonce(rand::random()).ok_or_else(stranger)?;
        let question = serde_json::to_vec(&ProofRequest { nonce: nonce.clone() }).unwrap_or_default();
        let request = Request::post(self.absolute(&Uri::from_static(path::PROOF)))
            .body(body(Full::new(Bytes::from(question))))
            .map_err(AgentFailure::lost)?;
        let answer = sender.send_request(request).await.map_err(AgentFailure::lost)?;
        let text = Limited::new(answer.into_body(), PROOF_LIMIT)
            .collect()
            .await
            .map_err(AgentFailure::lost)?
            .to_bytes();
        let answer: ProofAnswer = serde_json::from_slice(&text).map_err(|_| stranger())?;
        let key = self.0.key.expose_secret().as_bytes();
        if proof::holds(key, &nonce, self.0.address.uid(), &answer.proof) {
            self.hears();
            Ok(())
        } else {
            Err(stranger())
        }
    }
}

#[cfg(test)]
mod tests;
