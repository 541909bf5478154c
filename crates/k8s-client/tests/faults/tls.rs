//! Who the server is, who the client is, and what is told when either doubts the other.

use std::time::Duration;

use podbay_k8s_client::{ClusterClient as _, Error, ErrorKind};
use serde_json::json;
use tokio::time::Instant;

use super::answer::{Act, Answer, pod};
use super::authority::{Authority, Validity};
use super::server::{Server, Step};
use super::setup::{LONG, Setup, key, object};
use super::watched::Watched;

/// A refusal that trying again does not mend is told well before any deadline.
const AT_ONCE: Duration = Duration::from_secs(5);

fn ok() -> Answer {
    Answer::json(200, &pod("p", "7"))
}

/// The server, its authority's certificate in the kubeconfig.
fn trusting(server: &Server, authority: &Authority) -> Setup {
    let setup = Setup::of(server);
    let path = setup.file("ca.pem", &authority.pem());
    setup.cluster("certificate-authority", path.to_str().unwrap())
}

/// Creates the pod, which must fail at once, without a request and with one connection.
async fn refused(setup: Setup, server: &Server) -> Error {
    let begun = Instant::now();
    let error = setup.client().await.create(object()).await.unwrap_err();
    assert!(begun.elapsed() < AT_ONCE, "{:?}: {error}", begun.elapsed());
    assert_eq!(server.requests().len(), 0);
    assert_eq!(server.connections(), 1, "tried again: {error}");
    assert!(!error.may_have_happened());
    error
}

#[tokio::test]
async fn a_server_of_the_named_authority_is_trusted() {
    let authority = Authority::new();
    let server = Server::tls(
        authority.server("127.0.0.1", Validity::Current),
        [ok(), Answer::json(201, &pod("p", "8"))],
    )
    .await;
    let client = trusting(&server, &authority).client().await;
    assert!(client.get(&key()).await.unwrap().is_some());
    client.create(object()).await.unwrap();
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer t"));
    assert_eq!(server.connections(), 1, "the connection is used again");
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused_by_name_of_the_cause() {
    let server = Server::tls(Authority::new().server("127.0.0.1", Validity::Current), [ok()]).await;
    let error = refused(trusting(&server, &Authority::new()), &server).await;
    assert_eq!(error.kind, ErrorKind::Configuration);
    let text = error.to_string();
    assert!(text.contains("certificate-authority"), "what to look at: {text}");
    assert!(
        text.starts_with("create pod team/p: ") && text.contains("invalid peer certificate"),
        "{text}"
    );
}

#[tokio::test]
async fn an_expired_certificate_is_told_as_such() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("127.0.0.1", Validity::Expired), [ok()]).await;
    let error = refused(trusting(&server, &authority), &server).await;
    assert_eq!(error.kind, ErrorKind::Configuration);
    assert!(error.to_string().contains("expired"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_another_host_names_the_one_asked_for() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("api.cluster.example", Validity::Current), [ok()]).await;
    let error = refused(trusting(&server, &authority), &server).await;
    assert_eq!(error.kind, ErrorKind::Configuration);
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn the_server_name_of_the_kubeconfig_is_what_the_certificate_must_bear() {
    let authority = Authority::new();
    let name = "api.cluster.example";
    let server = Server::tls(authority.server(name, Validity::Current), [ok()]).await;
    let setup = trusting(&server, &authority).cluster("tls-server-name", name);
    assert!(setup.client().await.get(&key()).await.unwrap().is_some());
}

#[tokio::test]
async fn an_insecure_cluster_is_not_verified() {
    let server = Server::tls(
        Authority::new().server("api.cluster.example", Validity::Expired),
        [ok()],
    )
    .await;
    let setup = Setup::of(&server).cluster("insecure-skip-tls-verify", true);
    assert!(setup.client().await.get(&key()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let authority = Authority::new();
    let server = Server::tls(authority.server_for_clients("127.0.0.1"), [ok()]).await;
    let setup = trusting(&server, &authority);
    let (certificate, private_key) = authority.client();
    let certificate = setup.file("client.pem", &certificate);
    let private_key = setup.file("client.key", &private_key);
    let setup = setup.user(json!({"client-certificate": certificate, "client-key": private_key}));
    assert!(setup.client().await.get(&key()).await.unwrap().is_some());
    assert_eq!(server.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_client_without_the_certificate_the_server_wants_is_unauthorized() {
    let authority = Authority::new();
    let server = Server::tls(authority.server_for_clients("127.0.0.1"), [ok()]).await;
    let error = refused(trusting(&server, &authority), &server).await;
    assert_eq!(error.kind, ErrorKind::Unauthorized);
    assert!(error.to_string().contains("ertificate"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_of_another_authority_is_unauthorized() {
    let authority = Authority::new();
    let server = Server::tls(authority.server_for_clients("127.0.0.1"), [ok()]).await;
    let setup = trusting(&server, &authority);
    let (certificate, private_key) = Authority::new().client();
    let certificate = setup.file("client.pem", &certificate);
    let private_key = setup.file("client.key", &private_key);
    let setup = setup.user(json!({"client-certificate": certificate, "client-key": private_key}));
    let error = refused(setup, &server).await;
    assert_eq!(error.kind, ErrorKind::Unauthorized);
}

#[tokio::test]
async fn a_server_without_tls_where_tls_is_asked_for_is_told_at_once() {
    let server = Server::start([Step::Greet("HTTP/1.1 400 Bad Request\r\n\r\n")]).await;
    let https = server.address.replace("http:", "https:");
    let error = refused(Setup::of(&server).cluster("server", https), &server).await;
    assert_eq!(error.kind, ErrorKind::Configuration);
    assert!(error.to_string().contains("TLS"), "{error}");
}

#[tokio::test]
async fn an_end_without_tls_close_does_not_pass_for_the_end_of_a_body() {
    let authority = Authority::new();
    // Neither length nor chunks: only the connection's end tells where the body ends.
    let cut = Answer::raw(format!("HTTP/1.1 200 OK\r\n\r\n{}", pod("p", "7"))).then(Act::Reset);
    let server = Server::tls(authority.server("127.0.0.1", Validity::Current), [cut, ok()]).await;
    let setup = trusting(&server, &authority).deadline(LONG);
    assert!(setup.client().await.get(&key()).await.unwrap().is_some());
    assert_eq!(server.count("GET"), 2, "the cut answer was asked for again");
}

#[tokio::test]
async fn a_watch_that_persists_waits_for_a_certificate_that_fits() {
    let server = Server::tls(Authority::new().server("127.0.0.1", Validity::Current), [ok()]).await;
    let client = trusting(&server, &Authority::new()).client().await;
    let mut watched = Watched::persistent(&client);
    assert_eq!(watched.told().await, "interrupted Configuration");
    assert!(watched.silent(Duration::from_millis(500)).await);
    assert!(server.connections() > 1, "tried again");
}
