//! What only a cgroup reaches: a process of another user, below an agent that has no rights over it. Needs to be root, and
//! cgroups of version 2 that can be made; what is missing is printed.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::time::Instant;

use super::{KEY, Served};

/// A user without rights.
const NOBODY: u32 = 65534;
/// Longer than any kill takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cgroup that this user's programs may divide. Removed when dropped.
struct Delegated(PathBuf);

impl Delegated {
    fn new() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("not root".to_owned());
        }
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let mount = mounts
            .lines()
            .find_map(|line| {
                line.split(" cgroup2 ")
                    .next()?
                    .split(' ')
                    .nth(1)
                    .filter(|_| line.contains(" cgroup2 "))
            })
            .ok_or("no cgroups of version 2 are mounted")?;
        let directory = Path::new(mount).join(format!("podbay-test-serve-{}", std::process::id()));
        std::fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let delegated = Self(directory);
        if !delegated.0.join("cgroup.kill").exists() {
            return Err("the kernel does not know cgroup.kill".to_owned());
        }
        for name in ["", "cgroup.procs"] {
            chown(delegated.0.join(name), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Ok(delegated)
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
        let deadline = Instant::now() + PATIENCE;
        while std::fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            for entry in std::fs::read_dir(&self.0).into_iter().flatten().flatten() {
                let _ = std::fs::remove_dir(entry.path());
            }
        }
    }
}

#[test]
fn what_another_user_runs_is_killed_with_its_cgroup() {
    let delegated = match Delegated::new() {
        Ok(delegated) => delegated,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    // Another process copies them: what a thread that starts a program has open for writing can't be executed (execve(2), `ETXTBSY`).
    let copy = |from: &str, to: &str| {
        Command::new("cp")
            .arg(from)
            .arg(place(to))
            .status()
            .unwrap()
            .success()
    };
    assert!(copy(env!("CARGO_BIN_EXE_podbay-agent"), "agent"));
    // It becomes root in every respect: nobody but root may signal it then.
    if !copy("/usr/bin/setpriv", "become") {
        return println!("skipped: no /usr/bin/setpriv");
    }
    std::fs::set_permissions(place("become"), PermissionsExt::from_mode(0o4755)).unwrap();
    let start = format!(
        "echo $$ > {}/cgroup.procs && exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {}/agent serve --port=0",
        delegated.0.display(),
        directory.path().display(),
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &start])
        .env("SESSION_API_KEY", KEY)
        .current_dir("/");
    let served = Served::start(&mut command);
    let become_root = place("become").display().to_string();
    let spec = serde_json::json!({
        "id": "p", "argv": [become_root, "--reuid", "0", "sleep", "1000"], "stdin": false, "retention": "spool",
    });
    let path = "/podbay/v1/processes/p";
    assert_eq!(served.ask("PUT", path, KEY, &spec.to_string()).0, 201);
    let info = || serde_json::from_str::<serde_json::Value>(&served.ask("GET", path, KEY, "").1).unwrap();
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "still not: {what}: {}", info());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let is_root = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", info()["pid"])).unwrap_or_default();
        status.contains("Uid:\t0\t0\t0\t0") && status.contains("Name:\tsleep")
    };
    until("it runs as root", &is_root);
    let pid = info()["pid"].to_string();
    let order = r#"{"signal": 9, "target": "tree"}"#;
    assert_eq!(served.ask("POST", &format!("{path}/signal"), KEY, order).0, 204);
    until("it has ended", &|| !info()["end"].is_null());
    assert_eq!(
        info()["end"]["end"],
        serde_json::json!({"kind": "signaled", "signal": 9})
    );
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    // The agent lives, and its next process has a cgroup too.
    assert!(super::run(&served, "next", "cat /proc/self/cgroup").contains("podbay-"));
}
