//! Servers that the service runs on this machine: one that ends is told as failed, with what it said, and runs again when it is resumed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::machine::eventually;

const KEY: &str = "the key of a test";

/// A running `podbay serve`. Dropped, it ends.
struct Service {
    child: Child,
    address: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    /// With programs of this directory before those of the search path, and all that it keeps below the other one.
    fn start(programs: &Path, directory: &Path) -> Self {
        for name in ["home", "run", "tmp"] {
            std::fs::create_dir(directory.join(name)).unwrap();
        }
        let mut path = vec![programs.to_owned()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let mut child = Command::new(podbay_tests::program::binary())
            .args([
                "serve",
                "--backend",
                "local",
                "--listen",
                "127.0.0.1:0",
                "--url-style",
                "host",
            ])
            .env_clear()
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("HOME", directory.join("home"))
            .env("TMPDIR", directory.join("tmp"))
            .env("XDG_RUNTIME_DIR", directory.join("run"))
            .env("PODBAY_AGENT_BINARY", podbay_tests::program::agent())
            .env("PODBAY_API_KEY", KEY)
            .env("PODBAY_SERVE_HOLD_MILLISECONDS", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .unwrap()
            .to_owned();
        Self { child, address }
    }

    fn ask(&self, method: &str, host: &str, path: &str, body: &Value) -> (u16, String) {
        let body = body.to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {KEY}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(method, &self.address, path, body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    async fn until(&self, status: &str) -> Value {
        eventually(async || {
            let session = self.api("GET", "/sessions/s", &Value::Null);
            (session["status"] == status).then_some(session)
        })
        .await
    }
}

/// Answers whoever asks at this port that it is alive, until the test ends.
fn be_alive(port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_is_told_as_failed_and_started_again_by_a_resume() {
    let (programs, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mended, port) = (directory.path().join("mended"), directory.path().join("port"));
    // It ends, unless it was mended; then it tells where it is to listen, and stays. Its last word is the port.
    let script = format!(
        "#!/bin/sh\nfor word; do last=$word; done\nif [ -e {mended} ]; then echo \"$last\" >{port}; sleep 1000; fi\n\
         echo to standard output\necho no module named pydantic >&2\nexit 3\n",
        mended = mended.display(),
        port = port.display(),
    );
    let program = programs.path().join("openhands-agent-server");
    // Another process writes the program itself: each thread that starts one at this moment has our open files for a while, and what is
    // open for writing can't be executed (execve(2), `ETXTBSY`).
    let written = directory.path().join("text");
    std::fs::write(&written, script).unwrap();
    let install = Command::new("install")
        .args(["-m", "755"])
        .args([&written, &program])
        .status();
    assert!(install.unwrap().success());
    let service = Service::start(programs.path(), directory.path());
    let command = "/usr/local/bin/openhands-agent-server --port 60000";
    let start = json!({"session_id": "s", "image": "host", "command": command, "working_dir": "/tmp"});
    let begun = service.api("POST", "/start", &start);
    let failed = service.until("error").await;
    assert_eq!(failed["pod_status"], "crashloopbackoff", "{failed}");
    let detail = failed["status_detail"].as_str().unwrap();
    assert!(detail.contains("its command ended with exit code 3"), "{detail}");
    assert_eq!(failed["pod_logs"], "no module named pydantic", "{failed}");
    // Whoever asks the session itself is told the same.
    let host = begun["url"]
        .as_str()
        .unwrap()
        .trim_start_matches("http://")
        .to_owned();
    let (status, told) = service.ask("GET", &host, "/anything", &Value::Null);
    assert!(status == 502 && told.contains("exit code 3"), "{status} {told}");

    std::fs::write(&mended, "").unwrap();
    let named = json!({"runtime_id": begun["runtime_id"]});
    let resumed = service.api("POST", "/resume", &named);
    assert_eq!(resumed["runtime_id"], begun["runtime_id"]);
    let told = eventually(async || std::fs::read_to_string(&port).ok()?.trim().parse().ok()).await;
    be_alive(told).unwrap();
    service.until("running").await;
    assert_eq!(service.api("POST", "/stop", &named)["status"], "stopped");
}

/// A command of the client's own: where it runs, how it ended and what it said last are told, and what can't be had is refused.
#[tokio::test]
async fn the_end_of_a_command_is_told_and_what_can_not_be_had_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let programs = tempfile::tempdir().unwrap();
    let service = Service::start(programs.path(), directory.path());
    let work = tempfile::tempdir().unwrap();
    let go = work.path().join("go");
    let script = format!(
        "while ! [ -e {} ]; do sleep 0.05; done; pwd >&2; exit 3",
        go.display()
    );
    let mut start = json!({
        "session_id": "s", "image": "host", "command": ["sh", "-c", script], "working_dir": work.path(),
    });
    let begun = service.api("POST", "/start", &start);
    assert_eq!(begun["kind"], "command", "{begun}");
    let running = service.until("running").await;
    assert_eq!(
        (&running["status_detail"], &running["pod_logs"]),
        (&Value::Null, &json!(""))
    );
    std::fs::write(&go, "").unwrap();
    let ended = eventually(async || {
        let session = service.api("GET", "/sessions/s", &Value::Null);
        session["status_detail"].is_string().then_some(session)
    })
    .await;
    let detail = ended["status_detail"].as_str().unwrap();
    assert!(detail.contains("its command ended with exit code 3"), "{detail}");
    assert_eq!(ended["status"], "running", "{ended}");
    let there = work.path().canonicalize().unwrap();
    assert_eq!(ended["pod_logs"], json!(there), "{ended}");
    assert_eq!(
        ended["container_statuses"],
        json!(["its command ended with exit code 3"])
    );
    let named = json!({"runtime_id": begun["runtime_id"]});
    assert_eq!(service.api("POST", "/stop", &named)["status"], "stopped");

    start["working_dir"] = json!(work.path().join("none"));
    start["run_as_user"] = json!(4_000_000);
    let (status, refused) = service.ask("POST", &service.address, "/start", &start);
    assert!(
        status == 422 && refused.contains("run_as_user 4000000") && refused.contains("/none"),
        "{refused}"
    );
}
