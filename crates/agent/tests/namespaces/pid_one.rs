//! The agent as PID 1, in a pid namespace of its own. This needs `unshare` and the right to use it.
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::support::*;
use podbay_protocol::ProcessEnd;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

/// The beginning of a command that makes its successor PID 1, with a `/proc` of its namespace.
const AS_PID_1: [&str; 5] = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// A command to run as PID 1; none where that is not possible.
fn as_pid_1(words: &[&str]) -> Option<Command> {
    let possible = Command::new(AS_PID_1[0])
        .args(&AS_PID_1[1..])
        .arg("true")
        .stderr(Stdio::null())
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no pid namespace can be made here (unshare --pid --mount-proc)");
        return None;
    }
    let mut command = Command::new(AS_PID_1[0]);
    command.args(&AS_PID_1[1..]).args(words);
    Some(command)
}

fn init(words: &[&str]) -> Option<Command> {
    let mut all = vec![AGENT, "init", "--grace", "0.5", "--"];
    all.extend(words);
    as_pid_1(&all)
}

/// Runs a test of this file as PID 1.
fn neighbour(name: &str) -> Option<ExitStatus> {
    let this = std::env::current_exe().unwrap();
    let this = this.to_str().unwrap().to_owned();
    let mut command = as_pid_1(&[
        &this,
        "--exact",
        &format!("pid_one::{name}"),
        "--ignored",
        "--nocapture",
    ])?;
    Some(command.status().unwrap())
}

#[test]
fn init_ends_with_its_commands_code() {
    for (text, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -9 $$", 137),
        ("kill -15 $$", 143),
    ] {
        let Some(mut command) = init(&["sh", "-c", text]) else {
            return;
        };
        assert_eq!(command.status().unwrap().code(), Some(code), "{text}");
    }
    let missing = init(&["no-such-program"]).unwrap().output().unwrap();
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert_eq!(missing.status.code(), Some(127), "{said}");
    assert!(said.contains("no-such-program: command not found"), "{said}");
}

#[test]
fn init_hands_its_streams_through() {
    let Some(mut command) = init(&["sh", "-c", "cat; echo err >&2; echo $PPID; echo $HOME"]) else {
        return;
    };
    let (reader, writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut &writer, b"typed\n").unwrap();
    drop(writer);
    let output = command.stdin(reader).env("HOME", "/some/where").output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = out.lines().collect();
    // Its parent is the supervisor, whose parent is PID 1.
    assert_eq!((lines[0], lines[2]), ("typed", "/some/where"), "{out}");
    assert_ne!(lines[1], "1");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "err\n");
}

/// 7: as PID 1 it leaves zombies, until no process can be started any more.
#[test]
fn no_zombie_is_left_under_a_limit_of_processes() {
    let count = if std::env::var_os("PODBAY_STORM").is_some() {
        5000
    } else {
        400
    };
    // As a user whose processes the limit counts, who can execute the program.
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program: PathBuf = directory.path().join("podbay-agent");
    // Another process copies it: what a thread that starts a program has open for writing can't be executed (execve(2), `ETXTBSY`).
    assert!(
        Command::new("cp")
            .arg(AGENT)
            .arg(&program)
            .status()
            .unwrap()
            .success()
    );
    let text = format!(
        r"n=0
        while [ $n -lt {count} ]; do
            (sh -c 'true &' &)
            n=$((n + 1))
            [ $((n % 20)) -ne 0 ] || sleep 0.01
        done
        sleep 0.5
        zombies=0
        for stat in /proc/[0-9]*/stat; do
            case $(cat $stat 2>/dev/null) in *') Z '*) zombies=$((zombies + 1)) ;; esac
        done
        echo zombies: $zombies
        exec true"
    );
    let program = program.to_str().unwrap();
    let Some(mut command) = as_pid_1(&[
        "setpriv",
        "--reuid",
        "54399",
        "--regid",
        "54399",
        "--clear-groups",
        "prlimit",
        "--nproc=200",
        program,
        "init",
        "--",
        "sh",
        "-c",
        &text,
    ]) else {
        return;
    };
    let output = command.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), said.as_str()), (Some(0), "zombies: 0\n"));
}

/// A child of `unshare`: what is PID 1 in there.
fn pid_1_of(unshare: &Child) -> Pid {
    let pid = unshare.id();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        if let Some(child) = children.split_whitespace().next() {
            return Pid::from_raw(child.parse().unwrap()).unwrap();
        }
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[test]
fn a_signal_ends_the_sandbox_within_the_grace_period() {
    for (text, signal, code, word) in [
        (
            "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done",
            Signal::TERM,
            143,
            "bye\n",
        ),
        (
            "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done",
            Signal::INT,
            130,
            "bye\n",
        ),
        // It does not obey, nor does what it has started and left behind.
        (
            "trap '' TERM; (setsid sh -c 'trap \"\" TERM; while :; do sleep 0.01; done' &); echo ready; \
             while :; do sleep 0.01; done",
            Signal::TERM,
            143,
            "",
        ),
    ] {
        let Some(mut command) = init(&["sh", "-c", text]) else {
            return;
        };
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(&mut out, &mut ready).unwrap();
        assert_eq!(&ready, b"ready\n");
        let begin = Instant::now();
        kill_process(pid_1_of(&child), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(code), "{text}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut out, &mut rest).unwrap();
        assert_eq!(rest, word);
    }
}

#[test]
fn faults_that_others_send_do_not_end_init() {
    let text = "for n in 1 2 3; do kill -SEGV 1; kill -BUS 1; done; grep SigBlk /proc/self/status; exit 9";
    let Some(mut command) = init(&["sh", "-c", text]) else {
        return;
    };
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        (output.status.code(), out.as_str()),
        (Some(9), "SigBlk:\t0000000000000000\n")
    );
    // As a process that is not PID 1, which is not spared what it has no handler for.
    let mut command = Command::new(AGENT);
    command.args(["init", "--", "sh", "-c"]);
    let text = "init=$(cut -d' ' -f4 /proc/$PPID/stat); for n in 1 2 3; do kill -SEGV $init; kill -BUS $init; done; exit 9";
    assert_eq!(command.arg(text).status().unwrap().code(), Some(9));
}

#[test]
fn other_signals_are_passed_on() {
    let text = "trap 'echo usr1; exit 9' USR1; echo ready; while :; do sleep 0.01; done";
    let Some(mut command) = init(&["sh", "-c", text]) else {
        return;
    };
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(&mut out, &mut ready).unwrap();
    kill_process(pid_1_of(&child), Signal::USR1).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

/// 5 and 7 as PID 1.
#[test]
fn as_pid_1_no_exit_code_is_stolen_and_no_orphan_left() {
    if let Some(status) = neighbour("within_exit_codes_and_orphans") {
        assert!(status.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by its neighbour, as PID 1"]
async fn within_exit_codes_and_orphans() {
    assert_eq!(std::process::id(), 1);
    let children = podbay_agent::init::Children::of_this_program().unwrap();
    let processes = processes();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..100 {
        let processes = processes.clone();
        running.spawn(async move {
            let text = format!("(sh -c 'sleep 0.01 &' &) >/dev/null 2>&1; exit {number}");
            assert_eq!(
                run(&processes, shell(&format!("p{number}"), &text)).await.code(),
                number
            );
        });
        if number % 8 == 7 {
            while let Some(done) = running.join_next().await {
                done.unwrap();
            }
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    // A supervisor that was killed leaves orphans to PID 1, which kills and reaps them.
    processes
        .start(shell("lost", "sleep 89 & (setsid sleep 88 &); echo ready; wait"))
        .unwrap();
    // What it writes may be read before it is told that it was started.
    until("it is ready", || {
        let info = processes.info(&id("lost")).unwrap();
        info.written.stdout > 0 && info.pid.is_some()
    })
    .await;
    let pid = processes.info(&id("lost")).unwrap().pid.unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let supervisor = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(1)
        .unwrap()
        .to_owned();
    kill_process(Pid::from_raw(supervisor.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    let all = read_all(&processes, "lost").await;
    assert!(
        matches!(all.record.end, ProcessEnd::Lost { .. }),
        "{:?}",
        all.record
    );
    until("all others are gone", || others().is_empty()).await;
    assert!(children.orphans() > 0);
}

/// All processes of this namespace but this one.
fn others() -> Vec<String> {
    let names = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let pid: i32 = name.parse().ok()?;
        (pid != 1).then_some(name)
    });
    names.collect()
}
