//! The program, as a user runs it: sessions that other commands find.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::machine::{eventually, is_alive, state};

/// A user's surroundings: home, temporary files, sessions, all his own. Dropped, they go, and with them the agents.
struct User {
    directory: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["home", "run", "tmp", "work"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `podbay --backend local` with the words of a line.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(podbay_tests::program::binary());
        command
            .args(["--backend", "local"])
            .args(line.split(' '))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("PODBAY_AGENT_BINARY", podbay_tests::program::agent())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .current_dir(self.path("work"))
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    fn podbay(&self, line: &str) -> Done {
        self.command(line).output().unwrap().into()
    }

    /// Runs a shell's script in a session.
    fn sh(&self, session: &str, script: &str) -> Done {
        let mut command = self.command(&format!("exec {session} -- sh -c"));
        command.arg(script).output().unwrap().into()
    }

    fn show(&self, session: &str) -> Value {
        serde_json::from_str(&self.podbay(&format!("show {session} -o json")).ok()).unwrap()
    }

    /// All that is left of sessions.
    fn left(&self) -> usize {
        let count = |place: &str| std::fs::read_dir(self.path(place)).map_or(0, Iterator::count);
        count("run/podbay") + count("home/.local/state/podbay") + count("tmp")
    }
}

#[derive(Debug)]
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Done {
    /// What it wrote, if it succeeded.
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// What it complained of, if it failed as Podbay's own failures do.
    fn failed(self) -> String {
        assert_eq!(self.code, Some(125), "{}{}", self.out, self.err);
        self.err
    }
}

#[test]
fn a_session_is_found_used_and_closed_by_other_commands() {
    let user = User::new();
    let opened = user.podbay("open demo --env GIVEN=secret --label team=x");
    assert!(opened.err.contains("without isolation"), "{}", opened.err);
    assert_eq!(opened.ok(), "session/demo opened\n");
    assert_eq!(user.podbay("open demo").ok(), "session/demo attached\n");
    assert_eq!(user.podbay("ls -o name").ok(), "session/demo\n");
    assert_eq!(user.podbay("ls -o name -l team=y").ok(), "");
    assert!(user.podbay("ls -l team=x").ok().contains("Ready"));

    let done = user.sh("demo", "echo out; echo err >&2; echo $GIVEN >file; exit 3");
    assert_eq!(
        (done.code, done.out.as_str(), done.err.as_str()),
        (Some(3), "out\n", "err\n")
    );
    assert_eq!(user.sh("demo", "cat file").ok(), "secret\n");
    let record: Value = serde_json::from_str(&user.podbay("exec demo -o json -- echo hi").ok()).unwrap();
    assert_eq!(record["end"], serde_json::json!({ "kind": "exited", "code": 0 }));
    assert_eq!(record["stdout"]["text"], "hi\n");

    let shown = user.show("demo");
    assert_eq!(
        (&shown["status"], &shown["image"]),
        (&"Ready".into(), &"host".into())
    );
    assert_eq!(shown["env"], serde_json::json!(["GIVEN"]));
    assert!(!shown.to_string().contains("secret"), "{shown}");
    let key = user.podbay("key demo").ok();
    assert_eq!(key.trim().len(), 64);
    assert_eq!(user.podbay("logs demo").ok(), "");

    assert_eq!(user.podbay("close demo").ok(), "session/demo closed\n");
    assert!(
        user.podbay("exec demo -- true")
            .failed()
            .contains("not found on this machine")
    );
    assert_eq!(user.left(), 0);
}

#[test]
fn the_exit_codes_are_those_of_every_backend() {
    let user = User::new();
    user.podbay("open demo").ok();
    for (line, code) in [
        ("exec demo -- no-such-program", 127),
        ("exec demo -- /etc/passwd", 126),
        ("exec demo --workdir /no/such/directory -- true", 126),
        ("exec demo --timeout 500ms -- sleep 1000", 124),
    ] {
        assert_eq!(user.podbay(line).code, Some(code), "{line}");
    }
    assert_eq!(user.sh("demo", "kill -9 $$").code, Some(137));
    user.podbay("close demo").ok();
    assert_eq!(user.left(), 0);
}

#[tokio::test]
async fn what_is_paused_stands_still_and_takes_no_commands() {
    let user = User::new();
    user.podbay("open demo").ok();
    let pid: i32 = user
        .sh("demo", "sleep 1000 >/dev/null 2>&1 & echo $!")
        .ok()
        .trim()
        .parse()
        .unwrap();
    assert_eq!(user.podbay("pause demo").ok(), "session/demo paused\n");
    // The signal takes effect when the system comes to the process.
    eventually(async || (state(pid) == Some('T')).then_some(())).await;
    assert_eq!(user.show("demo")["status"], "Paused");
    let told = user.podbay("exec demo -- true").failed();
    assert!(
        told.contains("is paused") && told.contains("podbay resume demo"),
        "{told}"
    );
    user.podbay("pause demo").ok();
    let resumed = user.podbay("resume demo");
    assert!(resumed.err.contains("was paused, and goes on"), "{}", resumed.err);
    resumed.ok();
    assert_ne!(state(pid), Some('T'));
    assert_eq!(user.sh("demo", "echo hi").ok(), "hi\n");
    user.podbay("pause demo").ok();
    assert_eq!(user.podbay("close demo").ok(), "session/demo closed\n");
    assert!(!is_alive(pid));
    assert_eq!(user.left(), 0);
}

#[tokio::test]
async fn a_killed_agent_is_told_and_the_next_open_starts_another_on_the_same_files() {
    let user = User::new();
    user.podbay("open demo --env A=1").ok();
    user.sh("demo", "echo kept >file").ok();
    let left: i32 = user
        .sh("demo", "sleep 1000 >/dev/null 2>&1 & echo $!")
        .ok()
        .trim()
        .parse()
        .unwrap();
    let agent = eventually(async || {
        let sockets = std::fs::read_dir(user.path("run/podbay")).unwrap();
        let socket = sockets.map(|entry| entry.unwrap().path().join("socket")).next()?;
        let stream = tokio::net::UnixStream::connect(socket).await.ok()?;
        stream.peer_cred().ok()?.pid()
    })
    .await;
    let agent = rustix::process::Pid::from_raw(agent).unwrap();
    rustix::process::kill_process(agent, rustix::process::Signal::KILL).unwrap();
    eventually(async || (!is_alive(agent.as_raw_nonzero().get())).then_some(())).await;
    let told = user.podbay("exec demo -- true").failed();
    for part in ["session \"demo\" is lost", "its agent is gone", "podbay open"] {
        assert!(told.contains(part), "{told}");
    }
    eventually(async || (!is_alive(left)).then_some(())).await;
    let shown = user.show("demo");
    assert_eq!(
        (&shown["status"], &shown["verdict"]["cause"]),
        (&"Lost".into(), &"deleted".into())
    );
    let again = user.podbay("open demo");
    assert!(again.err.contains("its files are there"), "{}", again.err);
    again.ok();
    assert_eq!(user.sh("demo", "cat file; echo $A").ok(), "kept\n1\n");
    user.podbay("close demo").ok();
    assert_eq!(user.left(), 0);
}

#[test]
fn an_agent_keeps_nothing_of_its_opener_open_and_no_signal_of_it_reaches_it() {
    let user = User::new();
    // What reads the output of `open` comes to an end, though the agent lives.
    let opened = user
        .command("open demo")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(opened.wait_with_output().unwrap().status.success());
    let done = user.sh(
        "demo",
        "ls /proc/self/fd | tr '\\n' ' '; grep -E '^Sig(Ign|Blk)' /proc/self/status | tr -d '\\n'",
    );
    // The fourth is that of the directory that is listed; 32 and 33 are the C library's own signals.
    assert!(done.ok().starts_with("0 1 2 3 "));
    user.podbay("close demo").ok();
}

#[test]
fn many_who_open_one_session_at_once_get_one() {
    let user = User::new();
    let opened: Vec<Done> = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..6).map(|_| scope.spawn(|| user.podbay("open demo"))).collect();
        opening.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let made = opened
        .into_iter()
        .map(Done::ok)
        .filter(|out| out == "session/demo opened\n");
    assert_eq!(made.count(), 1);
    assert_eq!(user.podbay("ls -o name").ok(), "session/demo\n");
    user.podbay("open other").ok();
    assert_eq!(user.podbay("open demo --replace").ok(), "session/demo opened\n");
    assert_eq!(user.podbay("close --all").ok().lines().count(), 2);
    assert_eq!(user.left(), 0);
}

#[test]
fn files_go_in_and_out_by_paths_of_the_session_s_directory() {
    let user = User::new();
    user.podbay("open demo").ok();
    std::fs::write(user.path("work/one"), "content\n").unwrap();
    user.podbay("cp one demo:two").ok();
    assert_eq!(user.sh("demo", "cat two").ok(), "content\n");
    user.podbay("cp demo:two three").ok();
    assert_eq!(
        std::fs::read_to_string(user.path("work/three")).unwrap(),
        "content\n"
    );
    user.podbay("close demo").ok();
    assert_eq!(user.left(), 0);
}

#[test]
fn a_limit_on_sessions_counts_those_that_run() {
    let user = User::new();
    let limited = |line: &str| -> Done {
        let mut command = user.command(line);
        command
            .env("MAX_CONCURRENT_CONVERSATIONS", "1")
            .output()
            .unwrap()
            .into()
    };
    limited("open one").ok();
    limited("open one").ok();
    assert!(limited("open two").failed().contains("more than the 1 sessions"));
    user.podbay("pause one").ok();
    limited("open two").ok();
    // One that comes back needs a place as well.
    assert!(
        limited("resume one")
            .failed()
            .contains("more than the 1 sessions")
    );
    assert_eq!(user.show("one")["status"], "Paused");
    user.podbay("close two").ok();
    limited("resume one").ok();
    user.podbay("close --all").ok();
    assert_eq!(user.left(), 0);
}

#[test]
fn a_port_of_this_machine_is_forwarded_to_another_one() {
    let user = User::new();
    assert!(
        user.podbay("port-forward demo :1")
            .failed()
            .contains("not found on this machine")
    );
    user.podbay("open demo").ok();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut asked = String::new();
        client.read_to_string(&mut asked).unwrap();
        client.write_all(asked.to_uppercase().as_bytes()).unwrap();
    });
    // The session's port is this machine's already.
    let refused = user.podbay(&format!("port-forward demo {remote}"));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("is its port"), "{}", refused.err);

    let mut command = user.command(&format!("port-forward demo --address 127.0.0.1 :{remote}"));
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let rest = line
        .strip_prefix("Forwarding from 127.0.0.1:")
        .unwrap_or_else(|| panic!("{line}"));
    let (local, to) = rest.trim_end().split_once(" -> ").unwrap();
    assert_eq!(to, remote.to_string());
    let mut client = TcpStream::connect(format!("127.0.0.1:{local}")).unwrap();
    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "HELLO");
    serving.join().unwrap();
    let mut next = String::new();
    out.read_line(&mut next).unwrap();
    assert_eq!(next, format!("Handling connection for {local}\n"));
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    user.podbay("close demo").ok();
    assert_eq!(user.left(), 0);
}

/// A terminal that was detached is typed into by one, and watched by another, whose size is nothing to it.
#[test]
fn a_terminal_is_watched_by_a_second_one() {
    let user = User::new();
    user.podbay("open demo").ok();
    let mut started = user.command("exec -dit demo -- sh -c");
    started.arg("stty size; read line; stty size; echo got $line; exit 3");
    let id = Done::from(started.output().unwrap()).ok();
    let id = id.trim_end();
    let mut watching = user
        .command(&format!("attach demo {id}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // What is typed is echoed at once: not before the first size stands there.
    let mut first = [0; 7];
    watching.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"24 80\r\n");
    let mut typing = user.command(&format!("attach -it demo {id}"));
    let mut typing = typing
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    typing.stdin.take().unwrap().write_all(b"it\n").unwrap();
    for (child, before) in [(typing, "24 80\r\n"), (watching, "")] {
        let done = Done::from(child.wait_with_output().unwrap());
        assert_eq!(done.code, Some(3), "{done:?}");
        assert_eq!(done.out, format!("{before}it\r\n24 80\r\ngot it\r\n"));
    }
    let refused = user.podbay(&format!("attach -t demo {id}"));
    assert_eq!((refused.code, refused.out.contains("got it")), (Some(3), true));
    user.podbay("close demo").ok();
    assert_eq!(user.left(), 0);
}

/// Sessions of owners, as `podbay serve` makes them, beside one of the command line.
#[test]
fn sessions_of_owners_are_shown_addressed_and_left_alone_by_who_names_no_owner() {
    let user = User::new();
    for line in [
        "open demo",
        "open demo --owner team-a",
        "open other --owner team-a",
    ] {
        user.podbay(line).ok();
    }
    let table = user.podbay("ls").ok();
    assert!(table.lines().next().unwrap().ends_with("OWNER"), "{table}");
    let listed: Value = serde_json::from_str(&user.podbay("ls -o json").ok()).unwrap();
    let owners: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|session| &session["owner"])
        .collect();
    let hash = owners.iter().find_map(|owner| owner.as_str()).unwrap().to_owned();
    assert_eq!(
        owners.iter().filter(|owner| owner.is_null()).count(),
        1,
        "{listed}"
    );
    assert!(user.podbay("top").ok().contains(&hash));

    user.sh("demo", "echo nobody >file").ok();
    // By the name and by the hash it is the same one.
    let by = |owner: &str| user.podbay(&format!("exec demo --owner {owner} -- pwd")).ok();
    assert_eq!(by("team-a"), by(&hash));
    assert_ne!(by("team-a"), user.podbay("exec demo -- pwd").ok());
    assert!(user.podbay("ls --owner team-b").err.contains("No sessions found"));

    let deleted = user.podbay("delete other");
    let hint =
        format!("hint: a session of this name belongs to an owner: podbay delete other --owner {hash}\n");
    assert_eq!(
        (deleted.out.as_str(), deleted.err.as_str()),
        ("session/other was not open\n", hint.as_str())
    );
    let closed = user.podbay("close --all");
    assert!(
        closed
            .err
            .starts_with("2 sessions that belong to owners were left alone: "),
        "{}",
        closed.err
    );
    assert_eq!(closed.ok(), "session/demo closed\n");
    user.podbay("pause demo --owner team-a").ok();
    let refused = user.podbay("exec demo --owner team-a -- true").failed();
    assert!(
        refused.contains("hint: podbay resume demo --owner team-a brings it back"),
        "{refused}"
    );
    let mut closed: Vec<String> = user
        .podbay("close --all --owner team-a")
        .ok()
        .lines()
        .map(str::to_owned)
        .collect();
    closed.sort();
    assert_eq!(closed, ["session/demo closed", "session/other closed"]);
    assert_eq!(user.left(), 0);
}

#[test]
fn a_session_of_this_machine_is_shown_without_what_only_a_pod_has() {
    let user = User::new();
    user.podbay("open demo").ok();
    let shown = user.show("demo");
    assert_eq!(shown["backend"], "local");
    for field in [
        "namespace",
        "profile",
        "cpu",
        "memory",
        "workload",
        "network",
        "pod",
        "node",
        "ip",
    ] {
        assert_eq!(shown.get(field), Some(&Value::Null), "{field}: {shown}");
    }
    // Where its files are.
    let workspace = user.sh("demo", "pwd").ok();
    assert_eq!(shown["workspace"], workspace.trim_end());
    let text = user.podbay("show demo").ok();
    for word in [
        "Profile",
        "restricted",
        "CPU",
        "Memory",
        "Namespace",
        "Network",
        "Workload",
    ] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    user.podbay("close demo").ok();
}

#[test]
fn an_agent_writes_as_much_into_its_log_as_the_setting_says() {
    let user = User::new();
    for (level, told) in [("error", false), ("warn", true)] {
        let mut open = user.command(&format!("open {level}"));
        open.env("PODBAY_AGENT_LOG_LEVEL", level);
        Done::from(open.output().unwrap()).ok();
        // Its supervisor is killed, of which the agent warns.
        user.sh(level, "kill -9 $PPID; sleep 60").failed();
        let log = user.podbay(&format!("logs {level}")).ok();
        assert_eq!(log.contains("WARN"), told, "{log}");
    }
    user.podbay("close --all").ok();
}
