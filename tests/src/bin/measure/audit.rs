//! What the API server was asked for, from its audit log.

use std::collections::BTreeMap;
use std::path::PathBuf;

use podbay_tests::{DEBIAN, Namespace, PAUSE, SMALL};
use serde_json::Value;

/// The log of our own cluster.
fn log() -> PathBuf {
    let state = std::env::var("PODBAY_CLUSTER_STATE").unwrap_or_else(|_| "/tmp/podbay-cluster".to_owned());
    PathBuf::from(state).join("audit/audit.log")
}

/// Where the log ends now.
fn mark() -> u64 {
    std::fs::metadata(log()).unwrap().len()
}

/// The requests since `mark` in a namespace by our user agent, counted by verb and resource.
fn since(mark: u64, namespace: &str) -> BTreeMap<String, usize> {
    let text = std::fs::read(log()).unwrap();
    let new = String::from_utf8_lossy(&text[usize::try_from(mark).unwrap()..]).into_owned();
    let mut counts = BTreeMap::new();
    for line in new.lines() {
        let Ok(entry) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let object = &entry["objectRef"];
        // A watch stands twice: when it starts and when it ends.
        if object["namespace"] != namespace || entry["stage"] == "ResponseStarted" && entry["verb"] != "watch"
        {
            continue;
        }
        if entry["user"]["username"] != "podbay-admin"
            || entry["verb"] == "watch" && entry["stage"] != "ResponseStarted"
        {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let sub = object["subresource"]
            .as_str()
            .map(|sub| format!("/{sub}"))
            .unwrap_or_default();
        *counts
            .entry(format!(
                "{} {}{sub}",
                text(&entry["verb"]),
                text(&object["resource"])
            ))
            .or_insert(0) += 1;
    }
    counts
}

/// Whether a request changes an object; starting a command is none of that.
fn is_write(request: &str) -> bool {
    let writes = ["create ", "update ", "patch ", "delete ", "deletecollection "];
    writes.iter().any(|verb| request.starts_with(verb)) && !request.contains('/')
}

/// The requests of one `podbay run`.
pub(crate) async fn writes_of_a_run(namespace: &Namespace) {
    let words = [
        &["run", "--image", DEBIAN, "--env", "A=b"],
        &SMALL[..],
        &["--", "true"],
    ]
    .concat();
    // The first session of a namespace makes the network policy that all share: one write a namespace, none a session.
    let _ = namespace.podbay().run(&words).await.expect(0);
    let before = mark();
    let _ = namespace.podbay().run(&words).await.expect(0);
    let counts = since(before, &namespace.name);
    let writes: usize = counts
        .iter()
        .filter(|(request, _)| is_write(request))
        .map(|(_, count)| count)
        .sum();
    println!("requests of `podbay run`: {counts:?}");
    println!("writes: {writes} (at most 4)");
}

/// The requests of 20 sessions of one process that wait for 10 s.
pub(crate) async fn reads_of_waiting_sessions(namespace: &Namespace) {
    let podbay = namespace.library(&[("podbay.start_timeout_seconds", "10")]).await;
    let before = mark();
    let waiting = (0..20).map(|n| {
        // It says that it carries a server, and has none: it never becomes ready.
        let mut request = podbay_runtime::SessionRequest {
            server: Some(podbay_manifests::ServerKind::Image),
            ..Default::default()
        };
        request.image = Some(PAUSE.to_owned());
        request.memory = Some("16Mi".to_owned());
        podbay.session(format!("s{n}")).request(request).open()
    });
    let failed = futures::future::join_all(waiting)
        .await
        .into_iter()
        .filter(Result::is_err)
        .count();
    let counts = since(before, &namespace.name);
    println!(
        "requests of 20 sessions of one process that waited 10 s ({failed} ran into the time-out): {counts:?}"
    );
    let reads: usize = counts
        .iter()
        .filter(|(request, _)| !is_write(request))
        .map(|(_, count)| count)
        .sum();
    println!("reads in all: {reads} (one list, and a watch every 30 s)");
}
