//! Many streams on one connection.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use podbay_protocol::agent::{HASH_TRAILER, KEY_HEADER, path};
use tokio::time::Instant;

use crate::client::{Agent, KEY, over_http2, stand_still};

fn get(target: &str) -> Request<()> {
    let uri = format!("http://a{target}");
    Request::get(uri).header(KEY_HEADER, KEY).body(()).unwrap()
}

/// What others did: a stream that its client abandoned was never ended, and its share of the connection's window was lost.
#[tokio::test]
async fn a_thousand_abandoned_downloads_leave_the_next_at_full_speed() {
    let agent = Agent::start().await;
    std::fs::write(agent.at("large"), vec![1; 32 << 20]).unwrap();
    let target = agent.of(path::FILES, "large", "");
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        // As our own client has it: else what is still on its way for the abandoned makes this side end the connection.
        .max_local_error_reset_streams(None);
    let (client, connection) = builder.handshake::<_, Bytes>(agent.tcp().await).await.unwrap();
    let driven = tokio::spawn(connection);
    let download = || async {
        let begun = Instant::now();
        let reply = over_http2(client.clone(), get(&target), Bytes::new()).await.ok();
        assert_eq!(reply.body.len(), 32 << 20);
        assert_eq!(reply.trailer(HASH_TRAILER).len(), 64);
        begun.elapsed()
    };
    download().await;
    let first = download().await;
    for _ in 0..1000 {
        let mut ready = client.clone().ready().await.unwrap();
        let (answer, _) = ready.send_request(get(&target), true).unwrap();
        let mut body = answer.await.unwrap().into_body();
        // In its middle: something came, and much has not.
        let piece = body.data().await.unwrap().unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    let last = download().await;
    assert!(
        last < 5 * first + Duration::from_secs(5),
        "{first:?}, then {last:?}"
    );
    assert!(!driven.is_finished());
}

#[tokio::test]
async fn large_uploads_and_small_requests_share_a_connection() {
    let agent = Agent::start().await;
    let (client, connection) = h2::client::handshake(agent.tcp().await).await.unwrap();
    tokio::spawn(connection);
    let content = vec![3; 24 << 20];
    let put = |name: &str| {
        let target = format!("http://a{}", agent.of(path::FILES, name, ""));
        let request = Request::put(target).header(KEY_HEADER, KEY).body(()).unwrap();
        over_http2(client.clone(), request, content.clone().into())
    };
    let small = async {
        for _ in 0..50 {
            over_http2(client.clone(), get(path::PROCESSES), Bytes::new())
                .await
                .ok();
        }
    };
    let (one, two, ()) = tokio::join!(put("one"), put("two"), small);
    one.ok();
    two.ok();
    assert!(std::fs::read(agent.at("one")).unwrap() == content);
    assert!(std::fs::read(agent.at("two")).unwrap() == content);
}

/// A body that its handler does not read must not hold up others.
#[tokio::test]
async fn refused_uploads_give_their_windows_back() {
    let agent = Agent::start().await;
    let (client, connection) = h2::client::handshake(agent.tcp().await).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..200 {
        let target = format!("http://a{}", agent.of(path::FILES, "no/file", ""));
        let request = Request::put(target).header(KEY_HEADER, KEY).body(()).unwrap();
        let reply = over_http2(client.clone(), request, vec![0; 100_000].into()).await;
        assert_eq!(reply.status, 404);
    }
    let target = format!("http://a{}", agent.of(path::FILES, "file", ""));
    let request = Request::put(target).header(KEY_HEADER, KEY).body(()).unwrap();
    over_http2(client.clone(), request, vec![0; 5_000_000].into())
        .await
        .ok();
}

/// A client that sends on what was refused already, many at once, keeps its connection.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_refused_uploads_end_no_connection() {
    let agent = Agent::start().await;
    let (client, connection) = h2::client::handshake(agent.tcp().await).await.unwrap();
    let driven = tokio::spawn(connection);
    let target = format!("http://a{}", agent.of(path::FILES, "no/file", ""));
    for _ in 0..40 {
        let uploads = (0..100).map(|_| {
            let request = Request::put(&target).header(KEY_HEADER, KEY).body(()).unwrap();
            over_http2(client.clone(), request, vec![0; 100_000].into())
        });
        for reply in futures::future::join_all(uploads).await {
            assert_eq!(reply.status, 404);
        }
    }
    assert!(!driven.is_finished());
}

/// As in a sandbox that was paused: several pings are due at once, and none was left without an answer.
#[tokio::test]
async fn an_agent_that_stood_still_keeps_its_clients() {
    let agent = Agent::start_with(|limits| limits.ping = Duration::from_millis(200)).await;
    let (client, connection) = h2::client::handshake::<_>(agent.tcp().await).await.unwrap();
    let driven = tokio::spawn(connection);
    for _ in 0..3 {
        for _ in 0..3 {
            let reply = over_http2(client.clone(), get(path::PROCESSES), Bytes::new()).await;
            assert_eq!(reply.status, 200);
        }
        stand_still(Duration::from_millis(700));
    }
    let reply = over_http2(client.clone(), get(path::PROCESSES), Bytes::new()).await;
    assert_eq!(reply.status, 200);
    assert!(!driven.is_finished());
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let agent = Agent::start_with(|limits| limits.ping = Duration::from_millis(200)).await;
    let mut stream = agent.tcp().await;
    // The preface and empty settings, then silence.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let mut all = Vec::new();
    let read = stream.read_to_end(&mut all);
    let _ = tokio::time::timeout(Duration::from_secs(20), read).await.unwrap();
    // One that does answer stays.
    let (client, connection) = h2::client::handshake::<_>(agent.tcp().await).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..5 {
        let reply = over_http2(client.clone(), get(path::PROCESSES), Bytes::new()).await;
        assert_eq!(reply.status, 200);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
