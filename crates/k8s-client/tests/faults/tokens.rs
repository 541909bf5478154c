//! Credentials that change while the process runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podbay_k8s_client::{ClusterClient as _, ErrorKind};
use serde_json::json;

use super::answer::{Answer, event, list, pod};
use super::connection::Request;
use super::server::Server;
use super::setup::{Setup, key, object};
use super::watched::Watched;

/// A server that takes one token at a time, and which one that is.
async fn guarded(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (Server, impl Fn(&str)) {
    let valid = Arc::new(Mutex::new("one".to_owned()));
    let asked = Arc::clone(&valid);
    let server = Server::judge(move |request| {
        let token = format!("Bearer {}", asked.lock().unwrap());
        if request.header("authorization") == Some(&token) {
            answer(request)
        } else {
            Answer::status(401, "Unauthorized", "the token is not valid")
        }
    })
    .await;
    (server, move |token: &str| {
        token.clone_into(&mut valid.lock().unwrap());
    })
}

fn found(_: &Request) -> Answer {
    Answer::json(200, &pod("p", "7"))
}

/// The server, with a token file; its path.
fn by_file(server: &Server, content: &str) -> (Setup, PathBuf) {
    let setup = Setup::of(server);
    let path = setup.file("token", content);
    let user = json!({"tokenFile": path});
    (setup.user(user), path)
}

#[tokio::test]
async fn a_token_file_that_changed_is_read_again_when_the_old_token_is_refused() {
    let (server, accept) = guarded(found).await;
    let (setup, token) = by_file(&server, "one");
    let client = setup.client().await;
    client.get(&key()).await.unwrap();
    std::fs::write(token, "two").unwrap();
    accept("two");
    assert!(client.get(&key()).await.unwrap().is_some());
    client.create(object()).await.unwrap();
    assert_eq!(server.count("GET"), 3, "one of them refused");
    assert_eq!(server.count("POST"), 1);
}

#[tokio::test]
async fn a_running_watch_outlives_its_token() {
    let (server, accept) = guarded(|request| {
        if !request.is_watch() {
            return Answer::json(200, &list("5", "", &[pod("a", "1")]));
        }
        let next = if request.line.contains("resourceVersion=5") {
            "6"
        } else {
            "7"
        };
        Answer::events([event("MODIFIED", &pod("a", next))]).end()
    })
    .await;
    let (setup, token) = by_file(&server, "one");
    let client = setup.client().await;
    let mut watched = Watched::of(&client);
    assert_eq!(watched.tells(2).await, ["reset a", "applied a 6"]);
    std::fs::write(token, "two").unwrap();
    accept("two");
    assert_eq!(watched.told().await, "applied a 7");
    // Refused once with the old token, and from the same version with the new one.
    assert_eq!(server.versions(), ["5", "6", "6"]);
}

/// Lets time pass at once. Not for longer than that: with a clock that stands, time would leap to a deadline
/// whenever a socket is waited for.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_token_file_is_read_again_each_minute_though_nobody_refuses_the_token() {
    let server = Server::judge(found).await;
    let (setup, token) = by_file(&server, "one");
    let client = setup.client().await;
    std::fs::write(token, "two").unwrap();
    for seconds in [0, 59, 2] {
        pass(Duration::from_secs(seconds)).await;
        client.get(&key()).await.unwrap();
    }
    let requests = server.requests();
    let sent: Vec<_> = requests
        .iter()
        .filter_map(|request| request.header("authorization"))
        .collect();
    assert_eq!(sent, ["Bearer one", "Bearer one", "Bearer two"]);
}

#[tokio::test]
async fn a_token_that_was_refused_is_looked_for_again_after_a_while() {
    let (server, accept) = guarded(found).await;
    accept("two");
    let (setup, token) = by_file(&server, "one");
    let client = setup.client().await;
    client.get(&key()).await.unwrap_err();
    std::fs::write(token, "two").unwrap();
    client.get(&key()).await.unwrap_err();
    pass(Duration::from_secs(11)).await;
    assert!(client.get(&key()).await.unwrap().is_some());
    assert_eq!(server.count("GET"), 4);
}

#[tokio::test]
async fn a_token_file_that_is_gone_leaves_the_token_in_use() {
    let (server, _accept) = guarded(found).await;
    let (setup, token) = by_file(&server, "one");
    let client = setup.client().await;
    std::fs::remove_file(token).unwrap();
    pass(Duration::from_secs(61)).await;
    assert!(client.get(&key()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_token_file_may_end_in_a_line_break() {
    let (server, _accept) = guarded(found).await;
    let (setup, _token) = by_file(&server, "one\n");
    assert!(setup.client().await.get(&key()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_token_that_stays_refused_is_unauthorized_at_once() {
    let (server, accept) = guarded(found).await;
    accept("another");
    let (setup, _token) = by_file(&server, "secret-token");
    let client = setup.client().await;
    let error = client.create(object()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthorized);
    assert_eq!(error.message.as_deref(), Some("the token is not valid"));
    assert!(!error.may_have_happened());
    assert!(!format!("{error:?} {client:?}").contains("secret-token"));
    assert!(
        server.requests().len() <= 2,
        "at most once again, with what the file says now"
    );
    // The file was just read: the next refusal is believed.
    let before = server.requests().len();
    assert_eq!(
        client.get(&key()).await.unwrap_err().kind,
        ErrorKind::Unauthorized
    );
    assert_eq!(server.requests().len(), before + 1);
    assert_eq!(
        Watched::of(&client).tells(2).await,
        ["failed Unauthorized", "end"]
    );
}

#[tokio::test]
async fn a_token_of_the_kubeconfig_itself_is_tried_once_while_it_stands() {
    let (server, _accept) = guarded(found).await;
    let client = Setup::of(&server).client().await;
    for asked in 1..=3 {
        let error = client.get(&key()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unauthorized);
        assert_eq!(server.requests().len(), asked);
    }
}

#[tokio::test]
async fn a_kubeconfig_that_was_written_anew_is_read_again() {
    let (server, accept) = guarded(found).await;
    let setup = Setup::of(&server).user(json!({"token": "one"}));
    let client = setup.client().await;
    client.get(&key()).await.unwrap();
    accept("two");
    let renewed = setup.user(json!({"token": "two"}));
    renewed.connect().await.unwrap();
    assert!(client.get(&key()).await.unwrap().is_some());
}

/// The server, with a credential plugin that prints what the file `token` says and notes each run in `runs`.
fn by_plugin(server: &Server, expires: Option<&str>) -> (Setup, Plugin) {
    let setup = Setup::of(server);
    let folder = setup.folder.path().to_owned();
    let expires = expires.map_or(String::new(), |time| {
        format!(", \"expirationTimestamp\": \"{time}\"")
    });
    let script = format!(
        "#!/bin/sh\ncd '{}' && echo run >> runs && printf '{{\"kind\": \"ExecCredential\", \"apiVersion\": \
         \"client.authentication.k8s.io/v1\", \"status\": {{\"token\": \"%s\"{expires}}}}}' \"$(cat token)\"\n",
        folder.display()
    );
    setup.file("token", "one");
    let program = setup.program("plugin", &script);
    let user = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": program,
        "interactiveMode": "Never"}});
    (setup.user(user), Plugin { folder })
}

struct Plugin {
    folder: PathBuf,
}

impl Plugin {
    fn gives(&self, token: &str) {
        std::fs::write(self.folder.join("token"), token).unwrap();
    }

    fn runs(&self) -> usize {
        let runs: &Path = &self.folder.join("runs");
        std::fs::read_to_string(runs).unwrap().lines().count()
    }
}

#[tokio::test]
async fn a_plugins_token_is_kept_until_it_expires() {
    let (server, _accept) = guarded(found).await;
    let (setup, plugin) = by_plugin(&server, Some("2999-01-01T00:00:00Z"));
    let client = setup.client().await;
    // Connecting may ask it for a certificate and for a token, one after the other.
    let runs = plugin.runs();
    assert!((1..=2).contains(&runs));
    for _ in 0..3 {
        client.get(&key()).await.unwrap();
    }
    assert_eq!(plugin.runs(), runs);
}

#[tokio::test]
async fn a_plugin_is_run_again_after_its_token_expired() {
    let (server, accept) = guarded(found).await;
    let (setup, plugin) = by_plugin(&server, Some("2020-01-01T00:00:00Z"));
    let client = setup.client().await;
    client.get(&key()).await.unwrap();
    plugin.gives("two");
    accept("two");
    client.get(&key()).await.unwrap();
    assert_eq!(server.count("GET"), 2, "none was refused");
    assert!(plugin.runs() >= 2);
}

#[tokio::test]
async fn a_plugin_is_run_again_when_its_token_is_refused_before_its_time() {
    for expires in [Some("2999-01-01T00:00:00Z"), None] {
        let (server, accept) = guarded(found).await;
        let (setup, plugin) = by_plugin(&server, expires);
        let client = setup.client().await;
        client.get(&key()).await.unwrap();
        plugin.gives("two");
        accept("two");
        let runs = plugin.runs();
        client.create(object()).await.unwrap();
        assert_eq!(server.count("POST"), 2, "refused, then accepted");
        let runs = plugin.runs() - runs;
        assert!((1..=2).contains(&runs));
        let kept = plugin.runs();
        client.get(&key()).await.unwrap();
        assert_eq!(plugin.runs(), kept, "the new token is kept");
    }
}

/// What is told of a plugin that is this script.
async fn told_of(script: &str) -> String {
    let (server, _accept) = guarded(found).await;
    let setup = Setup::of(&server);
    let program = setup.program("my-plugin", script);
    let setup = setup.user(json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": program,
        "args": ["--token", "secret-argument"], "interactiveMode": "Never", "installHint": "brew install it"}}));
    let error = setup.connect().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Configuration);
    let text = error.to_string();
    assert!(text.contains("my-plugin\""), "its name: {text}");
    for never in [
        "secret-argument",
        "secret-output",
        "Output",
        "ExitStatus",
        "unix_wait_status",
    ] {
        assert!(!text.contains(never), "{text}");
    }
    text
}

#[tokio::test]
async fn a_plugin_that_fails_is_told_by_name_code_and_words() {
    let text = told_of("#!/bin/sh\necho secret-output; echo 'please log in' >&2; exit 3\n").await;
    assert!(text.ends_with("ended with code 3: please log in"), "{text}");
    let text = told_of("#!/bin/sh\nkill -9 $$\n").await;
    assert!(text.contains("was killed (signal: 9"), "{text}");
}

#[tokio::test]
async fn a_plugin_that_prints_no_credentials_is_told_without_what_it_printed() {
    let text = told_of("#!/bin/sh\necho secret-output: [\n").await;
    assert!(text.ends_with("printed what is no ExecCredential"), "{text}");
    let empty = "#!/bin/sh\necho '{\"kind\": \"ExecCredential\", \"apiVersion\": \"client.authentication.k8s.io/v1\"}'\n";
    let text = told_of(empty).await;
    assert!(text.ends_with("gave no credentials (no status)"), "{text}");
}

#[tokio::test]
async fn a_plugin_that_is_not_installed_is_told_with_the_kubeconfigs_hint() {
    let (server, _accept) = guarded(found).await;
    let setup = Setup::of(&server).user(json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1",
        "command": "no-such-plugin", "installHint": "Install it with: brew install it"}}));
    let text = setup.connect().await.unwrap_err().to_string();
    assert!(
        text.ends_with("plugin \"no-such-plugin\" is not installed. Install it with: brew install it"),
        "{text}"
    );
}

/// A plugin that gave credentials and fails later, when they have expired: the same words, for each call.
#[tokio::test]
async fn a_plugin_that_fails_later_is_told_the_same_way() {
    let (server, _accept) = guarded(found).await;
    let (setup, _) = by_plugin(&server, Some("2020-01-01T00:00:00Z"));
    let client = setup.client().await;
    setup.program("plugin", "#!/bin/sh\necho 'please log in' >&2; exit 4\n");
    let error = client.get(&key()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthorized);
    let text = error.to_string();
    assert!(
        text.ends_with("plugin\" ended with code 4: please log in"),
        "{text}"
    );
}

#[tokio::test]
async fn a_plugin_that_fails_is_told_as_a_configuration_that_is_none() {
    let (server, _accept) = guarded(found).await;
    let setup = Setup::of(&server).user(json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1",
        "command": "/nonexistent/plugin", "interactiveMode": "Never"}}));
    let error = setup.connect().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Configuration);
    assert_eq!(server.connections(), 0);
}
