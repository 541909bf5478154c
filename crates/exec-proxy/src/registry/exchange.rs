//! One question to a registry: to an address that was checked, with a time-out, and no redirect is followed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::rules::Place;
use super::{address, roots};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(4);
/// Bytes of an answer, at most: a manifest has 4 MiB.
const LIMIT: usize = 4 << 20;

/// What was answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Asks by HTTP/1.1.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    tls: Arc<ClientConfig>,
}

impl Asking {
    /// With the authorities that this machine trusts. The text says why there are none.
    pub(super) fn new() -> Result<Self, String> {
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            tls: Arc::new(
                config
                    .with_root_certificates(roots::roots())
                    .with_no_client_auth(),
            ),
        })
    }

    /// `GET` of a path. The text says why there is no answer.
    pub(super) async fn get(
        &self,
        place: &Place,
        path: &str,
        accept: &'static str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Reply, String> {
        let stream = connect(place).await?;
        let mut request = Request::get(path)
            .header(HOST, place.to_string())
            .header(USER_AGENT, concat!("podbay/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, accept)
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        if !place.is_tls {
            return exchange(stream, request).await;
        }
        let name = ServerName::try_from(place.host.clone()).map_err(|error| error.to_string())?;
        let connecting = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream);
        match timeout(CONNECT, connecting).await {
            Ok(Ok(stream)) => exchange(stream, request).await,
            Ok(Err(error)) => Err(format!("{place} does not agree on TLS: {error}")),
            Err(_) => Err(format!("{place} does not agree on TLS in time")),
        }
    }
}

/// Connects to one of the addresses that were looked at: the name is resolved once, so that it can't lead elsewhere the second time.
async fn connect(place: &Place) -> Result<TcpStream, String> {
    let found = timeout(CONNECT, lookup_host((place.host.as_str(), place.port))).await;
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(format!("{place} is not found: {error}")),
        Err(_) => return Err(format!("{place} is not found in time")),
    };
    for found in &addresses {
        address::check(found.ip(), place.may_be_private)
            .map_err(|why| format!("{place} leads to {}, and is not asked: {why}", found.ip()))?;
    }
    let mut last = format!("{place} has no address");
    for found in addresses {
        match timeout(CONNECT, TcpStream::connect(found)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = format!("{place} can't be connected to: {error}"),
            Err(_) => last = format!("{place} can't be connected to in time"),
        }
    }
    Err(last)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> Result<Reply, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let asked = async move {
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, LIMIT).collect().await;
        let body = body.map_err(|error| format!("its answer can't be read: {error}"))?;
        Ok(Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    };
    let mut asked = std::pin::pin!(asked);
    tokio::select! {
        reply = asked.as_mut() => reply,
        // It makes the exchange; where it ends first, what came of it is there, or never will be.
        _ = connection => timeout(Duration::ZERO, asked).await.unwrap_or_else(|_| Err("the connection ended".to_owned())),
    }
}
