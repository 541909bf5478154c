//! The script as a shell runs it. What the shell in the pod does when it is told is tested beside that one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use podbay_protocol::hex::to_hex;
use sha2::{Digest as _, Sha256};

use super::*;

/// What the sandbox's directory has, and how an upload into it ended.
struct Upload {
    code: Option<i32>,
    asked: bool,
    said: String,
}

const AGENT: &[u8] = b"#!/bin/sh\nexit 2\n";

fn machine() -> String {
    let output = Command::new("uname").arg("-m").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Runs the script on a directory. The agent's part of the taking over, which is that the key goes, is played as soon as the
/// program is there.
fn upload(directory: &Path, machine: &str, told: &[u8], sent: &[u8]) -> Upload {
    let hash = to_hex(&Sha256::digest(told));
    let (program, key) = (directory.join("agent"), directory.join("key"));
    let size = told.len().to_string();
    // Signals go to a process of the test's own.
    let mut first = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = first.id().to_string();
    let words = [
        program.to_str().unwrap(),
        key.to_str().unwrap(),
        machine,
        &size,
        &hash,
        "token",
        &pid,
    ];
    let argv = script(UPLOAD, &words);
    let mut child = Command::new(&argv[0])
        .args(&argv[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let asked = stdout.read_line(&mut line).unwrap() > 0;
    let mut stdin = child.stdin.take().unwrap();
    if asked {
        assert_eq!(line, "send\n");
        stdin.write_all(b"secret\n").unwrap();
        // One that has refused reads no more.
        stdin.write_all(sent).ok();
    }
    drop(stdin);
    let ended = loop {
        if program.exists() && key.exists() {
            let mode = std::fs::metadata(&key).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(std::fs::read_to_string(&key).unwrap(), "secret\n");
            std::fs::remove_file(&key).unwrap();
        }
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::yield_now();
    };
    // It may be gone by the signal.
    first.kill().ok();
    first.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    Upload {
        code: ended.code(),
        asked,
        said,
    }
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_agent_is_put_in_its_place_and_its_key_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let done = upload(directory.path(), &machine(), AGENT, AGENT);
    assert_eq!((done.code, done.said.as_str()), (Some(0), ""));
    assert_eq!(files(directory.path()), ["agent"]);
    let agent = directory.path().join("agent");
    assert_eq!(std::fs::read(&agent).unwrap(), AGENT);
    assert_eq!(
        std::fs::metadata(agent).unwrap().permissions().mode() & 0o777,
        0o755
    );
    // Another client finds it done, and sends nothing.
    let again = upload(directory.path(), &machine(), AGENT, AGENT);
    assert_eq!((again.code, again.asked), (Some(0), false));
}

#[test]
fn what_does_not_fit_or_came_through_damaged_leaves_nothing() {
    for (machine, told, sent, code, word) in [
        ("pdp11", AGENT, AGENT, 3, "is built for pdp11"),
        (machine().as_str(), AGENT, &AGENT[1..], 4, "bytes came through"),
        (
            machine().as_str(),
            AGENT,
            b"#!/bin/sh\nexit 3\n".as_slice(),
            4,
            "another hash",
        ),
        (machine().as_str(), b"#!/none\n", b"#!/none\n", 5, "can't be run"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let done = upload(directory.path(), machine, told, sent);
        assert_eq!(done.code, Some(code), "{}", done.said);
        assert!(done.said.contains(word), "{}", done.said);
        assert_eq!(files(directory.path()), [""; 0]);
    }
}

/// A creator that died between its key and its agent, or on the way, is followed by another.
#[test]
fn what_an_upload_that_broke_off_has_left_is_no_matter() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("agent.other"), "half").unwrap();
    std::fs::write(directory.path().join("key"), "secret\n").unwrap();
    let done = upload(directory.path(), &machine(), AGENT, AGENT);
    assert_eq!(done.code, Some(0), "{}", done.said);
    assert_eq!(files(directory.path()), ["agent", "agent.other"]);
}

#[test]
fn a_verdict_says_whose_fault_it_is() {
    let refused = |code| UploadFailure::Refused {
        code,
        said: "words".to_owned(),
    };
    let of = |failure: UploadFailure| {
        let verdict = failure.verdict();
        assert_eq!(verdict.cause, Cause::ContainerStart);
        (verdict.blame, verdict.retry)
    };
    assert_eq!(of(refused(WRONG_MACHINE)), (Blame::Configuration, Retry::Never));
    assert_eq!(of(refused(4)), (Blame::Infrastructure, Retry::Elsewhere));
    assert!(refused(4).verdict().message.ends_with(": words"));
}
