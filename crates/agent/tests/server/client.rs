//! A server of its own for each test, and a client.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use podbay_agent::init::Children;
use podbay_agent::key::SessionKey;
use podbay_agent::process::{ProcessSettings, Processes};
use podbay_agent::server::{Limits, Services, listen, serve};
use podbay_protocol::agent::{AgentError, AgentErrorCode, KEY_HEADER, path};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const KEY: &str = "the-key-of-the-session";
pub(crate) const POD: &str = "8a4c2f3e";
/// Long enough on a busy machine, short enough for a test that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server, until it is dropped, and a directory for its files.
pub(crate) struct Agent {
    pub(crate) address: SocketAddr,
    pub(crate) directory: tempfile::TempDir,
    end: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    /// What runs in it.
    pub(crate) processes: Processes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

pub(crate) const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
    /// Whether the body broke off.
    pub(crate) cut: bool,
}

impl Reply {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} {text:.500}: {error}", self.status))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(
            self.status.is_success(),
            "{} {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        assert!(!self.cut);
        self
    }

    #[track_caller]
    pub(crate) fn fails(&self, status: u16, code: AgentErrorCode) -> AgentError {
        let error: AgentError = self.json();
        assert_eq!(
            (self.status.as_u16(), error.code),
            (status, code),
            "{}",
            error.message
        );
        error
    }

    pub(crate) fn trailer(&self, name: &str) -> &str {
        self.trailers
            .get(name)
            .unwrap_or_else(|| panic!("no {name}: {self:?}"))
            .to_str()
            .unwrap()
    }
}

impl Agent {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Limits)) -> Self {
        Self::start_as(change, |services, _| services).await
    }

    /// Of services that are changed, given the directory.
    pub(crate) async fn start_as(
        change: impl FnOnce(&mut Limits),
        services_of: impl FnOnce(Services, &std::path::Path) -> Services,
    ) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::start_of(path, change, services_of).await
    }

    /// The same, where programs are sought on this path.
    pub(crate) async fn start_of(
        path: std::ffi::OsString,
        change: impl FnOnce(&mut Limits),
        services_of: impl FnOnce(Services, &std::path::Path) -> Services,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = ProcessSettings::default();
        settings.program = env!("CARGO_BIN_EXE_podbay-agent").into();
        settings.environment = vec![("PATH".into(), path)];
        settings
            .environment
            .push(("HOME".into(), directory.path().join("home").into()));
        let processes = Processes::new(settings, Children::of_this_program().unwrap());
        let key = SessionKey::new(&KEY.into()).unwrap();
        let services = services_of(Services::new(Some(key), POD, processes.clone()), directory.path());
        let mut limits = Limits::default();
        change(&mut limits);
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ends) = oneshot::channel();
        let served = tokio::spawn(serve(listener, services, limits, async {
            ends.await.unwrap_or(());
        }));
        Self {
            address,
            directory,
            processes,
            end: Some(end),
            served,
        }
    }

    /// Ends the server, as SIGTERM would.
    pub(crate) async fn ends(mut self) {
        self.end.take().unwrap().send(()).unwrap();
        tokio::time::timeout(PATIENCE, &mut self.served)
            .await
            .unwrap()
            .unwrap();
    }

    /// A file's place in the server's directory.
    pub(crate) fn at(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// A path of the API with a file's.
    pub(crate) fn of(&self, api: &str, name: &str, more: &str) -> String {
        let file = self.at(name);
        format!(
            "{api}?path={}{more}",
            path::encoded(file.as_os_str().as_encoded_bytes())
        )
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A request with the key, on a connection of its own.
    pub(crate) async fn ask(
        &self,
        protocol: Protocol,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Reply {
        self.send(
            protocol,
            method,
            path,
            &[(KEY_HEADER, KEY), ("te", "trailers")],
            body,
        )
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(Protocol::Http1, Method::GET, path, "").await
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        self.ask(Protocol::Http1, Method::PUT, path, body).await
    }

    pub(crate) async fn post(&self, path: &str, body: &impl Serialize) -> Reply {
        self.ask(
            Protocol::Http1,
            Method::POST,
            path,
            serde_json::to_vec(body).unwrap(),
        )
        .await
    }

    /// A request with these headers.
    pub(crate) async fn send(
        &self,
        protocol: Protocol,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let body = body.into();
        let authority = self.address.to_string();
        let uri = match protocol {
            Protocol::Http1 => path.to_owned(),
            Protocol::Http2 => format!("http://{authority}{path}"),
        };
        let mut request = Request::builder().method(method).uri(uri);
        if protocol == Protocol::Http1 {
            request = request.header("host", authority);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let work = async {
            match protocol {
                Protocol::Http1 => over_http1(self.tcp().await, request.body(Full::new(body)).unwrap()).await,
                Protocol::Http2 => {
                    let (client, connection) = h2::client::handshake(self.tcp().await).await.unwrap();
                    let driven = tokio::spawn(connection);
                    let reply = over_http2(client, request.body(()).unwrap(), body).await;
                    driven.abort();
                    reply
                }
            }
        };
        tokio::time::timeout(PATIENCE, work).await.unwrap()
    }
}

async fn over_http1(stream: TcpStream, request: Request<Full<Bytes>>) -> Reply {
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let driven = tokio::spawn(connection);
    let (head, mut body) = client.send_request(request).await.unwrap().into_parts();
    let mut reply = Reply {
        status: head.status,
        headers: head.headers,
        body: Vec::new(),
        trailers: HeaderMap::new(),
        cut: false,
    };
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => reply.body.extend(data),
            Ok(Err(frame)) => reply.trailers = frame.into_trailers().unwrap(),
            Err(_) => reply.cut = true,
        }
    }
    driven.abort();
    reply
}

/// A request on a connection that others use, too.
pub(crate) async fn over_http2(
    client: h2::client::SendRequest<Bytes>,
    request: Request<()>,
    mut body: Bytes,
) -> Reply {
    let mut client = client.ready().await.unwrap();
    let (answer, mut stream) = client.send_request(request, body.is_empty()).unwrap();
    let sending = async {
        while !body.is_empty() {
            stream.reserve_capacity(body.len());
            match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(Ok(capacity)) => {
                    let part = body.split_to(capacity);
                    if stream.send_data(part, body.is_empty()).is_err() {
                        return;
                    }
                }
                // It was answered before it was read.
                _ => return,
            }
        }
    };
    let receiving = async {
        let (head, mut body) = answer.await.unwrap().into_parts();
        let mut reply = Reply {
            status: head.status,
            headers: head.headers,
            body: Vec::new(),
            trailers: HeaderMap::new(),
            cut: false,
        };
        while let Some(data) = body.data().await {
            let Ok(data) = data else {
                reply.cut = true;
                return reply;
            };
            body.flow_control().release_capacity(data.len()).unwrap();
            reply.body.extend(data);
        }
        reply.trailers = body.trailers().await.ok().flatten().unwrap_or_default();
        reply
    };
    tokio::join!(sending, receiving).1
}

/// All that runs here, agent and clients, stands still for so long, as in a sandbox that is paused.
#[expect(
    clippy::disallowed_methods,
    reason = "that the runtime is blocked is what is wanted"
)]
pub(crate) fn stand_still(time: Duration) {
    std::thread::sleep(time);
}
