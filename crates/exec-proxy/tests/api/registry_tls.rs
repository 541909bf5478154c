//! A registry that speaks TLS by an authority of one's own, which `SSL_CERT_FILE` names. A variable is a whole process's, so the question is
//! asked by another one: this test's program again.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use podbay_exec_proxy::registry::{Found, Registries};
use podbay_runtime::Config;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Where the other process finds the registry.
const REGISTRY: &str = "PODBAY_TEST_TLS_REGISTRY";
const QUESTION: &str = "registry_tls::the_question_of_the_other_process";

/// An authority, written to `file`; and a registry on this machine that has a certificate of it.
async fn registry(file: &Path) -> SocketAddr {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(file, authority.as_ref().pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who does not trust it goes away.
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = service_fn(|request: Request<Incoming>| async move {
                    let manifest = json!({"config": {"size": 7}, "layers": [{"size": 1000}]});
                    let (status, body) = match request.uri().path() {
                        "/v2/a/manifests/1" => (200, manifest),
                        _ => (404, json!({"errors": [{"code": "MANIFEST_UNKNOWN"}]})),
                    };
                    let body = Full::new(Bytes::from(body.to_string()));
                    let answer = Response::builder().status(status).body(body);
                    Ok::<_, Infallible>(answer.unwrap())
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

/// Asked by the test below with the variables that it sets.
#[tokio::test]
#[ignore = "run by a_registry_is_asked_over_tls_where_its_authority_is_trusted"]
async fn the_question_of_the_other_process() {
    let registry = std::env::var(REGISTRY).unwrap();
    let mut config = Config::default();
    config.serve.private_image_registries = vec![registry.clone()];
    let registries = Registries::of(&config).unwrap();
    let there = registries.look(&format!("{registry}/a:1")).await;
    match there {
        Ok(Found::There { bytes, .. }) => assert_eq!(bytes, Some(1007)),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        registries.look(&format!("{registry}/b:1")).await,
        Ok(Found::Missing)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_asked_over_tls_where_its_authority_is_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let [trusted, other] = ["trusted.pem", "other.pem"].map(|name| directory.path().join(name));
    let address = registry(&trusted).await;
    // Another authority, of another registry.
    registry(&other).await;
    let ask = async |authorities: &Path| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", QUESTION, "--nocapture"])
            .env(REGISTRY, address.to_string())
            .env("SSL_CERT_FILE", authorities);
        let asked = tokio::task::spawn_blocking(move || command.output().unwrap());
        let done = asked.await.unwrap();
        let said =
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        (done.status.success(), said)
    };
    let (is_told, said) = ask(&trusted).await;
    assert!(is_told && said.contains("1 passed"), "{said}");
    let (is_told, said) = ask(&other).await;
    assert!(!is_told && said.contains("does not agree on TLS"), "{said}");
}
