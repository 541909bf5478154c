//! Places of a test's own, and requests to the agent of a session.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use podbay_local::{AgentProgram, Created, Locked, NewSession, Places, SessionFile, SessionName, Sessions};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};

/// What the agents of the tests ask clients for.
pub(crate) const KEY: &str = "0123456789abcdef";
/// How long another process is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Sessions in places of their own. When they are dropped the places go, and their agents with them.
pub(crate) struct Machine {
    pub(crate) sessions: Sessions,
    directory: tempfile::TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(Places {
            sessions: directory.path().join("run"),
            files: directory.path().join("state"),
        });
        Self { sessions, directory }
    }

    /// Makes a session and starts its agent.
    pub(crate) async fn open(&self, id: &str) -> (SessionName, SessionFile) {
        let name = SessionName::of(None, id);
        let locked = self.make(&name, id);
        let file = locked.read().unwrap().unwrap();
        start(&locked, &file).await;
        locked.unlock();
        (name, file)
    }

    /// Makes a session without an agent.
    pub(crate) fn make(&self, name: &SessionName, id: &str) -> Locked {
        let uid = format!("{id}-{:016x}", rand::random::<u64>());
        let new = NewSession {
            uid: &uid,
            work: "/workspace",
            record: serde_json::json!({"id": id}),
            secret: b"secret",
        };
        match self.sessions.create(name, new).unwrap() {
            Created::New(locked) => locked,
            Created::Exists => panic!("{id} is there"),
        }
    }

    pub(crate) async fn lock(&self, name: &SessionName) -> Locked {
        self.sessions.lock(name, PATIENCE).await.unwrap().unwrap()
    }

    /// All files of both places.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for place in ["run", "state"] {
            let entries = std::fs::read_dir(self.directory.path().join(place));
            for entry in entries.into_iter().flatten() {
                left.push(format!("{place}/{}", entry.unwrap().file_name().display()));
            }
        }
        left
    }

    /// Starts a process, and returns its id once it runs.
    pub(crate) async fn run(&self, name: &SessionName, id: &str, script: &str) -> i32 {
        let spec = serde_json::json!({
            "id": id, "argv": ["sh", "-c", script], "stdin": false, "retention": "spool"
        });
        let path = format!("/podbay/v1/processes/{id}");
        self.ask(name, "PUT", &path, &spec.to_string()).await;
        eventually(async || {
            let info: Value = serde_json::from_str(&self.ask(name, "GET", &path, "").await).unwrap();
            info["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok())
        })
        .await
    }

    /// The body of an answer of the session's agent.
    pub(crate) async fn ask(&self, name: &SessionName, method: &str, path: &str, body: &str) -> String {
        let mut stream = UnixStream::connect(self.sessions.socket(name)).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-session-api-key: {KEY}\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 2"), "{head}\n{body}");
        body.to_owned()
    }

    /// The process that is the session's agent.
    pub(crate) async fn agent(&self, name: &SessionName) -> i32 {
        let stream = UnixStream::connect(self.sessions.socket(name)).await.unwrap();
        stream.peer_cred().unwrap().pid().unwrap()
    }
}

/// Starts the agent of a session.
pub(crate) async fn start(locked: &Locked, file: &SessionFile) {
    let program = podbay_tests::program::agent();
    let agent = AgentProgram::find(Some(Path::new(&program)), None, None).unwrap();
    let given = BTreeMap::from([("GIVEN".into(), "value".into())]);
    agent.start(locked, file, &KEY.into(), given).await.unwrap();
}

/// Whether a process runs; one that is dead and not yet waited for does not.
pub(crate) fn is_alive(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// The state of a process, as `/proc/PID/stat` has it.
pub(crate) fn state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether a process stands still: it was stopped, or it waits for a child that was before it executed its program, which is no stop but
/// a sleep that no signal but a kill ends (vfork(2); dash starts its commands that way).
pub(crate) fn stands_still(pid: i32) -> bool {
    match state(pid) {
        Some('T') => true,
        Some('D') => children(pid).into_iter().any(|child| state(child) == Some('T')),
        _ => false,
    }
}

/// The children of a process with one thread.
fn children(pid: i32) -> Vec<i32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children
        .split_whitespace()
        .map(|child| child.parse().unwrap())
        .collect()
}

/// Looks until there is something.
pub(crate) async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not come about");
        sleep(Duration::from_millis(10)).await;
    }
}
