//! The key as others of the sandbox would look for it: a process that had it in its environment, seen through `/proc`.
//!
//! The tests named `stage_…` are the process: it is this program, started by the test that looks at it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![expect(clippy::disallowed_methods, reason = "nothing reaps here but the test itself")]

use std::io::{BufRead as _, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use podbay_agent::key::handover::{self, Sources};
use podbay_agent::key::protect::protect_process;

const KEY: &str = "not-to-be-found-anywhere";

/// Runs one test of this program and nothing else.
fn stage(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        name,
        "--include-ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    command
}

/// The process, and what it prints. Dropped, it is killed.
struct Started {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Started {
    /// The rest of the next line that begins so.
    fn line(&mut self, start: &str) -> String {
        let mut lines = self.lines.by_ref().map(Result::unwrap);
        lines
            .find_map(|line| line.strip_prefix(start).map(str::to_owned))
            .unwrap_or_else(|| panic!("no line {start:?}"))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets the processes know which key to expect, and the environment not have it.
fn backwards(key: &str) -> String {
    key.chars().rev().collect()
}

fn environ(pid: u32) -> std::io::Result<String> {
    std::fs::read(PathBuf::from(format!("/proc/{pid}/environ")))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
#[ignore = "a process of the tests below"]
fn stage_first() {
    // What the kernel shows now has the key: else the other tests would show nothing.
    // On a line of its own: the test's name stands before.
    println!();
    println!("before: {}", environ(std::process::id()).unwrap().contains(KEY));
    let file = std::env::var_os("TEST_KEY_FILE").map(PathBuf::from);
    let sources = Sources {
        stdin: false,
        file: file.as_deref(),
    };
    let key = handover::take(sources, || Ok(stage("stage_second")));
    println!(
        "taken: {}",
        key.unwrap().is_some_and(|key| key.is(KEY.as_bytes()))
    );
}

#[test]
#[ignore = "a process of the tests below"]
fn stage_second() {
    let sources = Sources {
        stdin: true,
        file: None,
    };
    let key = handover::take(sources, || unreachable!()).unwrap().unwrap();
    let input = std::fs::read_link("/proc/self/fd/0").unwrap();
    println!(
        "\nenvironment: {}",
        environ(std::process::id()).unwrap().contains(KEY)
    );
    println!("input: {}", input.display());
    protect_process(true).unwrap();
    let shown = Command::new("cat").arg("/proc/self/status").output().unwrap();
    let status = String::from_utf8(shown.stdout).unwrap();
    println!(
        "child: {}",
        status
            .lines()
            .find(|line| line.starts_with("NoNewPrivs"))
            .unwrap()
    );
    println!(
        "key: {}",
        key.is(backwards(&std::env::var("TEST_EXPECTED").unwrap()).as_bytes())
    );
    println!("ready: {}", std::process::id());
    // Until it is killed.
    let _ = std::io::pipe().map(|(mut reader, _writer)| std::io::copy(&mut reader, &mut std::io::sink()));
}

fn start(extra: &[(&str, &str)]) -> Started {
    let mut child = stage("stage_first")
        .env("SESSION_API_KEY", KEY)
        .env("OH_SESSION_API_KEYS_0", KEY)
        .envs(extra.iter().copied())
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Started { child, lines }
}

#[test]
fn a_key_in_the_environment_is_not_there_any_longer() {
    let mut child = start(&[("TEST_EXPECTED", &backwards(KEY))]);
    assert_eq!(child.line("before: "), "true");
    for (start, wanted) in [
        ("environment: ", "false"),
        ("input: ", "/dev/null"),
        ("child: NoNewPrivs:\t", "1"),
        ("key: ", "true"),
    ] {
        assert_eq!(child.line(start), wanted, "{start}");
    }
    // The same process, by pid: PID 1 stays PID 1.
    assert_eq!(child.line("ready: "), child.child.id().to_string());
    // Root may look, and finds nothing; the same user may not even look.
    match environ(child.child.id()) {
        Ok(environment) => assert!(!environment.contains(KEY)),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
}

#[test]
fn a_file_goes_before_the_environment_which_is_cleaned_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, "of-the-file").unwrap();
    let mut child = start(&[
        ("TEST_EXPECTED", &backwards("of-the-file")),
        ("TEST_KEY_FILE", file.to_str().unwrap()),
    ]);
    assert_eq!(child.line("environment: "), "false");
    assert_eq!(child.line("key: "), "true");
    assert!(!file.exists());
}

#[test]
fn without_a_key_nothing_is_replaced() {
    let output = stage("stage_first")
        .env_remove("SESSION_API_KEY")
        .env_remove("OH_SESSION_API_KEYS_0")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("taken: false"), "{text}");
}
