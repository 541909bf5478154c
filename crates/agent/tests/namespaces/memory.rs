//! A process that the kernel kills for memory. This needs a memory cgroup to make one below.
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::*;
use podbay_protocol::ProcessEnd;
use tokio::time::Instant;

/// How much memory there is for the agent and its processes, in bytes.
const LIMIT: &str = "134217728";

/// A new cgroup with that limit, of whichever version there is.
fn limited() -> Option<PathBuf> {
    let name = format!("podbay-test-{}", std::process::id());
    for (parent, file) in [
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ("/sys/fs/cgroup", "memory.max"),
    ] {
        let cgroup = Path::new(parent).join(&name);
        if std::fs::create_dir(&cgroup).is_err() {
            continue;
        }
        if cgroup.join(file).exists() && std::fs::write(cgroup.join(file), LIMIT).is_ok() {
            std::fs::write(cgroup.join("memory.swap.max"), "0").ok(); // Where there is swap.
            return Some(cgroup);
        }
        std::fs::remove_dir(&cgroup).ok();
    }
    eprintln!("skipped: no memory cgroup can be made here");
    None
}

#[test]
fn a_process_killed_for_memory_says_so() {
    let Some(cgroup) = limited() else {
        return;
    };
    let this = std::env::current_exe().unwrap();
    let status = Command::new("sh")
        .args([
            "-c",
            r#"echo $$ > "$1/cgroup.procs" && exec "$2" --exact memory::within_little_memory --ignored --nocapture"#,
        ])
        .arg("sh")
        .args([&cgroup, &this])
        .status()
        .unwrap();
    // The last supervisor may be about to end.
    let deadline = Instant::now() + PATIENCE;
    while std::fs::remove_dir(&cgroup).is_err() {
        assert!(Instant::now() < deadline, "{} stays", cgroup.display());
        std::thread::yield_now();
    }
    assert!(status.success());
}

#[tokio::test]
#[ignore = "run by its neighbour, in a cgroup with little memory"]
async fn within_little_memory() {
    let processes = processes();
    // Each keeps the last line, which never ends.
    let hog = "head -c 400000000 /dev/zero | tail -n 1";
    let direct = run(
        &processes,
        program("direct", &["sh", "-c", &format!("exec sh -c '{hog}'")]),
    )
    .await;
    assert_eq!(direct.record.end, ProcessEnd::OutOfMemory, "{:?}", direct.record);
    assert!(direct.record.oom_kills > 0);
    let survived = run(&processes, shell("survived", &format!("{hog}; exit 3"))).await;
    assert_eq!(survived.record.end, ProcessEnd::Exited { code: 3 });
    assert!(survived.record.oom_kills > 0);
    let harmless = run(&processes, program("harmless", &["true"])).await;
    assert_eq!((harmless.code(), harmless.record.oom_kills), (0, 0));
}
