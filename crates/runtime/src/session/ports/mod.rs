//! What listens in a session's sandbox, reached from here.
//!
//! ```text
//!   mod.rs     connections to a port, by the ways there are; ports of this machine that lead there
//!   carry.rs   bytes carried both ways between two connections
//! ```

mod carry;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use podbay_k8s_client::{Error as ClientError, ErrorKind};
use podbay_protocol::DialWay;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::handle::{Place, Session};
use crate::dial::{BoxIo, SandboxAddress};
use crate::error::{Error, FailedWay, NoWayToPort, chain};

/// How long a sandbox's address is taken for its own without another look: it may have been given to another pod since.
const FRESH: Duration = Duration::from_secs(5);
/// How long nothing is accepted after the system could not give a connection.
const PAUSE: Duration = Duration::from_millis(50);

/// What becomes of a connection to a port of this machine that leads to a session's.
#[derive(Debug)]
#[non_exhaustive]
pub enum Forwarded {
    /// It is carried on.
    Connected {
        /// Who has connected here.
        from: SocketAddr,
        /// The way it goes.
        way: DialWay,
    },
    /// It could not be carried on, and was closed.
    Refused {
        /// Who had connected here.
        from: SocketAddr,
        /// Why.
        error: Box<Error>,
    },
    /// It broke.
    Broken {
        /// Who had connected here.
        from: SocketAddr,
        /// In the words of who carried it.
        message: String,
    },
}

/// The way to a session's ports, and what was learned of it.
struct Ports<'a> {
    session: &'a Session,
    known: Mutex<Known>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// Where the sandbox is, and when that was looked at.
    address: Option<(SandboxAddress, Instant)>,
    /// What led to a port of it before.
    way: Option<DialWay>,
}

impl Session {
    /// Where its sandbox is; why there is none is the error.
    pub async fn sandbox(&self) -> Result<SandboxAddress, Error> {
        Ports::new(self).look().await
    }

    /// Connects to a port of its sandbox, by the first of the [ways](crate::Podbay::dialers) that leads there. What listens there
    /// is the sandbox's own: nobody proves anything. By the API server's port-forward that nothing listens shows when the
    /// connection is first read, and the end of one direction is that of both.
    pub async fn connect(&self, port: u16) -> Result<(BoxIo, DialWay), Error> {
        Ports::new(self).connect(port).await
    }

    /// Carries each connection that is made to `listener` on to a port of its sandbox, and tells what becomes of it. Goes on until it
    /// is dropped, which ends the connections, or until the session is paused, lost or closed: that is the error.
    pub async fn forward(
        &self,
        listener: TcpListener,
        port: u16,
        tell: impl Fn(Forwarded),
    ) -> Result<Infallible, Error> {
        let ports = Ports::new(self);
        let mut carried = JoinSet::new();
        let mut dialled = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((local, from)) => {
                        let ports = &ports;
                        dialled.push(async move { (local, from, ports.connect(port).await) });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        sleep(PAUSE).await;
                    }
                },
                Some((local, from, connected)) = dialled.next() => match connected {
                    Ok((remote, way)) => {
                        tell(Forwarded::Connected { from, way });
                        carried.spawn(async move { (from, carry_on(local, remote, way).await) });
                    }
                    Err(error) if is_final(&error) => return Err(error),
                    Err(error) => tell(Forwarded::Refused { from, error: Box::new(error) }),
                },
                Some(ended) = carried.join_next() => {
                    if let Ok((from, Err(error))) = ended {
                        tell(Forwarded::Broken { from, message: chain(&error) });
                    }
                }
            }
        }
    }
}

async fn carry_on(mut local: TcpStream, mut remote: BoxIo, way: DialWay) -> std::io::Result<()> {
    // A socket that refuses that works all the same.
    let _ = local.set_nodelay(true);
    match way {
        DialWay::PortForward => carry::carry_whole(&mut local, &mut remote).await,
        _ => carry::carry(&mut local, &mut remote).await,
    }
}

/// Whether no other connection will be made either.
fn is_final(error: &Error) -> bool {
    matches!(
        error,
        Error::NotFound { .. }
            | Error::NotHere { .. }
            | Error::Paused { .. }
            | Error::Lost { .. }
            | Error::Start { .. }
            | Error::NameTaken { .. }
    )
}

impl<'a> Ports<'a> {
    fn new(session: &'a Session) -> Self {
        Self {
            session,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, port: u16) -> Result<(BoxIo, DialWay), Error> {
        let known = self.known().address.clone();
        let address = match known.filter(|(_, looked)| looked.elapsed() < FRESH) {
            Some((address, _)) => address,
            None => self.look().await?,
        };
        let failed = match self.dial(&address, port).await {
            Ok(connected) => return Ok(connected),
            Err(failed) => failed,
        };
        // Is it the sandbox that was meant? Its session may be paused or closed, or have another pod by now.
        let now = self.look().await?;
        if now.uid() != address.uid() {
            return self
                .dial(&now, port)
                .await
                .map_err(|failed| self.error(port, failed));
        }
        Err(self.error(port, failed))
    }

    fn error(&self, port: u16, source: NoWayToPort) -> Error {
        Error::Port {
            session: self.session.id().to_owned(),
            port,
            source: Box::new(source),
        }
    }

    /// Looks where the sandbox is.
    async fn look(&self) -> Result<SandboxAddress, Error> {
        let address = match (self.session.address().await?, self.session.home()) {
            (Some(address), _) => address,
            (None, Place::Cluster(session)) => {
                let missing = ClientError::new("find the session's pod", ErrorKind::NotFound);
                return Err(Box::pin(session.explain(missing)).await);
            }
            (None, Place::Machine(session)) => return Err(session.not_found()),
        };
        self.known().address = Some((address.clone(), Instant::now()));
        Ok(address)
    }

    /// Tries each way, the one that led there before first.
    async fn dial(&self, address: &SandboxAddress, port: u16) -> Result<(BoxIo, DialWay), NoWayToPort> {
        let before = self.known().way;
        let mut dialers = self.session.podbay().dialers();
        dialers.sort_by_key(|dialer| Some(dialer.way()) != before);
        let mut tried = Vec::new();
        for dialer in dialers {
            let way = dialer.way();
            match dialer.connect(address, port).await {
                Ok(connection) => {
                    self.known().way = Some(way);
                    return Ok((connection, way));
                }
                Err(error) => tried.push(FailedWay {
                    way,
                    code: error.code(),
                    source: error.into(),
                }),
            }
        }
        Err(NoWayToPort { tried })
    }
}
