//! An API server on loopback that does what its script says and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::answer::Answer;
use super::connection::{Connection, Request, serve};

/// A running server; it ends with the value.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) state: Arc<State>,
    task: AbortHandle,
}

/// What its connections share.
pub(crate) struct State {
    behaviour: Behaviour,
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
}

/// How requests are answered.
enum Behaviour {
    /// In this order.
    Script(Mutex<VecDeque<Step>>),
    /// By what they are.
    Judge(Box<dyn Fn(&Request) -> Answer + Send + Sync>),
}

/// What happens next.
#[derive(Clone)]
pub(crate) enum Step {
    /// The next connection is reset without a byte of it being read.
    ResetUnread,
    /// The next connection is held, and nothing of it is ever read.
    HoldUnread,
    /// The next connection is sent this before it asks for anything, and held.
    Greet(&'static str),
    /// The next request, of whichever connection, is answered so.
    Answer(Answer),
}

impl From<Answer> for Step {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// One that goes through `script`, and answers 404 after its end.
    pub(crate) async fn start<S: Into<Step>>(script: impl IntoIterator<Item = S>) -> Self {
        let script = script.into_iter().map(Into::into).collect();
        Self::run(Behaviour::Script(Mutex::new(script)), None).await
    }

    /// The same behind TLS.
    pub(crate) async fn tls<S: Into<Step>>(
        config: ServerConfig,
        script: impl IntoIterator<Item = S>,
    ) -> Self {
        let script = script.into_iter().map(Into::into).collect();
        Self::run(Behaviour::Script(Mutex::new(script)), Some(config)).await
    }

    /// One that answers each request by what it is.
    pub(crate) async fn judge(judge: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::run(Behaviour::Judge(Box::new(judge)), None).await
    }

    async fn run(behaviour: Behaviour, tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = Arc::new(State {
            behaviour,
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                match shared.on_accept() {
                    Some(Step::ResetUnread) => Connection::reset(&stream),
                    Some(Step::Greet(words)) => {
                        stream.write_all(words.as_bytes()).await.unwrap();
                        held.push(stream);
                    }
                    Some(Step::HoldUnread | Step::Answer(_)) => held.push(stream),
                    None => {
                        let (state, acceptor) = (Arc::clone(&shared), acceptor.clone());
                        tokio::spawn(async move {
                            match acceptor {
                                Some(acceptor) => {
                                    match acceptor.accept(stream).into_fallible().await {
                                        Ok(stream) => serve(Box::new(stream), number, &state).await,
                                        // Held until the client has read the alert: a close with its request
                                        // unread would reset the connection and throw the alert away.
                                        Err((_, mut stream)) => {
                                            let _ = stream.read_to_end(&mut Vec::new()).await;
                                        }
                                    }
                                }
                                None => serve(Box::new(stream), number, &state).await,
                            }
                        });
                    }
                }
            }
        });
        Self {
            address: format!("{scheme}://127.0.0.1:{port}"),
            state,
            task: task.abort_handle(),
        }
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    /// How many requests of `method` came so far.
    pub(crate) fn count(&self, method: &str) -> usize {
        let requests = self.requests();
        requests
            .iter()
            .filter(|request| request.line.starts_with(method))
            .count()
    }

    /// How many connections were accepted so far, whatever became of them.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// The resource versions that watches asked to go on from, in order.
    pub(crate) fn versions(&self) -> Vec<String> {
        let version = |request: Request| {
            let query = request.line.split_once("resourceVersion=")?.1.to_owned();
            let end = query.find(['&', ' ']).unwrap_or(query.len());
            Some(query[..end].to_owned())
        };
        let requests = self.requests().into_iter();
        requests
            .filter(|request| request.line.contains("watch=true"))
            .filter_map(version)
            .collect()
    }
}

impl State {
    /// What to do with a connection that just came; none is to serve it.
    fn on_accept(&self) -> Option<Step> {
        let Behaviour::Script(script) = &self.behaviour else {
            return None;
        };
        let mut script = script.lock().unwrap();
        match script.front() {
            None | Some(Step::Answer(_)) => None,
            Some(Step::ResetUnread | Step::HoldUnread | Step::Greet(_)) => script.pop_front(),
        }
    }

    /// Remembers `request`; what to do about it.
    pub(crate) fn answer(&self, request: Request) -> Answer {
        let answer = match &self.behaviour {
            Behaviour::Script(script) => {
                let mut script = script.lock().unwrap();
                match script.front().cloned() {
                    Some(Step::Answer(answer)) => {
                        script.pop_front();
                        answer
                    }
                    _ => Answer::status(404, "NotFound", "the script says nothing of this"),
                }
            }
            Behaviour::Judge(judge) => judge(&request),
        };
        self.requests.lock().unwrap().push(request);
        answer
    }
}
