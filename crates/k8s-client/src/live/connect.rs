//! Connecting to a cluster.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::header::ACCEPT_ENCODING;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::{AuthError, Body, ConfigExt as _};
use kube::config::{ExecConfig, KubeConfigOptions, Kubeconfig, KubeconfigError};
use secrecy::SecretString;
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceBuilder, ServiceExt as _};

use super::answer::{self, AnswerBody, Expected};
use super::proxy::{self, ThroughProxy};
use super::renew::Renewing;
use super::{kubeconfig, plugin};
use crate::cluster::Cluster;
use crate::error::{Error, ErrorKind};

/// How long a TCP connection to the API server may take to come about. Longer than a few lost SYNs, shorter
/// than a person's patience; the deadline of the whole call applies besides.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// TCP keep-alive on idle connections, below the shortest idle limits of common load balancers (60 s).
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Where the files of a service account are, in each pod that has one.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Reads the cluster's address and credentials. A token file is read here, so that what is returned changes when
/// the file did, and without the line break that editors put at its end and kube refuses.
pub(super) async fn configure(cluster: &Cluster) -> Result<Config, Error> {
    let failed = |source: BoxError| {
        Error::new(format!("use {cluster}"), ErrorKind::Configuration)
            .with_message(source.to_string())
            .with_source(source)
    };
    let misread = |error: KubeconfigError, file: &Kubeconfig| {
        Error::new(format!("use {cluster}"), ErrorKind::Configuration)
            .with_message(kubeconfig::words(&error, file))
            .with_source(error)
    };
    let mut config = match cluster {
        Cluster::InPod => {
            let account = Path::new(SERVICE_ACCOUNT);
            has_files(account).await.map_err(failed)?;
            let mut config = Config::incluster().map_err(|source| failed(source.into()))?;
            if let Ok(namespace) = tokio::fs::read_to_string(account.join("namespace")).await {
                namespace.trim().clone_into(&mut config.default_namespace);
            }
            config
        }
        Cluster::Kubeconfig { path, context } => {
            let options = KubeConfigOptions {
                context: context.clone(),
                ..KubeConfigOptions::default()
            };
            let file = match path {
                Some(path) => Kubeconfig::read_from(path),
                None => Kubeconfig::read(),
            }
            .map_err(|source| failed(source.into()))?;
            Config::from_custom_kubeconfig(file.clone(), &options)
                .await
                .map_err(|error| misread(error, &file))?
        }
    };
    if let Some(plugin) = &mut config.auth_info.exec {
        plugin::hear(plugin);
    }
    // A token that stands in the kubeconfig goes before the file, as with kubectl.
    if config.auth_info.token.is_none()
        && let Some(path) = config.auth_info.token_file.take()
    {
        let token = tokio::fs::read_to_string(&path)
            .await
            .map_err(|source| failed(format!("its token file {path} can't be read: {source}").into()))?;
        config.auth_info.token = Some(SecretString::from(token.trim()));
    }
    Ok(config)
}

/// Whether the files of a service account that kube reads are there: its own words name no path.
async fn has_files(account: &Path) -> Result<(), BoxError> {
    for name in ["token", "ca.crt"] {
        let path = account.join(name);
        if let Err(source) = tokio::fs::metadata(&path).await {
            let path = path.display();
            return Err(format!(
                "the file {path} of the pod's service account can't be read: {source}; a pod has it unless its \
                 automountServiceAccountToken is false"
            )
            .into());
        }
    }
    Ok(())
}

/// A client of the cluster, whose credentials are read again when they are refused.
pub(super) async fn client(cluster: &Cluster) -> Result<kube::Client, Error> {
    let credentials = Renewing::read(cluster).await?;
    let namespace = credentials.namespace().to_owned();
    let credentials = Arc::new(credentials);
    let service = tower::service_fn(move |mut request: Request<Body>| {
        let credentials = Arc::clone(&credentials);
        async move {
            // Without it any encoding would do (RFC 9110, section 12.5.3), and from 1.37 on the API server
            // compresses each watch event on its own, which few decoders read.
            request
                .headers_mut()
                .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            let expected = Expected::of(request.uri());
            let answer = credentials.send(request).await?;
            answer::read(answer, expected).await
        }
    });
    Ok(kube::Client::new(service, namespace))
}

/// What sends requests and receives answers as they are.
pub(super) type Http = BoxCloneService<Request<Body>, Response<AnswerBody>, BoxError>;

/// Builds the HTTP client. Blocks, if a credential plugin has to be run.
///
/// Not kube's own stack where that can be: kube leaves Nagle's algorithm on, which holds back the small
/// frames of an interactive command, and repeats requests (POST too) on 429, 503 and 504 up to 15 times.
/// Through a proxy the stack is kube's (its tunnels are not public), with the repetition switched off.
pub(super) fn http(mut config: Config) -> Result<Http, Error> {
    let exec = config.auth_info.exec.clone();
    let failed = |source: BoxError| {
        Error::new(
            "set up the connection to the API server",
            ErrorKind::Configuration,
        )
        .with_message(words(source.as_ref(), exec.as_ref()))
        .with_source(source)
    };
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // Deadlines are set per call; a watch or an exec may be silent for as long as it likes.
    config.read_timeout = None;
    config.write_timeout = None;
    if let Some(proxy) = &config.proxy_url {
        let proxy = proxy::address(proxy);
        let client = kube::Client::try_from(config).map_err(|source| failed(source.into()))?;
        return Ok(BoxCloneService::new(tower::service_fn(
            move |request: Request<Body>| {
                let (client, proxy) = (client.clone(), proxy.clone());
                async move {
                    let answer = client
                        .send(request)
                        .await
                        .map_err(|error| ThroughProxy::new(proxy, error.into()))?;
                    Ok(answer.map(|body| body.map_err(BoxError::from).boxed_unsync()))
                }
            },
        )));
    }

    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(TCP_KEEPALIVE));
    let tls = config
        .rustls_https_connector_with_connector(tcp)
        .map_err(|source| failed(source.into()))?;
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(tls);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(|source| failed(source.into()))?)
        .layer(
            config
                .extra_headers_layer()
                .map_err(|source| failed(source.into()))?,
        )
        .map_err(BoxError::from)
        .service(http)
        .map_response(|answer: Response<Incoming>| {
            answer.map(|body| body.map_err(BoxError::from).boxed_unsync())
        });
    Ok(BoxCloneService::new(service))
}

/// What the client can't be set up for, in words.
fn words(error: &(dyn std::error::Error + 'static), exec: Option<&ExecConfig>) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let about_plugin = causes
        .filter_map(|error| match error.downcast_ref::<kube::Error>() {
            Some(kube::Error::Auth(error)) => Some(error),
            _ => error.downcast_ref::<AuthError>(),
        })
        .find_map(|error| plugin::words(error, exec));
    about_plugin.unwrap_or_else(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pod_without_a_token_is_told_which_file_is_missing() {
        let account = tempfile::tempdir().unwrap();
        let said = has_files(account.path()).await.unwrap_err().to_string();
        let token = account.path().join("token");
        assert!(
            said.contains(token.to_str().unwrap()) && said.contains("automountServiceAccountToken"),
            "{said}"
        );
        for name in ["token", "ca.crt"] {
            std::fs::write(account.path().join(name), "a").unwrap();
        }
        assert!(has_files(account.path()).await.is_ok());
    }
}
