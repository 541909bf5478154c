//! How often the kernel killed a process of this program's cgroup for memory.

use std::fs;
use std::path::PathBuf;

/// Where cgroups are seen (cgroups(7)).
const ROOT: &str = "/sys/fs/cgroup";

/// The number of such kills since the cgroup was made; none where there is no cgroup to ask.
pub(super) fn oom_kills() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let files = candidates(&own);
    let text = files.iter().find_map(|file| fs::read_to_string(file).ok())?;
    parse_oom_kills(&text)
}

/// The files that may tell, the best first. In a container its own cgroup is usually mounted as the root, whatever
/// `/proc/self/cgroup` calls it.
fn candidates(own: &str) -> Vec<PathBuf> {
    let unified = own.lines().find_map(|line| line.strip_prefix("0::"));
    let memory = own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers
            .split(',')
            .any(|controller| controller == "memory")
            .then_some(path)
    });
    let mut files = Vec::new();
    for (path, place, name) in [
        (unified, "", "memory.events"),
        (memory, "/memory", "memory.oom_control"),
    ] {
        if let Some(path) = path {
            files.push(format!("{ROOT}{place}{}/{name}", path.trim_end_matches('/')).into());
            files.push(format!("{ROOT}{place}/{name}").into());
        }
    }
    files
}

/// The line `oom_kill N`, of version 1 and 2 alike.
fn parse_oom_kills(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(own: &str) -> Vec<String> {
        candidates(own)
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    #[test]
    fn both_versions_are_asked() {
        assert_eq!(
            texts("0::/\n"),
            ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory.events"]
        );
        assert_eq!(
            texts("12:cpu,memory:/docker/x\n1:name=systemd:/a\n0::/b\n"),
            [
                "/sys/fs/cgroup/b/memory.events",
                "/sys/fs/cgroup/memory.events",
                "/sys/fs/cgroup/memory/docker/x/memory.oom_control",
                "/sys/fs/cgroup/memory/memory.oom_control",
            ]
        );
    }

    #[test]
    fn the_count_is_found_among_others() {
        assert_eq!(
            parse_oom_kills("low 0\noom 3\noom_kill 2\noom_group_kill 0\n"),
            Some(2)
        );
        assert_eq!(
            parse_oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
            Some(1)
        );
        assert_eq!(parse_oom_kills("oom_kill_disable 0\n"), None);
    }
}
