//! A cgroup for each process, where this machine allows that.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::*;
use podbay_agent::init::{ChildEnd, Children};
use podbay_protocol::{ProcessEnd, Signal, SignalTarget};

/// This process's cgroup of version 2, if others can be made there, and none of its limits would be hidden by that; else why not.
fn own_group() -> Result<PathBuf, String> {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let mount = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| fields[2] == "cgroup2")
        .ok_or("no cgroups of version 2 are mounted")?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = groups
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .ok_or("this process is in none")?;
    let directory = Path::new(mount[1]).join(own);
    for limit in ["memory.max", "cpu.max"] {
        let text = std::fs::read_to_string(directory.join(limit)).unwrap_or_default();
        if !text.is_empty() && !text.starts_with("max") {
            return Err(format!("{limit} of {} is {text}", directory.display()));
        }
    }
    let probe = directory.join(format!("podbay-test-{}", std::process::id()));
    std::fs::create_dir(&probe).map_err(|error| format!("{}: {error}", probe.display()))?;
    let knows = probe.join("cgroup.kill").exists();
    std::fs::remove_dir(&probe).unwrap();
    if knows {
        Ok(directory)
    } else {
        Err("the kernel does not know cgroup.kill".to_owned())
    }
}

/// The cgroup that a process is in.
fn group_of(pid: i32, own: &Path) -> PathBuf {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap();
    let name = Path::new(path).file_name().filter(|_| !own.ends_with(&path[1..]));
    name.map_or(own.to_owned(), |name| own.join(name))
}

#[tokio::test]
async fn a_process_is_killed_with_all_that_is_in_its_cgroup() {
    let own = match own_group() {
        Ok(own) => own,
        Err(reason) => return println!("skipped: {reason}"),
    };
    for ahead in [false, true] {
        let processes = processes_with(|settings| {
            settings.cgroups = true;
            settings.spare = ahead;
        });
        assert_eq!(run(&processes, shell("first", "exit 3")).await.code(), 3);
        processes.start(shell("p", "sleep 1000 & wait")).unwrap();
        until("it runs", || processes.info(&id("p")).unwrap().pid.is_some()).await;
        let pid = processes.info(&id("p")).unwrap().pid.unwrap();
        let group = group_of(pid, &own);
        assert!(group.join("cgroup.kill").exists(), "{}", group.display());
        assert_ne!(group_of(std::process::id().try_into().unwrap(), &own), group);
        // One that is not below its supervisor, and has its mark nowhere: only its cgroup leads to it.
        let mut stranger = Command::new("sleep");
        stranger.arg("1000").env_clear();
        let stranger = Children::of_this_program().unwrap().spawn(&mut stranger).unwrap();
        let stranger_id = stranger.pid.as_raw_nonzero().to_string();
        std::fs::write(group.join("cgroup.procs"), stranger_id).unwrap();
        processes
            .signal(&id("p"), Signal::KILL, SignalTarget::Tree)
            .unwrap();
        assert_eq!(stranger.end.await, Ok(ChildEnd::Signaled(9)));
        let all = read_all(&processes, "p").await;
        assert_eq!(all.record.end, ProcessEnd::Signaled { signal: 9 });
        until("nothing is left", || processes.alive() == 0).await;
        assert!(!group.exists(), "{}", group.display());
        processes.shut_down(PATIENCE).await;
    }
    let left = std::fs::read_dir(&own).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_str()
            .unwrap()
            .starts_with(&format!("podbay-{}-", std::process::id()))
    });
    assert_eq!(left.count(), 0);
}
