//! Answers that are no success, or nobody's who knows Kubernetes.

use std::time::Duration;

use podbay_k8s_client::{ClusterClient as _, ErrorKind, ExecRequest, Kind};
use tokio::time::Instant;

use super::answer::{Act, Answer, bookmark, event, list, pod, status};
use super::server::Server;
use super::setup::{LONG, SHORT, Setup, client, key, object};
use super::watched::Watched;

fn ok() -> Answer {
    Answer::json(200, &pod("p", "7"))
}

fn text(code: u16, headers: &str, body: &str) -> Answer {
    Answer::whole(code, headers, body.as_bytes())
}

/// What the API server's own Priority and Fairness answers: words and a header, no `Status`.
fn queue_full(seconds: &str) -> Answer {
    text(
        429,
        &format!("Retry-After: {seconds}\r\nContent-Type: text/plain; charset=utf-8\r\n"),
        "Too many requests, please try again later.\n",
    )
}

#[tokio::test]
async fn the_header_says_how_long_to_wait() {
    let server = Server::start([queue_full("1"), ok()]).await;
    let client = client(&server).await;
    let begun = Instant::now();
    client.create(object()).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(server.count("POST"), 2);
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_told_at_once() {
    let server = Server::start([queue_full("3600"), ok()]).await;
    let begun = Instant::now();
    let error = client(&server).await.create(object()).await.unwrap_err();
    assert!(begun.elapsed() < LONG / 2);
    assert_eq!(
        error.kind,
        ErrorKind::TooManyRequests {
            retry_after: Some(Duration::from_secs(3600))
        }
    );
    assert!(error.to_string().contains("try again later"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_header_that_is_no_number_of_seconds_is_as_none() {
    for value in ["Fri, 31 Dec 2999 23:59:59 GMT", "-1", "99999999999999999999", ""] {
        let server = Server::start([queue_full(value), ok()]).await;
        let begun = Instant::now();
        client(&server).await.get(&key()).await.unwrap();
        assert!(begun.elapsed() < LONG / 2);
        assert_eq!(server.count("GET"), 2);
    }
}

#[tokio::test]
async fn a_server_that_stays_busy_ends_the_call_by_the_deadline() {
    let server = Server::judge(|_| queue_full("0")).await;
    let begun = Instant::now();
    let client = Setup::of(&server).deadline(SHORT).client().await;
    let error = client.create(object()).await.unwrap_err();
    // The deadline may also come between a request and its answer.
    assert!(
        matches!(
            error.kind,
            ErrorKind::TooManyRequests { .. } | ErrorKind::Deadline(SHORT)
        ),
        "{error}"
    );
    assert!(begun.elapsed() < LONG / 2);
    assert!(
        (1..=5).contains(&server.count("POST")),
        "{}",
        server.count("POST")
    );
}

#[tokio::test]
async fn a_watch_waits_no_longer_than_sense_has_it() {
    // A day: somebody's mistake. The watch comes back within its own bound.
    let server = Server::start([
        Answer::json(200, &list("5", "", &[])),
        queue_full("86400"),
        Answer::events([event("ADDED", &pod("a", "6"))]).then(Act::Stall),
    ])
    .await;
    let client = client(&server).await;
    assert_eq!(Watched::of(&client).tells(2).await, ["reset", "applied a 6"]);
}

#[tokio::test]
async fn faults_of_the_server_are_repeated_for_reads_alone() {
    for code in [500, 502, 503, 504] {
        let server = Server::start([Answer::status(code, "", "not now"), ok()]).await;
        client(&server).await.get(&key()).await.unwrap();
        assert_eq!(server.count("GET"), 2);

        let server = Server::start([Answer::status(code, "", "not now"), ok()]).await;
        let error = client(&server).await.create(object()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Server { status: code });
        assert!(error.may_have_happened());
        assert_eq!(server.count("POST"), 1);
    }
}

#[tokio::test]
async fn words_of_proxies_keep_their_code() {
    let page = "<html><body><h1>Nothing for you</h1></body></html>";
    for (code, kind) in [
        (400, ErrorKind::Invalid),
        (401, ErrorKind::Unauthorized),
        (403, ErrorKind::Forbidden),
        (413, ErrorKind::Invalid),
        (501, ErrorKind::Server { status: 501 }),
    ] {
        for body in [page.as_bytes(), b"", b"{\"kind\":", b"[]", b"\xff\xfe broken"] {
            let server = Server::start([Answer::whole(code, "Content-Type: text/html\r\n", body)]).await;
            let error = client(&server).await.create(object()).await.unwrap_err();
            assert_eq!(error.kind, kind, "{error} for {body:?}");
            assert_eq!(server.requests().len(), 1);
            assert!(error.to_string().len() < 2000);
        }
    }
}

#[tokio::test]
async fn a_long_page_is_not_told_in_full() {
    let page = format!("<html>{}</html>", "水".repeat(100_000));
    let server = Server::start([Answer::whole(403, "", page.as_bytes())]).await;
    let error = client(&server).await.create(object()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Forbidden);
    assert!(error.to_string().len() < 5000, "{}", error.to_string().len());
}

#[tokio::test]
async fn a_page_where_an_object_should_be_is_told_at_once() {
    for body in ["<html>please log in</html>", "{}", "[]", "null"] {
        let server = Server::start([text(200, "Content-Type: text/html\r\n", body), ok()]).await;
        let error = client(&server)
            .await
            .list(Kind::Pod, "team", "")
            .await
            .unwrap_err();
        assert_eq!(
            error.kind,
            ErrorKind::Server { status: 200 },
            "{error} for {body:?}"
        );
        assert_eq!(server.requests().len(), 1, "{body:?}");
    }
    let server = Server::start([text(201, "", "<html>created?</html>")]).await;
    let error = client(&server).await.create(object()).await.unwrap_err();
    assert!(error.may_have_happened());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_server_without_the_protocol_of_an_exec_is_told_as_such() {
    let words = "unable to upgrade: unable to negotiate protocol: client supports [v5.channel.k8s.io], server supports \
                 [v4.channel.k8s.io]";
    let server = Server::start([text(400, "Content-Type: text/plain\r\n", words)]).await;
    let request = ExecRequest {
        container: "main".to_owned(),
        argv: vec!["cat".to_owned()],
        stdin: true,
        tty: false,
    };
    let error = client(&server)
        .await
        .exec("team", "p", request)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.to_string().contains("v5.channel.k8s.io"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start([ok()]).await;
    for code in [301, 302, 307, 308] {
        let location = format!(
            "Location: {}/api/v1/namespaces/team/pods/p\r\n",
            elsewhere.address
        );
        let server = Server::start([text(code, &location, "moved"), ok()]).await;
        let error = client(&server).await.get(&key()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Server { status: code });
        assert!(error.to_string().contains("redirect"), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(elsewhere.connections(), 0, "the token went nowhere else");
}

#[tokio::test]
async fn a_version_that_is_gone_is_listed_again_however_it_is_told() {
    let gone = status(410, "Expired", "too old resource version: 5 (50)");
    let server = Server::start([
        Answer::json(200, &list("5", "", &[pod("a", "1")])),
        Answer::json(410, &gone),
        Answer::json(200, &list("50", "", &[pod("b", "40")])),
        Answer::events([event("ERROR", &gone)]).then(Act::Stall),
        // In the middle of a list's pages too: the token has expired.
        Answer::json(200, &list("60", "more", &[pod("lost", "51")])),
        Answer::json(410, &gone),
        Answer::json(200, &list("70", "", &[pod("c", "61")])),
        Answer::events([event("DELETED", &pod("c", "71"))]).then(Act::Stall),
    ])
    .await;
    let client = client(&server).await;
    assert_eq!(
        Watched::of(&client).tells(4).await,
        ["reset a", "reset b", "reset c", "deleted c"]
    );
    assert_eq!(server.versions(), ["5", "50", "70"]);
}

#[tokio::test]
async fn a_version_that_is_always_gone_is_not_asked_for_without_a_pause() {
    let server = Server::judge(|request| {
        if request.is_watch() {
            Answer::status(410, "Expired", "too old resource version")
        } else {
            Answer::json(200, &list("5", "", &[]))
        }
    })
    .await;
    let client = client(&server).await;
    let mut watched = Watched::of(&client);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        assert_eq!(watched.told().await, "reset");
    }
    assert!(server.requests().len() < 20, "{}", server.requests().len());
}

#[tokio::test]
async fn watches_that_end_at_once_are_not_asked_for_without_a_pause() {
    let server = Server::judge(|request| {
        if request.is_watch() {
            Answer::chunked().end()
        } else {
            Answer::json(200, &list("5", "", &[]))
        }
    })
    .await;
    let client = client(&server).await;
    let mut watched = Watched::of(&client);
    assert_eq!(watched.told().await, "reset");
    assert!(watched.silent(Duration::from_secs(1)).await);
    let asked = server.versions().len();
    assert!((2..=8).contains(&asked), "{asked}");
}

#[tokio::test]
async fn a_watch_of_bookmarks_alone_tells_nothing_and_goes_on_from_the_last() {
    let server = Server::start([
        Answer::json(200, &list("5", "", &[])),
        Answer::events([bookmark("6"), bookmark("7"), bookmark("8")]).end(),
        Answer::events([event("ADDED", &pod("a", "9"))]).then(Act::Stall),
    ])
    .await;
    let client = client(&server).await;
    assert_eq!(Watched::of(&client).tells(2).await, ["reset", "applied a 9"]);
    assert_eq!(server.versions(), ["5", "8"]);
}

#[tokio::test]
async fn a_line_that_is_no_event_has_everything_listed_again() {
    let server = Server::start([
        Answer::json(200, &list("5", "", &[pod("a", "1")])),
        Answer::events([event("MODIFIED", &pod("a", "6"))])
            .chunk(b"<html>gateway</html>\n")
            .then(Act::Stall),
        Answer::json(200, &list("9", "", &[pod("a", "8")])),
        Answer::events([event("DELETED", &pod("a", "10"))]).then(Act::Stall),
    ])
    .await;
    let client = client(&server).await;
    assert_eq!(
        Watched::of(&client).tells(4).await,
        ["reset a", "applied a 6", "reset a", "deleted a"]
    );
    assert_eq!(server.versions(), ["5", "9"]);
}
