//! VS Code beside the agent: a program that stands in for its servers.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use podbay_agent::action::ActionSettings;
use podbay_agent::key::SessionKey;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::client::{Agent, KEY, PATIENCE};

/// A program that listens, and writes down what it was started with once it is asked for something: VS Code reads its token no earlier.
/// A file that nobody writes: what a thread that starts a program has open for writing can't be executed (execve(2), `ETXTBSY`).
const STAND_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/vscode_stand_in.py");

async fn agent_with(name: &str) -> Agent {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    agent_on(name, port, None).await
}

async fn agent_on(name: &str, port: u16, socket: Option<&'static str>) -> Agent {
    Agent::start_as(
        |_| {},
        |services, directory| {
            let program = directory.join("programs").join(name);
            std::fs::create_dir(directory.join("programs")).unwrap();
            symlink(STAND_IN, &program).unwrap();
            let mut settings = ActionSettings::default();
            settings.directory = Some(directory.to_owned());
            settings.vscode.path = Some(directory.join("programs").display().to_string());
            settings.vscode.port = port;
            settings.vscode.socket = socket.map(|name| directory.join(name));
            directory.clone_into(&mut settings.vscode.private);
            services.with_actions(settings)
        },
    )
    .await
}

async fn token(agent: &Agent) -> Option<String> {
    let answer: Value = agent.get("/vscode/connection_token").await.ok().json();
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    answer["token"].as_str().map(str::to_owned)
}

fn started(agent: &Agent) -> Value {
    serde_json::from_slice(&std::fs::read(agent.at("started")).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_that_of_the_one_that_runs() {
    for name in ["openvscode-server", "code-server"] {
        let agent = agent_with(name).await;
        let first = token(&agent).await.unwrap();
        let key = SessionKey::new(&KEY.into()).unwrap();
        assert_eq!(first, key.vscode_token().expose_secret());
        let seen = started(&agent);
        assert_eq!(seen["token"], first, "{name}");
        assert!(!seen["words"].to_string().contains(&first), "{seen}");
        assert_eq!(token(&agent).await.unwrap(), first);
        assert_eq!(started(&agent), seen, "it was started once");
        // What told it the token is gone, and it is no sign that somebody needs the sandbox.
        let left = std::fs::read_dir(agent.at("")).unwrap();
        assert!(
            !left
                .into_iter()
                .any(|entry| entry.unwrap().file_name().to_string_lossy().contains("token"))
        );
        let figures: Value = agent.get("/podbay/v1/figures").await.ok().json();
        let signals = figures["idle"]["signals"].as_array().unwrap();
        let now = |signal: &&Value| signal["signal"] == "processes" && signal["seconds"] == 0.0;
        assert!(!signals.iter().any(|signal| now(&signal)), "{figures}");
        // One that has ended is started again.
        let pid = Pid::from_raw(seen["pid"].as_i64().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        let path = format!("/proc/{}", pid.as_raw_nonzero());
        let gone = async {
            while Path::new(&path).exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap();
        assert_eq!(token(&agent).await.unwrap(), first);
        let again = started(&agent);
        assert_eq!(again["token"], first);
        assert_ne!(again["pid"], seen["pid"]);
        agent.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_it_has_no_token() {
    let agent = agent_with("something-else").await;
    assert_eq!(token(&agent).await, None);
}

/// Sessions of one machine have one network.
#[tokio::test(flavor = "multi_thread")]
async fn it_listens_on_a_socket_where_it_is_told_to() {
    for name in ["openvscode-server", "code-server"] {
        let agent = agent_on(name, 1, Some("vscode")).await;
        // What an earlier one has left there is replaced.
        std::fs::write(agent.at("vscode"), "").unwrap();
        let first = token(&agent).await.unwrap();
        let seen = started(&agent);
        assert_eq!(seen["token"], first, "{name}");
        assert!(!seen["words"].to_string().contains("--port"), "{seen}");
        drop(tokio::net::UnixStream::connect(agent.at("vscode")).await.unwrap());
        agent.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_its_port_already_is_not_taken_for_it() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let agent = agent_on("code-server", other.local_addr().unwrap().port(), None).await;
    assert_eq!(token(&agent).await, None);
    assert!(!Path::new(&agent.at("started")).exists());
    drop(other);
    assert!(token(&agent).await.is_some());
    agent.ends().await;
}
