//! The program in its mode `serve`, seen from outside: as its clients see it, and as hostile code of its user does.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(clippy::disallowed_methods, reason = "nothing reaps here but the test itself")]

mod groups;
mod memory;
mod socket;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};

use podbay_agent::key::SessionKey;
use podbay_protocol::agent::proof::{Nonce, ProofAnswer};

const KEY: &str = "not-to-be-found-anywhere";

/// The program. Dropped, it is killed.
struct Served {
    child: Child,
    address: SocketAddr,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podbay-agent"));
    command
        .args(["serve", "--port=0", "--pod-uid=pod"])
        .args(arguments);
    command
        .env_remove("SESSION_API_KEY")
        .env_remove("OH_SESSION_API_KEYS_0");
    command
}

impl Served {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address: SocketAddr = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .parse()
            .unwrap();
        let address = (std::net::Ipv4Addr::LOCALHOST, address.port()).into();
        Self { child, address }
    }

    /// The status and the body of an answer.
    fn ask(&self, method: &str, path: &str, key: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-session-api-key: {key}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn terminate(&mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

/// A command in the sandbox that prints what it finds.
fn run(served: &Served, id: &str, text: &str) -> String {
    let spec = serde_json::json!({"id": id, "argv": [], "shell": text, "stdin": false, "retention": "spool"});
    let path = format!("/podbay/v1/processes/{id}");
    let (status, body) = served.ask("PUT", &path, KEY, &spec.to_string());
    assert_eq!(status, 201, "{body}");
    let (status, body) = served.ask("GET", &format!("{path}/output"), KEY, "");
    assert_eq!(status, 200, "{body}");
    body
}

#[test]
fn the_key_is_nowhere_that_a_command_could_look() {
    let mut served = Served::start(
        command(&["--grace=1"])
            .env("SESSION_API_KEY", KEY)
            .stdin(Stdio::null()),
    );
    assert_eq!(served.ask("GET", "/podbay/v1/processes", "other", "").0, 401);
    let nonce = Nonce::new(vec![9; 16]).unwrap();
    let asked = format!("{{\"nonce\":\"{}\"}}", String::from(nonce.clone()));
    let (status, body) = served.ask("POST", "/podbay/v1/proof", "", &asked);
    let answer: ProofAnswer = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(
        answer.proof,
        SessionKey::new(&KEY.into()).unwrap().prove(&nonce, "pod")
    );
    let pid = served.child.id();
    // As the sandbox's user, or as root, which the tests may be: what can be read has no key in it.
    let look = format!(
        "cat /proc/{pid}/environ /proc/{pid}/cmdline /proc/self/environ /proc/$PPID/environ 2>/dev/null | tr '\\0' '\\n'; \
         ls -l /proc/self/fd; echo done"
    );
    let found = run(&served, "look", &look);
    assert!(found.contains("done") && found.contains("PATH"), "{found}");
    assert!(!found.contains(KEY), "{found}");
    assert!(!found.contains("SESSION_API_KEY"), "{found}");
    // Nothing of ours is open there but the three streams (and what `ls` opens itself).
    assert!(!found.contains("socket:"), "{found}");
    assert_eq!(served.terminate().code(), Some(0));
}

/// As a user that is not root, who can read the environment and the memory of all other processes of his.
#[test]
fn the_users_own_processes_can_not_look_into_the_server() {
    use std::os::unix::process::CommandExt as _;

    let mut command = command(&["--directory=/"]);
    command.env("SESSION_API_KEY", KEY).stdin(Stdio::null());
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let served = Served::start(&mut command);
    let pid = served.child.id();
    let look = format!(
        "sleep 1000 & for what in environ mem maps fd/0; do \
           head -c 0 /proc/$!/$what && echo \"own $what is read\"; \
           head -c 0 /proc/{pid}/$what && echo \"its $what is read\"; \
         done 2>/dev/null; kill $!"
    );
    let found = run(&served, "look", &look);
    for what in ["environ", "mem", "maps", "fd/0"] {
        assert!(found.contains(&format!("own {what} is read")), "{found}");
        assert!(!found.contains(&format!("its {what} is read")), "{found}");
    }
}

#[test]
fn a_key_in_a_file_is_taken_and_the_file_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, KEY).unwrap();
    let argument = format!("--key-file={}", file.display());
    let served = Served::start(command(&[&argument, "--no-new-privileges"]).stdin(Stdio::null()));
    assert!(!file.exists());
    assert_eq!(served.ask("GET", "/podbay/v1/processes", KEY, "").0, 200);
    assert!(run(&served, "status", "grep NoNewPrivs /proc/self/status").contains("NoNewPrivs:\t1"));
}

#[test]
fn without_a_key_this_machine_alone_is_answered() {
    let served = Served::start(command(&[]).stdin(Stdio::null()));
    assert_eq!(served.ask("GET", "/podbay/v1/processes", "", "").0, 200);
    let refused = command(&["--address=0.0.0.0"]).output().unwrap();
    assert!(!refused.status.success());
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("without a session's key")
    );
}

#[test]
fn a_signal_ends_all_processes_and_then_the_server() {
    let mut served = Served::start(command(&["--grace=1"]).env("SESSION_API_KEY", KEY));
    let spec = r#"{"id":"p","argv":[],"shell":"trap '' TERM; sleep 1000","stdin":false,"retention":"spool"}"#;
    assert_eq!(served.ask("PUT", "/podbay/v1/processes/p", KEY, spec).0, 201);
    let pid = loop {
        let (_, body) = served.ask("GET", "/podbay/v1/processes/p", KEY, "");
        let info: serde_json::Value = serde_json::from_str(&body).unwrap();
        if let Some(pid) = info["pid"].as_i64() {
            break pid;
        }
    };
    assert!(std::fs::exists(format!("/proc/{pid}")).unwrap());
    assert_eq!(served.terminate().code(), Some(0));
    assert!(!std::fs::exists(format!("/proc/{pid}")).unwrap());
}

/// The standard library's handler of these two aborts where one comes at the wrong moment, and the next has no handler.
#[test]
fn faults_that_others_send_do_not_end_the_server_and_commands_get_theirs() {
    use rustix::process::{Pid, Signal, kill_process};

    let served = Served::start(command(&[]).env("SESSION_API_KEY", KEY).stdin(Stdio::null()));
    let pid = Pid::from_raw(served.child.id().try_into().unwrap()).unwrap();
    for signal in [Signal::SEGV, Signal::BUS, Signal::SEGV, Signal::BUS] {
        kill_process(pid, signal).unwrap();
        assert_eq!(served.ask("GET", "/podbay/v1/processes", KEY, "").0, 200);
    }
    let found = run(
        &served,
        "own",
        "grep SigBlk /proc/self/status; sh -c 'kill -SEGV $$'; echo $?",
    );
    assert!(found.contains("SigBlk:\t0000000000000000"), "{found}");
    assert!(found.contains("139"), "{found}");
}

/// Those that are started ahead know nothing, and go with the server, however that ends.
#[test]
fn the_supervisors_that_wait_end_with_the_server() {
    let mut served = Served::start(command(&[]).env("SESSION_API_KEY", KEY).stdin(Stdio::null()));
    let server = served.child.id();
    let waiting = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        pids.filter(|pid| {
            let stat = stat(*pid);
            let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split(' ').nth(2));
            parent == Some(server.to_string().as_str())
        })
        .collect::<Vec<_>>()
    };
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        while !holds() {
            assert!(tokio::time::Instant::now() < deadline, "still not: {what}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    // One that has not executed the program yet has the server's words.
    let words = |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let supervises = |pid: &u32| words(pid).ends_with(b"\0supervise\0");
    until("two wait", &|| {
        let all = waiting();
        all.len() == 2 && all.iter().all(supervises)
    });
    for pid in waiting() {
        assert_eq!(std::fs::read(format!("/proc/{pid}/environ")).unwrap(), b"");
    }
    // A command gets one that was waiting, once that is ready, and another one takes its place.
    let mut runs = 0;
    loop {
        let there = waiting();
        let found = run(&served, &format!("p-{runs}"), "echo of $PPID.");
        if there.iter().any(|pid| found.contains(&format!("of {pid}."))) {
            break;
        }
        runs += 1;
        assert!(runs < 100, "{found}, none of {there:?}");
    }
    let before = waiting();
    let found = run(&served, "p-last", "echo of $PPID.");
    until("two wait, one of them another", &|| {
        let now = waiting();
        let is_in_use = |pid: &u32| found.contains(&format!("of {pid}."));
        now.len() == 2 && !now.iter().any(is_in_use) && now.iter().any(|pid| !before.contains(pid))
    });
    let last = waiting();
    served.child.kill().unwrap();
    served.child.wait().unwrap();
    for pid in last {
        until("it is gone", &|| {
            !std::path::Path::new(&format!("/proc/{pid}")).exists()
        });
    }
}

/// What it has to say stands in the container's log.
#[test]
fn a_warning_stands_on_standard_error() {
    for (level, told) in [(None, true), (Some("off"), false)] {
        let mut command = command(&[]);
        if let Some(level) = level {
            command.args(["--log", level]);
        }
        let mut served = Served::start(
            command
                .env("SESSION_API_KEY", KEY)
                .env_remove("PODBAY_AGENT_LOG")
                .stdin(Stdio::null())
                .stderr(Stdio::piped()),
        );
        // Its supervisor is killed.
        run(&served, "p", "kill -9 $PPID; sleep 60");
        let stderr = served.child.stderr.take().unwrap();
        served.terminate();
        let text = std::io::read_to_string(stderr).unwrap();
        assert_eq!(
            text.contains(
                "podbay-agent: WARN podbay_agent::process::driver: the supervisor of a process was killed"
            ),
            told,
            "{text}"
        );
        assert!(!text.contains(KEY));
    }
}

/// How the server's allocator works is no business of the sandbox's programs, unless somebody else has said so.
#[test]
fn the_allocator_is_set_for_the_server_alone() {
    for (key, theirs) in [
        ("SESSION_API_KEY", None),
        ("OTHER", None),
        ("SESSION_API_KEY", Some("glibc.malloc.tcache_count=5")),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&file, KEY).unwrap();
        let mut command = command(&[]);
        if key == "OTHER" {
            command.arg("--key-file").arg(&file);
        }
        command
            .env(key, KEY)
            .env_remove("GLIBC_TUNABLES")
            .stdin(Stdio::null());
        if let Some(theirs) = theirs {
            command.env("GLIBC_TUNABLES", theirs);
        }
        let served = Served::start(&mut command);
        let found = run(&served, "p", "echo \"of ${GLIBC_TUNABLES-nobody}.\"");
        assert!(
            found.contains(&format!("of {}.", theirs.unwrap_or("nobody"))),
            "{found}"
        );
        // As root alone, who may look there.
        if let Ok(environment) = std::fs::read(format!("/proc/{}/environ", served.child.id())) {
            let environment = String::from_utf8_lossy(&environment).into_owned();
            let set = theirs.unwrap_or("glibc.malloc.arena_max=1");
            assert!(
                environment.contains(&format!("GLIBC_TUNABLES={set}")),
                "{environment}"
            );
        }
    }
}
