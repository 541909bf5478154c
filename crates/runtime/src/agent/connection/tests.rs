//! Connections to an agent that is played here, over pipes that go silent when they are told to.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use hmac::{Hmac, Mac as _};
use hyper::server::conn::http2 as server;
use hyper::service::service_fn;
use podbay_protocol::agent::proof::message;
use podbay_protocol::hex::to_hex;
use podbay_protocol::{ErrorCode, TransportKind};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio_util::sync::CancellationToken;

use super::super::request::empty;
use super::*;
use crate::dial::{BoxIo, DialError};

const KEY: &str = "the-sessions-key";
const PORT: u16 = 10022;

/// An agent, and the way to it.
struct Agent {
    way: DialWay,
    /// The key that it knows.
    key: &'static str,
    /// Fails each connection, if there is something to say.
    fails: Option<io::ErrorKind>,
    dialled: AtomicUsize,
    /// Bytes that came from the client.
    received: Arc<AtomicUsize>,
    /// From when on nothing passes, on the connections there are.
    silent: Mutex<CancellationToken>,
    /// What was asked, and whether with a key.
    asked: Arc<Mutex<Vec<(String, bool)>>>,
    /// The connections there are.
    served: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl Agent {
    fn new(way: DialWay) -> Arc<Self> {
        Arc::new(Self::knowing(way, KEY, None))
    }

    fn knowing(way: DialWay, key: &'static str, fails: Option<io::ErrorKind>) -> Self {
        Self {
            way,
            key,
            fails,
            dialled: AtomicUsize::new(0),
            received: Arc::default(),
            silent: Mutex::default(),
            asked: Arc::default(),
            served: Mutex::default(),
        }
    }

    /// Nothing passes any longer on the connections there are, which stay open.
    fn fall_silent(&self) {
        let silent = std::mem::take(&mut *self.silent.lock().unwrap());
        silent.cancel();
    }

    /// Closes the connections there are.
    fn end(&self) {
        for served in self.served.lock().unwrap().drain(..) {
            served.abort();
        }
    }

    fn dialled(&self) -> usize {
        self.dialled.load(Ordering::Relaxed)
    }

    /// Serves one connection.
    fn serve(&self, io: DuplexStream) {
        let (key, asked) = (self.key, Arc::clone(&self.asked));
        let service = service_fn(move |request: Request<Incoming>| {
            let asked = Arc::clone(&asked);
            async move {
                let (path, has_key) = (
                    request.uri().path().to_owned(),
                    request.headers().contains_key(KEY_HEADER),
                );
                asked.lock().unwrap().push((path.clone(), has_key));
                let body = request.into_body().collect().await?.to_bytes();
                let answer = if path == path::PROOF {
                    prove(key, &body)
                } else {
                    Bytes::from_static(b"done")
                };
                Ok::<_, hyper::Error>(Response::new(Full::new(answer)))
            }
        });
        let served = tokio::spawn(async move {
            let _ = server::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(io), service)
                .await;
        });
        self.served.lock().unwrap().push(served);
    }
}

/// As the agent of the pod `uid` does it.
fn prove(key: &str, question: &[u8]) -> Bytes {
    let question: ProofRequest = serde_json::from_slice(question).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(&message(&question.nonce, "uid"));
    let proof = to_hex(&mac.finalize().into_bytes());
    serde_json::to_vec(&ProofAnswer { proof }).unwrap().into()
}

#[async_trait]
impl Dialer for Agent {
    fn way(&self) -> DialWay {
        self.way
    }

    async fn connect(&self, address: &SandboxAddress, _: u16) -> Result<BoxIo, DialError> {
        self.dialled.fetch_add(1, Ordering::Relaxed);
        if let Some(kind) = self.fails {
            return Err(DialError::Unreachable {
                session: address.session().to_owned(),
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
                source: kind.into(),
            });
        }
        let (client, outside) = tokio::io::duplex(64 << 10);
        let (inside, agent) = tokio::io::duplex(64 << 10);
        self.serve(agent);
        let silent = self.silent.lock().unwrap().clone();
        let (from_client, to_client) = tokio::io::split(outside);
        let (from_agent, to_agent) = tokio::io::split(inside);
        let received = Arc::clone(&self.received);
        tokio::spawn(pass(from_client, to_agent, silent.clone(), received));
        tokio::spawn(pass(from_agent, to_client, silent, Arc::default()));
        Ok(Box::new(client))
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    silent: CancellationToken,
    passed: Arc<AtomicUsize>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(read @ 1..) if to.write_all(&buffer[..read]).await.is_ok() => {
                    passed.fetch_add(read, Ordering::Relaxed);
                }
                _ => return,
            },
            // Both ends stay open, and hear nothing.
            () = silent.cancelled() => std::future::pending().await,
        }
    }
}

fn connection(agents: &[&Arc<Agent>]) -> AgentConnection {
    let dialers = agents.iter().map(|agent| Arc::clone(agent) as Arc<dyn Dialer>);
    let ways = Ways::new(dialers.collect(), false);
    let address = SandboxAddress::for_tests("demo", "uid");
    AgentConnection::new(Arc::new(ways), address, PORT, KEY.into())
}

async fn ask(connection: &AgentConnection) -> Result<Bytes, AgentFailure> {
    let request = Request::get("/anything").body(empty()).unwrap();
    let answer = connection.send(request).await?;
    let body = answer.into_body().collect().await.map_err(AgentFailure::lost)?;
    Ok(body.to_bytes())
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_by_pings() {
    let agent = Agent::new(DialWay::PortForward);
    let connection = connection(&[&agent]);
    ask(&connection).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = agent.received.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let pings = (agent.received.load(Ordering::Relaxed) - before) / PING_BYTES;
    assert!((29..=31).contains(&pings), "{pings}");
    ask(&connection).await.unwrap();
    assert_eq!(agent.dialled(), 1);
}

/// A PING frame: nine bytes of head, eight of its own (RFC 9113, 6.7).
const PING_BYTES: usize = 17;

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_given_up_within_forty_seconds_and_made_again() {
    let agent = Agent::new(DialWay::PortForward);
    let connection = connection(&[&agent]);
    ask(&connection).await.unwrap();
    agent.fall_silent();
    let begun = Instant::now();
    let lost = ask(&connection).await.unwrap_err();
    assert_eq!(lost.code(), ErrorCode::Disconnected);
    assert!(
        begun.elapsed() <= Duration::from_secs(40),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(ask(&connection).await.unwrap(), "done");
    assert_eq!(agent.dialled(), 2);
}

#[tokio::test(start_paused = true)]
async fn it_is_fresh_for_five_seconds_after_an_answer_and_while_it_is_there() {
    let agent = Agent::new(DialWay::PodIp);
    let connection = connection(&[&agent]);
    assert!(!connection.is_fresh(Instant::now()));
    connection.ensure().await.unwrap();
    let heard = Instant::now();
    assert!(connection.is_fresh(heard));
    assert!(connection.is_fresh(heard + Duration::from_millis(4999)));
    assert!(!connection.is_fresh(heard + FRESH));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!connection.is_fresh(Instant::now()));
    ask(&connection).await.unwrap();
    assert!(connection.is_fresh(Instant::now()));
    agent.end();
    let ended = async {
        while connection.is_fresh(heard) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_many_who_need_a_connection_one_makes_it() {
    let agent = Agent::new(DialWay::PodIp);
    let connection = connection(&[&agent]);
    let asked = (0..50).map(|_| ask(&connection));
    for answer in futures::future::join_all(asked).await {
        answer.unwrap();
    }
    assert_eq!(agent.dialled(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_learns_nothing() {
    let agent = Arc::new(Agent::knowing(DialWay::PodIp, "another", None));
    let connection = connection(&[&agent]);
    let failure = ask(&connection).await.unwrap_err();
    assert!(matches!(failure, AgentFailure::Stranger { .. }), "{failure:?}");
    let asked = agent.asked.lock().unwrap().clone();
    assert_eq!(asked, [(path::PROOF.to_owned(), false)]);
}

#[tokio::test(start_paused = true)]
async fn the_next_way_takes_the_place_of_one_that_leads_nowhere() {
    let refused = Some(io::ErrorKind::ConnectionRefused);
    let pod_ip = Arc::new(Agent::knowing(DialWay::PodIp, KEY, refused));
    let stranger = Arc::new(Agent::knowing(DialWay::PortForward, "another", None));
    let bridge = Agent::new(DialWay::Stdio);
    let connection = connection(&[&pod_ip, &stranger, &bridge]);
    assert_eq!(ask(&connection).await.unwrap(), "done");
    let used = connection.used().await.unwrap();
    assert_eq!(
        (used.kind, used.dial),
        (TransportKind::Agent, Some(DialWay::Stdio))
    );
    let ways: Vec<_> = used.passed_over.iter().map(|passed| passed.way).collect();
    assert_eq!(ways, [DialWay::PodIp, DialWay::PortForward]);
    assert!(used.passed_over[0].why.contains("refused"), "{used:?}");
    // The key went to nobody but the agent.
    assert!(stranger.asked.lock().unwrap().iter().all(|(_, has_key)| !has_key));
    // What broke is made again by the way that led there.
    bridge.fall_silent();
    tokio::time::sleep(Duration::from_secs(41)).await;
    ask(&connection).await.unwrap();
    assert_eq!((pod_ip.dialled(), bridge.dialled()), (1, 2));
}

/// A way that never answers is one that leads nowhere.
#[tokio::test(start_paused = true)]
async fn a_way_without_an_answer_is_given_up() {
    let mute = Agent::new(DialWay::PodIp);
    mute.silent.lock().unwrap().cancel();
    let agent = Agent::new(DialWay::PortForward);
    let connection = connection(&[&mute, &agent]);
    let begun = Instant::now();
    ask(&connection).await.unwrap();
    assert!(begun.elapsed() <= PROOF_TIMEOUT + Duration::from_secs(1));
    let used = connection.used().await.unwrap();
    assert!(
        used.told()
            .unwrap()
            .contains("pod-ip: the sandbox's agent did not answer"),
        "{used:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_no_way_leads_to_is_told_with_each() {
    let refused = Some(io::ErrorKind::ConnectionRefused);
    let pod_ip = Arc::new(Agent::knowing(DialWay::PodIp, KEY, refused));
    let stranger = Arc::new(Agent::knowing(DialWay::PortForward, "another", None));
    let failure = connection(&[&pod_ip, &stranger]).ensure().await.unwrap_err();
    let said = failure.to_string();
    assert!(
        said.contains("pod-ip: ") && said.contains("port-forward: "),
        "{said}"
    );
    assert_eq!(failure.code(), ErrorCode::Unavailable);
    let ways: Vec<_> = failure.passed_over().iter().map(|passed| passed.way).collect();
    assert_eq!(ways, [DialWay::PodIp, DialWay::PortForward]);
}
