//! TLS with a certificate of one's own.

use std::path::Path;
use std::sync::Arc;

use http::Request;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use podbay_exec_proxy::listen::{Limits, Listening, Tls, TlsError, TlsFiles};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::{Proxy, Scripted, answering, host, settings, text};

/// Writes a new certificate for the session's host, and its key.
fn issue(files: &TlsFiles) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed([host()]).unwrap();
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

fn files(directory: &Path) -> TlsFiles {
    TlsFiles {
        certificate: directory.join("tls.crt"),
        key: directory.join("tls.key"),
    }
}

async fn connect(
    proxy: &Proxy,
    trusted: &CertificateDer<'static>,
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(proxy.address).await.unwrap();
    let name = ServerName::try_from(host()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn serving(files: TlsFiles) -> (Proxy, Arc<Tls>, crate::support::Sandbox) {
    let sandbox = answering().await;
    let tls = Tls::load(files).await.unwrap();
    let listening = Listening {
        tls: Some(Arc::clone(&tls)),
        ..Listening::default()
    };
    let sessions = Scripted::serving(sandbox.address);
    let proxy = Proxy::with(&sessions, settings(), Limits::default(), listening).await;
    (proxy, tls, sandbox)
}

#[tokio::test]
async fn both_versions_are_spoken_and_the_sandbox_learns_the_scheme() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    let trusted = issue(&files);
    let (proxy, _tls, _sandbox) = serving(files).await;
    let request = |uri: String| {
        let request = Request::get(uri).header("x-forwarded-proto", "ftp");
        request
            .header("host", host())
            .body(Empty::<Bytes>::new())
            .unwrap()
    };
    let stream = connect(&proxy, &trusted, "http/1.1").await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request("/".to_owned())).await.unwrap();
    let seen = text(answer.into_body()).await;
    assert!(seen.contains("x-forwarded-proto: https\n"), "{seen}");
    driving.abort();

    let stream = connect(&proxy, &trusted, "h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driving = tokio::spawn(connection);
    let answer = sender
        .send_request(request(format!("https://{}/", host())))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    driving.abort();
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_used_and_one_that_does_not_fit_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    let first = issue(&files);
    let (proxy, tls, _sandbox) = serving(files.clone()).await;
    assert!(!tls.reload().await.unwrap());
    let mut early = connect(&proxy, &first, "http/1.1").await.unwrap();
    // Half of a replacement: the certificate, and not yet its key.
    let key = std::fs::read(&files.key).unwrap();
    let second = issue(&files);
    let new_key = std::fs::read(&files.key).unwrap();
    std::fs::write(&files.key, key).unwrap();
    assert!(matches!(tls.reload().await, Err(TlsError::Unusable { .. })));
    assert!(connect(&proxy, &first, "http/1.1").await.is_ok());
    std::fs::write(&files.key, new_key).unwrap();
    assert!(tls.reload().await.unwrap());
    assert!(connect(&proxy, &first, "http/1.1").await.is_err());
    assert!(connect(&proxy, &second, "http/1.1").await.is_ok());
    // A connection that is there stays.
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host());
    tokio::io::AsyncWriteExt::write_all(&mut early, request.as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    early.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn files_that_are_no_certificate_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    assert!(matches!(
        Tls::load(files.clone()).await,
        Err(TlsError::Read { .. })
    ));
    issue(&files);
    let key = std::fs::read(&files.key).unwrap();
    std::fs::write(&files.key, "none").unwrap();
    assert!(matches!(
        Tls::load(files.clone()).await,
        Err(TlsError::NoKey { .. })
    ));
    std::fs::write(&files.key, key).unwrap();
    std::fs::write(&files.certificate, "none").unwrap();
    assert!(matches!(
        Tls::load(files).await,
        Err(TlsError::NoCertificate { .. })
    ));
}
