//! Compressed answers. None is asked for, in so many words: an API server would spend its time on them for
//! nothing inside a cluster, and from 1.37 on it compresses each watch event as a gzip member of its own, which
//! few decoders read. So a compressed answer is somebody else's doing, and is told as such.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use podbay_k8s_client::{ClusterClient as _, ErrorKind, ExecRequest, Kind, LogRequest};

use super::answer::{Act, Answer, event, list, pod, status};
use super::server::Server;
use super::setup::{client, key, object};
use super::watched::Watched;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn gzipped(code: u16, body: &serde_json::Value) -> Answer {
    Answer::whole(
        code,
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
        &gzip(&body.to_string()),
    )
}

#[tokio::test]
async fn no_call_asks_for_compression() {
    let server = Server::judge(|request| {
        if request.is_watch() {
            Answer::events([event("ADDED", &pod("a", "6"))]).then(Act::Stall)
        } else if request.line.contains("/log") || request.line.contains("/exec") {
            Answer::status(404, "NotFound", "no pod")
        } else if request.line.contains("/pods/p") || request.line.starts_with("POST") {
            Answer::json(200, &pod("p", "7"))
        } else {
            Answer::json(200, &list("5", "", &[]))
        }
    })
    .await;
    let client = client(&server).await;
    client.get(&key()).await.unwrap();
    client.create(object()).await.unwrap();
    client.list(Kind::Pod, "team", "").await.unwrap();
    assert_eq!(Watched::of(&client).tells(2).await, ["reset", "applied a 6"]);
    client.logs("team", "p", LogRequest::default()).await.unwrap_err();
    let request = ExecRequest {
        container: "main".to_owned(),
        argv: vec!["true".to_owned()],
        stdin: false,
        tty: false,
    };
    client.exec("team", "p", request).await.unwrap_err();
    let requests = server.requests();
    assert_eq!(requests.len(), 7);
    for request in requests {
        // Without the header any encoding would do (RFC 9110, section 12.5.3).
        assert_eq!(request.header("accept-encoding"), Some("identity"), "{request:?}");
    }
}

#[tokio::test]
async fn a_compressed_answer_is_told_as_such_and_not_asked_for_again() {
    let server = Server::start([
        gzipped(200, &list("5", "", &[pod("a", "1")])),
        gzipped(201, &pod("p", "7")),
        gzipped(200, &list("5", "", &[pod("a", "1")])),
    ])
    .await;
    let client = client(&server).await;
    let error = client.list(Kind::Pod, "team", "").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Server { status: 200 });
    assert!(error.to_string().contains("gzip"), "{error}");

    let error = client.create(object()).await.unwrap_err();
    assert!(error.may_have_happened(), "it was created");
    assert!(error.to_string().contains("gzip"), "{error}");

    let told = Watched::of(&client).tells(2).await;
    assert_eq!(told, ["failed Server { status: 200 }", "end"]);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_compressed_watch_is_told_as_such() {
    let member = |version: &str| gzip(&format!("{}\n", event("ADDED", &pod("a", version))));
    let server = Server::start([
        Answer::json(200, &list("5", "", &[])),
        Answer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n")
            .chunk(&member("6"))
            .chunk(&member("7"))
            .then(Act::Stall),
    ])
    .await;
    let client = client(&server).await;
    let mut watched = Watched::of(&client);
    assert_eq!(watched.told().await, "reset");
    let error = watched.next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("gzip"), "{error}");
    assert_eq!(watched.told().await, "end");
}

#[tokio::test]
async fn a_compressed_refusal_keeps_its_meaning() {
    let server = Server::start([gzipped(403, &status(403, "Forbidden", "may not"))]).await;
    let error = client(&server).await.create(object()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Forbidden);
    assert!(error.to_string().contains("gzip"), "{error}");
}
