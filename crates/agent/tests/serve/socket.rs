//! A server on a socket, as that of a session on this machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::KEY;

/// The program. Dropped, it is killed.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it for a directory. Returns the line in which it tells where it listens; it is empty if it does not.
fn start(directory: &Path) -> (Served, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podbay-agent"));
    command
        .args(["serve", "--key-on-stdin", "--grace=0", "--mark=session"])
        .arg("--socket")
        .arg(directory.join("socket"))
        .arg("--lock")
        .arg(directory.join("lock"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(KEY.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (Served(child), line)
}

/// The status and the body of an answer; `None` if the connection ends without one.
fn ask(socket: &Path, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = UnixStream::connect(socket).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-session-api-key: {KEY}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    // One that is turned away may not take it.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned()))
}

#[test]
fn a_socket_is_for_its_user_alone_and_one_server_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    // What a server left that was killed.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let (_served, line) = start(directory.path());
    assert_eq!(line, format!("listening on {}\n", socket.display()));
    let found = std::fs::metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.mode() & 0o7777, 0o600);
    let spec = serde_json::json!({"id": "p", "argv": ["sh", "-c", "echo $PODBAY_PROCESS"], "stdin": false, "retention": "spool"});
    let (status, body) = ask(&socket, "PUT", "/podbay/v1/processes/p", &spec.to_string()).unwrap();
    assert_eq!(status, 201, "{body}");
    let (status, output) = ask(&socket, "GET", "/podbay/v1/processes/p/output", "").unwrap();
    assert_eq!(status, 200);
    assert!(output.contains("session/p\n"), "{output}");
    // A second one finds the lock held, and leaves the socket alone.
    let (mut second, line) = start(directory.path());
    assert_eq!((line.as_str(), second.0.wait().unwrap().code()), ("", Some(1)));
    assert_eq!(ask(&socket, "GET", "/podbay/v1/processes", "").unwrap().0, 200);
}

#[test]
fn another_user_is_turned_away_whatever_the_modes_say() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root can become another user.
    }
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let (_served, _) = start(directory.path());
    let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
    open(directory.path(), 0o755).unwrap();
    open(&socket, 0o666).unwrap();
    let asked = std::thread::spawn(move || {
        // This thread's user alone: the C library is not asked.
        let nobody = rustix::fs::Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        ask(&socket, "GET", "/alive", "")
    });
    assert_eq!(asked.join().unwrap(), None);
}

#[test]
fn a_server_whose_directory_goes_ends_with_all_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let (mut served, _) = start(directory.path());
    let spec =
        serde_json::json!({"id": "p", "argv": ["sleep", "1000"], "stdin": false, "retention": "spool"});
    let (status, body) = ask(&socket, "PUT", "/podbay/v1/processes/p", &spec.to_string()).unwrap();
    assert_eq!(status, 201, "{body}");
    let info: serde_json::Value = serde_json::from_str(&body).unwrap();
    directory.close().unwrap();
    assert_eq!(served.0.wait().unwrap().code(), Some(0));
    if let Some(pid) = info["pid"].as_i64() {
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
