//! The supervisor that is started ahead.

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

    /// Waits until nothing is there but one supervisor, another one than `last`.
    async fn spare(&self, last: Option<i32>) -> i32 {
        let one = || match carrying(&self.program)[..] {
            [pid] if Some(pid) != last => Some(pid),
            _ => None,
        };
        until("a supervisor waits", || one().is_some()).await;
        one().unwrap()
    }

    /// The id of the supervisor of a command.
    async fn supervisor(&self, name: &str) -> i32 {
        let all = run(&self.processes, shell(name, "echo $PPID")).await;
        all.text().trim().parse().unwrap()
    }
}

#[tokio::test]
async fn one_waits_is_used_and_another_one_comes() {
    let rig = Rig::new();
    rig.supervisor("a").await;
    let first = rig.spare(None).await;
    assert_eq!(rig.supervisor("b").await, first);
    let second = rig.spare(Some(first)).await;
    // It has nothing that is anybody's, and nobody counts it.
    assert_eq!(std::fs::read(format!("/proc/{second}/environ")).unwrap(), b"");
    let descriptors = std::fs::read_dir(format!("/proc/{second}/fd")).unwrap();
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
    until("nothing is alive", || rig.processes.alive() == 0).await;
    assert_eq!(rig.processes.list().len(), 2);
    rig.processes.shut_down(Duration::from_secs(60)).await;
    assert_eq!(carrying(&rig.program), [] as [i32; 0]);
}

#[tokio::test]
async fn one_that_was_killed_is_not_waited_for() {
    let rig = Rig::new();
    rig.supervisor("a").await;
    let spare = rig.spare(None).await;
    kill_process(Pid::from_raw(spare).unwrap(), Signal::KILL).unwrap();
    until("it is gone", || !Path::new(&format!("/proc/{spare}")).exists()).await;
    assert_ne!(rig.supervisor("b").await, spare);
    let next = rig.spare(Some(spare)).await;
    assert_eq!(rig.supervisor("c").await, next);
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
