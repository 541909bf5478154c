//! Sessions that are made, found, frozen, ended and lost.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use podbay_local::{Created, Error, Life, NewSession, SessionName};
use rustix::process::{Pid, Signal, kill_process};

use crate::machine::{Machine, eventually, is_alive, stands_still, start};

/// Prints the id of a process that has left its command's session, whose parent is gone, and whose environment is empty; the
/// command goes on.
const DAEMON: &str = "(setsid env -i sh -c 'echo $$ >daemon; exec sleep 1000' &); exec sleep 1000";

fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// The id that [`DAEMON`] prints.
async fn daemon(machine: &Machine, name: &SessionName) -> i32 {
    let file = machine.sessions.find(name).unwrap().unwrap().file.unwrap();
    let path = file.files.join(&file.work_directory).join("daemon");
    eventually(async || fs::read_to_string(&path).ok()?.trim().parse().ok()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_outlives_its_starter_s_handles_and_a_close_leaves_nothing() {
    let machine = Machine::new();
    let (name, file) = machine.open("demo").await;
    let found = machine.sessions.find(&name).unwrap().unwrap();
    assert_eq!((found.life, found.file.unwrap()), (Life::Serves, file.clone()));
    assert_eq!(machine.sessions.list().unwrap().len(), 1);
    let mode = fs::metadata(machine.sessions.socket(&name)).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let command = machine.run(&name, "p", DAEMON).await;
    let daemon = daemon(&machine, &name).await;
    let agent = machine.agent(&name).await;
    assert!([command, daemon, agent].into_iter().all(is_alive));
    // A session of its own, and nothing of ours open but its streams.
    let stat = fs::read_to_string(format!("/proc/{agent}/stat")).unwrap();
    let session = stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap();
    assert_eq!(session, agent.to_string());
    let locked = machine.lock(&name).await;
    locked.close(file).await.unwrap();
    assert!(![command, daemon, agent].into_iter().any(is_alive));
    assert_eq!(machine.left(), [""; 0]);
    assert!(machine.sessions.find(&name).unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_frozen_stands_still_and_goes_on() {
    let machine = Machine::new();
    let (name, file) = machine.open("demo").await;
    let command = machine.run(&name, "p", DAEMON).await;
    let daemon = daemon(&machine, &name).await;
    // One that has new children all the time.
    let busy = machine.run(&name, "busy", "while :; do /bin/true; done").await;
    let locked = machine.lock(&name).await;
    locked.freeze(&file).await.unwrap();
    // A signal to a process that runs takes effect when the system comes to it.
    for pid in [command, daemon, busy] {
        eventually(async || stands_still(pid).then_some(())).await;
    }
    assert_eq!(machine.sessions.find(&name).unwrap().unwrap().life, Life::Serves);
    locked.thaw(&file).await.unwrap();
    for pid in [command, daemon, busy] {
        eventually(async || (is_alive(pid) && !stands_still(pid)).then_some(())).await;
    }
    // A session ends in whatever state its processes are.
    locked.freeze(&file).await.unwrap();
    locked.close(file).await.unwrap();
    assert!(![command, daemon, busy].into_iter().any(is_alive));
    assert_eq!(machine.left(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_is_told_and_what_it_left_is_killed_by_whoever_comes_next() {
    let machine = Machine::new();
    let (name, file) = machine.open("demo").await;
    let command = machine
        .run(&name, "p", "trap '' HUP TERM; sleep 1000 & wait")
        .await;
    let agent = machine.agent(&name).await;
    // Both are there.
    let children = format!("/proc/{command}/task/{command}/children");
    eventually(async || (!fs::read_to_string(&children).unwrap().is_empty()).then_some(())).await;
    // Its supervisor can't help: somebody stopped it.
    let stat = fs::read_to_string(format!("/proc/{command}/stat")).unwrap();
    let supervisor: i32 = stat
        .rsplit_once(") ")
        .unwrap()
        .1
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kill(supervisor, Signal::STOP);
    kill(agent, Signal::KILL);
    eventually(async || (machine.sessions.find(&name).unwrap().unwrap().life == Life::Ended).then_some(()))
        .await;
    assert!(is_alive(command));
    let locked = machine.lock(&name).await;
    assert!(!locked.has_agent().unwrap());
    assert_eq!(locked.kill_left(&file).await.unwrap(), 2);
    assert!(!is_alive(command));
    // It went with its cgroup, where that can be made.
    if is_alive(supervisor) {
        kill(supervisor, Signal::CONT);
    }
    // Its directory is good for another agent.
    start(&locked, &file).await;
    locked.unlock();
    assert_eq!(machine.sessions.find(&name).unwrap().unwrap().life, Life::Serves);
    machine.run(&name, "again", "sleep 1000").await;
    machine.lock(&name).await.close(file).await.unwrap();
    assert_eq!(machine.left(), [""; 0]);
}

/// Where cgroups can be made here: what has no mark any longer is found by them.
#[tokio::test(flavor = "multi_thread")]
async fn the_cgroups_of_a_killed_agent_go_with_what_is_in_them() {
    let machine = Machine::new();
    let (name, file) = machine.open("demo").await;
    machine.run(&name, "p", DAEMON).await;
    let daemon = daemon(&machine, &name).await;
    let agent = machine.agent(&name).await;
    let locked = machine.lock(&name).await;
    let prefix = fs::read_to_string(locked.path().join("lock")).unwrap();
    if prefix.is_empty() {
        eprintln!("not checked: no cgroups can be made here");
        return;
    }
    let (directory, own) = prefix.rsplit_once('/').unwrap();
    let groups = || {
        let entries = fs::read_dir(directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().display().to_string());
        names.filter(|name| name.starts_with(own)).count()
    };
    assert!(groups() > 0, "{prefix}");
    // The supervisor of the command, which would kill what it started, can't.
    let stat = fs::read_to_string(format!("/proc/{agent}/task/{agent}/children")).unwrap();
    let children: Vec<i32> = stat.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    for pid in children.into_iter().chain([agent]) {
        kill(pid, Signal::KILL);
    }
    eventually(async || (!locked.has_agent().unwrap()).then_some(())).await;
    locked.kill_left(&file).await.unwrap();
    assert!(!is_alive(daemon));
    assert_eq!(groups(), 0);
    locked.close(file).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_told_to_end_takes_all_with_it() {
    let machine = Machine::new();
    for signal in [Signal::TERM, Signal::INT] {
        let (name, file) = machine.open("demo").await;
        let command = machine.run(&name, "p", DAEMON).await;
        let daemon = daemon(&machine, &name).await;
        kill(machine.agent(&name).await, signal);
        eventually(async || {
            (machine.sessions.find(&name).unwrap().unwrap().life == Life::Ended).then_some(())
        })
        .await;
        assert!(!is_alive(command) && !is_alive(daemon), "{signal:?}");
        machine.lock(&name).await.close(file).await.unwrap();
    }
    assert_eq!(machine.left(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stands_still_is_killed_by_a_close() {
    let machine = Machine::new();
    let (name, file) = machine.open("demo").await;
    let command = machine.run(&name, "p", "sleep 1000").await;
    let agent = machine.agent(&name).await;
    kill(agent, Signal::STOP);
    machine.lock(&name).await.close(file).await.unwrap();
    assert!(!is_alive(agent) && !is_alive(command));
    assert_eq!(machine.left(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_was_broken_off_is_finished_by_another() {
    let machine = Machine::new();
    let (name, mut file) = machine.open("demo").await;
    let command = machine.run(&name, "p", "sleep 1000").await;
    let locked = machine.lock(&name).await;
    file.closing = true;
    locked.write(&file).unwrap();
    locked.unlock();
    let found = machine.sessions.find(&name).unwrap().unwrap();
    assert!(found.file.unwrap().closing);
    machine.lock(&name).await.close(file).await.unwrap();
    assert!(!is_alive(command));
    assert_eq!(machine.left(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_maker_died_is_lost_and_in_nobody_s_way() {
    let machine = Machine::new();
    let name = SessionName::of(None, "demo");
    let made = machine.make(&name, "demo");
    assert_eq!(
        machine.sessions.find(&name).unwrap().unwrap().life,
        Life::Changing
    );
    drop(made);
    assert_eq!(machine.sessions.find(&name).unwrap().unwrap().life, Life::Ended);
    let again = NewSession {
        uid: "other",
        work: "/",
        record: serde_json::Value::Null,
        secret: b"",
    };
    assert!(matches!(
        machine.sessions.create(&name, again).unwrap(),
        Created::Exists
    ));
    let locked = machine.lock(&name).await;
    let file = locked.read().unwrap().unwrap();
    locked.close(file).await.unwrap();
    assert_eq!(machine.left(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_what_was_given_and_nothing_of_ours() {
    let machine = Machine::new();
    let (name, file) = machine.open("demo").await;
    machine.run(&name, "p", "pwd -P; env").await;
    let output = eventually(async || {
        let output = machine
            .ask(&name, "GET", "/podbay/v1/processes/p/output", "")
            .await;
        output.contains("GIVEN=value").then_some(output)
    })
    .await;
    let work = file.files.join(&file.work_directory).canonicalize().unwrap();
    assert!(output.contains(&format!("{}\n", work.display())), "{output}");
    assert!(!output.contains("CARGO"), "{output}");
    assert!(!output.contains(crate::machine::KEY), "{output}");
    machine.lock(&name).await.close(file).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_in_a_session_stays_and_is_told() {
    let machine = Machine::new();
    let (name, file) = machine.open("demo").await;
    let work = file.files.join(&file.work_directory);
    fs::create_dir(work.join("m")).unwrap();
    fs::write(work.join("other"), "").unwrap();
    let precious = tempfile::tempdir().unwrap();
    fs::write(precious.path().join("data"), "precious").unwrap();
    let mount = |words: &[&std::ffi::OsStr]| std::process::Command::new(words[0]).args(&words[1..]).status();
    let bind = [
        "mount".as_ref(),
        "--bind".as_ref(),
        precious.path().as_os_str(),
        work.join("m").as_os_str(),
    ]
    .map(std::ffi::OsStr::to_owned);
    let words: Vec<&std::ffi::OsStr> = bind.iter().map(std::ffi::OsString::as_os_str).collect();
    let mounted = mount(&words).is_ok_and(|status| status.success());
    let closed = machine.lock(&name).await.close(file.clone()).await;
    if mounted {
        let umount = ["umount".into(), work.join("m").into_os_string()];
        let words: Vec<&std::ffi::OsStr> = umount.iter().map(std::ffi::OsString::as_os_str).collect();
        let told = closed.unwrap_err();
        assert!(
            matches!(&told, Error::LeftBehind(left) if left.path.ends_with("files/workspace/m")),
            "{told}"
        );
        assert!(!work.join("other").exists());
        assert!(mount(&words).unwrap().success());
    } else {
        closed.unwrap();
    }
    assert_eq!(
        fs::read_to_string(precious.path().join("data")).unwrap(),
        "precious"
    );
    assert!(machine.sessions.find(&name).unwrap().is_none());
}
