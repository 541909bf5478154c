//! Credentials that are read again when they are refused.
//!
//! kube reads a token file anew once a minute, and runs a credential plugin when the time is over that the plugin
//! named. A server that refuses a credential before that would be believed for up to a minute, or for good, and
//! a running watch would end. So a 401 has the kubeconfig, with its files and plugins, read again, as client-go
//! does for plugins; and as nothing is done before a request is authenticated, any request is sent again.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use kube::Config;
use kube::client::Body;
use kube::config::AuthInfo;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tower::{BoxError, ServiceExt as _};

use super::answer::AnswerBody;
use super::connect::{self, Http};
use crate::cluster::Cluster;
use crate::error::{Error, ErrorKind};

/// Credentials just read are not read again: a 401 then stands. Also the most often that a plugin is run.
const SHORTEST_USE: Duration = Duration::from_secs(10);

/// A token file is read again after so long even if nobody refuses the token, as with client-go: what replaces
/// it is there well before the old one ends.
const LONGEST_USE: Duration = Duration::from_secs(60);

/// What sends requests with the credentials of a cluster.
pub(super) struct Renewing {
    cluster: Cluster,
    namespace: String,
    current: Mutex<Current>,
}

/// The credentials in use.
struct Current {
    http: Http,
    source: Source,
    /// How often they were read; tells the refusal of these from that of earlier ones.
    reading: u64,
    /// When they were last looked at.
    looked: Instant,
    /// When they were last read because they were refused.
    renewed: Option<Instant>,
}

/// Where credentials come from, and what was read there.
#[derive(PartialEq)]
enum Source {
    /// The kubeconfig or the files it names: what they say, which may be compared.
    Said(serde_json::Value),
    /// A plugin, or files of certificates: only trying tells.
    Made,
}

impl Source {
    fn of(credentials: &AuthInfo) -> Self {
        let made = credentials.exec.is_some()
            || credentials.auth_provider.is_some()
            || credentials.client_certificate.is_some();
        match serde_json::to_value(credentials) {
            Ok(said) if !made => Self::Said(said),
            _ => Self::Made,
        }
    }
}

impl Renewing {
    /// Reads the credentials of `cluster`.
    pub(super) async fn read(cluster: &Cluster) -> Result<Self, Error> {
        let config = connect::configure(cluster).await?;
        let namespace = config.default_namespace.clone();
        let source = Source::of(&config.auth_info);
        let current = Current {
            http: build(config).await?,
            source,
            reading: 0,
            looked: Instant::now(),
            renewed: None,
        };
        Ok(Self {
            cluster: cluster.clone(),
            namespace,
            current: Mutex::new(current),
        })
    }

    /// The namespace of the kubeconfig's context.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Sends `request`, a second time where that may help.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<AnswerBody>, BoxError> {
        let (parts, body) = request.into_parts();
        let again = body
            .try_clone()
            .map(|body| Request::from_parts(parts.clone(), body));
        let (http, reading) = self.current().await;
        let answer = http.oneshot(Request::from_parts(parts, body)).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        match again {
            Some(request) => match self.renewed(reading).await {
                Some(http) => http.oneshot(request).await,
                None => Ok(answer),
            },
            None => Ok(answer),
        }
    }

    /// The credentials in use, read again if they are old.
    async fn current(&self) -> (Http, u64) {
        let mut current = self.current.lock().await;
        // A plugin says itself how long its token lasts, and kube keeps to it.
        if matches!(current.source, Source::Said(_)) && current.looked.elapsed() >= LONGEST_USE {
            self.renew(&mut current).await;
        }
        (current.http.clone(), current.reading)
    }

    /// Others than those of `refused`, if there are any.
    async fn renewed(&self, refused: u64) -> Option<Http> {
        let mut current = self.current.lock().await;
        if current.reading == refused {
            if current
                .renewed
                .is_some_and(|renewed| renewed.elapsed() < SHORTEST_USE)
            {
                return None;
            }
            current.renewed = Some(Instant::now());
            self.renew(&mut current).await;
        }
        (current.reading != refused).then(|| current.http.clone())
    }

    /// Reads the credentials again; leaves those in use if that fails or there are no others.
    async fn renew(&self, current: &mut Current) {
        current.looked = Instant::now();
        let read = async {
            let config = connect::configure(&self.cluster).await?;
            let source = Source::of(&config.auth_info);
            if source != Source::Made && source == current.source {
                return Ok(None);
            }
            Ok::<_, Error>(Some((build(config).await?, source)))
        };
        match read.await {
            Ok(Some((http, source))) => {
                tracing::info!(cluster = %self.cluster, "the credentials were read again");
                current.http = http;
                current.source = source;
                current.reading += 1;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(cluster = %self.cluster, %error, "the credentials can't be read again");
            }
        }
    }
}

/// Builds the HTTP client where it may block.
async fn build(config: Config) -> Result<Http, Error> {
    tokio::task::spawn_blocking(move || connect::http(config))
        .await
        .map_err(|source| {
            Error::new(
                "set up the connection to the API server",
                ErrorKind::Configuration,
            )
            .with_source(source)
        })?
}
