//! The mode `stdio`: what an exec runs to reach the agent.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "this test's process has no agent in it that waits for children"
)]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;

use podbay_protocol::agent::BRIDGE_READY;

const KEY: &str = "not-to-be-found-anywhere";

fn bridge(port: u16) -> Child {
    Command::new(env!("CARGO_BIN_EXE_podbay-agent"))
        .args(["stdio", "--port", &port.to_string()])
        .env("SESSION_API_KEY", KEY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The first line that it writes.
fn ready(child: &mut Child) {
    let mut line = vec![0; BRIDGE_READY.len()];
    child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    assert_eq!(line, BRIDGE_READY.as_bytes());
}

#[test]
fn bytes_go_both_ways_and_each_end_is_an_end() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut child = bridge(listener.local_addr().unwrap().port());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        stream.write_all(&got).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        got
    });
    ready(&mut child);
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&sent).unwrap();
    // The end of the input is the end of what the server reads, and not of what it answers.
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    assert!(server.join().unwrap() == sent);
    assert!(output.stdout == sent);
}

/// The exec of a container gives every process the container's environment, in which the key may be.
#[test]
fn the_key_is_not_in_its_environment() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut child = bridge(listener.local_addr().unwrap().port());
    ready(&mut child);
    let (_stream, _) = listener.accept().unwrap();
    // Root may look, and finds nothing; others may not even look.
    if let Ok(environ) = std::fs::read(format!("/proc/{}/environ", child.id())) {
        assert!(environ.is_empty(), "{}", String::from_utf8_lossy(&environ));
    }
    let arguments = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    assert!(!String::from_utf8_lossy(&arguments).contains(KEY));
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_server_that_goes_ends_it() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut child = bridge(listener.local_addr().unwrap().port());
    ready(&mut child);
    let stdin = child.stdin.take().unwrap();
    drop(listener.accept().unwrap());
    // Although its input is still open.
    assert!(child.wait().unwrap().success());
    drop(stdin);
}

#[test]
fn where_nobody_listens_it_says_so() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let output = bridge(port).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains(&format!("connecting to port {port}")), "{words}");
    assert!(words.contains("refused"), "{words}");
}
