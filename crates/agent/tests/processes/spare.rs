//! The supervisors that are started ahead.

use std::path::Path;
use std::time::Duration;

use podbay_agent::process::Processes;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::*;

/// Processes whose supervisors are told from those of other tests by the name of their program.
struct Rig {
    processes: Processes,
    program: String,
    _directory: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("agent");
        std::os::unix::fs::symlink(AGENT, &program).unwrap();
        let processes = processes_with(|settings| {
            settings.program.clone_from(&program);
            settings.spare = true;
        });
        Self {
            processes,
            program: program.to_str().unwrap().to_owned(),
            _directory: directory,
        }
    }

    /// Waits until two supervisors wait, beside those `in_use`.
    async fn spares(&self, in_use: &[i32]) -> [i32; 2] {
        let waiting = || {
            let all = carrying(&self.program).into_iter();
            let waiting: Vec<i32> = all.filter(|pid| !in_use.contains(pid)).collect();
            <[i32; 2]>::try_from(waiting).ok()
        };
        until("two supervisors wait", || waiting().is_some()).await;
        waiting().unwrap()
    }

    /// The id of the supervisor of a command.
    async fn supervisor(&self, name: &str) -> i32 {
        let all = run(&self.processes, shell(name, "echo $PPID")).await;
        all.text().trim().parse().unwrap()
    }
}

#[tokio::test]
async fn they_wait_are_used_and_others_come() {
    let rig = Rig::new();
    let first = rig.supervisor("a").await;
    let mut waiting = rig.spares(&[first]).await.to_vec();
    let mut used = vec![first];
    for name in ["b", "c", "d"] {
        let next = rig.supervisor(name).await;
        assert!(waiting.contains(&next), "{next} {waiting:?}");
        used.push(next);
        waiting = rig.spares(&used).await.to_vec();
    }
    // They have nothing that is anybody's, and nobody counts them.
    for waiting in waiting {
        assert_eq!(std::fs::read(format!("/proc/{waiting}/environ")).unwrap(), b"");
        let descriptors = std::fs::read_dir(format!("/proc/{waiting}/fd")).unwrap();
        let targets: Vec<String> = descriptors
            .map(|entry| {
                std::fs::read_link(entry.unwrap().path())
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect();
        // Its own end; the tests' runner has pipes that all inherit.
        assert_eq!(
            targets
                .iter()
                .filter(|target| target.starts_with("socket:"))
                .count(),
            1,
            "{targets:?}"
        );
        assert!(
            !targets.iter().any(|target| target.contains("memfd")),
            "{targets:?}"
        );
    }
    until("nothing is alive", || rig.processes.alive() == 0).await;
    assert_eq!(rig.processes.list().len(), 4);
    rig.processes.shut_down(Duration::from_secs(60)).await;
    until("nothing is left", || carrying(&rig.program).is_empty()).await;
}

#[tokio::test]
async fn others_come_while_a_command_goes_on() {
    let rig = Rig::new();
    let first = rig.supervisor("a").await;
    let waiting = rig.spares(&[first]).await;
    until("its own is gone", || {
        !Path::new(&format!("/proc/{first}")).exists()
    })
    .await;
    let mut long = shell("long", "cat");
    long.stdin = true;
    rig.processes.start(long).unwrap();
    // The two, of which it has one, and what takes that one's place.
    until("another one has come", || {
        let all = carrying(&rig.program);
        all.len() == 3 && waiting.iter().all(|one| all.contains(one))
    })
    .await;
    until("it alone is counted", || rig.processes.alive() == 1).await;
    rig.processes.shut_down(Duration::ZERO).await;
    until("nothing is left", || carrying(&rig.program).is_empty()).await;
}

#[tokio::test]
async fn those_that_were_killed_are_not_waited_for() {
    let rig = Rig::new();
    let first = rig.supervisor("a").await;
    let waiting = rig.spares(&[first]).await;
    for spare in waiting {
        kill_process(Pid::from_raw(spare).unwrap(), Signal::KILL).unwrap();
        until("it is gone", || !Path::new(&format!("/proc/{spare}")).exists()).await;
    }
    let second = rig.supervisor("b").await;
    assert!(!waiting.contains(&second));
    let next = rig.spares(&[second]).await;
    let third = rig.supervisor("c").await;
    assert!(next.contains(&third), "{third} {next:?}");
    rig.processes.shut_down(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn many_at_once_each_have_their_own() {
    let rig = Rig::new();
    let rig = &rig;
    let names: Vec<String> = (0..20).map(|number| format!("p-{number}")).collect();
    let mut supervisors = futures::future::join_all(names.iter().map(|name| rig.supervisor(name))).await;
    supervisors.sort_unstable();
    supervisors.dedup();
    assert_eq!(supervisors.len(), names.len());
    rig.processes.shut_down(Duration::from_secs(60)).await;
}
