//! What the kernel says of this program's cgroup, in either of the two versions.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Where cgroups are seen.
const ROOT: &str = "/sys/fs/cgroup";

/// Where a fact stands: the file of version 2, and the controller and the file of version 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    pub(crate) unified: &'static str,
    pub(crate) controller: &'static str,
    pub(crate) legacy: &'static str,
}

/// A file's text, by the version that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Unified(String),
    Legacy(String),
}

impl Text {
    /// The text, whatever version it is of.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Unified(text) | Self::Legacy(text) => text,
        }
    }
}

/// Reads a file of this program's cgroup; none where there is no cgroup to ask.
pub(crate) fn read(file: File) -> Option<Text> {
    find(file).map(|(_, text)| text)
}

/// The same, with where it is.
fn find(file: File) -> Option<(PathBuf, Text)> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    candidates(&own, file).into_iter().find_map(|(path, is_unified)| {
        let text = fs::read_to_string(&path).ok()?;
        let text = if is_unified {
            Text::Unified(text)
        } else {
            Text::Legacy(text)
        };
        Some((path, text))
    })
}

/// How often the kernel killed a process of this program's cgroup for memory since the cgroup was made.
///
/// It is asked before and after each command, and looking for the file takes several times as long as reading it: where it was
/// found is remembered. It is looked for again when it can't be read any more; nobody moves an agent into another cgroup that has
/// begun to serve.
pub(crate) fn oom_kills() -> Option<u64> {
    static FOUND: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let known = found.as_ref().and_then(|path| fs::read_to_string(path).ok());
    let text = if let Some(text) = known {
        text
    } else {
        let (path, text) = find(File {
            unified: "memory.events",
            controller: "memory",
            legacy: "memory.oom_control",
        })?;
        *found = Some(path);
        text.as_str().to_owned()
    };
    // `oom_kill N`, of version 1 and 2 alike.
    value(&text, "oom_kill")
}

/// The value of a line `KEY N`.
pub(crate) fn value(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The files that may tell, the best first, and whether they are of version 2. In a container its own cgroup is usually
/// mounted as the root, whatever `/proc/self/cgroup` calls it.
fn candidates(own: &str, file: File) -> Vec<(PathBuf, bool)> {
    let unified = own.lines().find_map(|line| line.strip_prefix("0::"));
    let legacy = own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers
            .split(',')
            .any(|controller| controller == file.controller)
            .then_some(path)
    });
    let mut files = Vec::new();
    for (path, place, name, is_unified) in [
        (unified, String::new(), file.unified, true),
        (legacy, format!("/{}", file.controller), file.legacy, false),
    ] {
        if let Some(path) = path {
            files.push((
                format!("{ROOT}{place}{}/{name}", path.trim_end_matches('/')).into(),
                is_unified,
            ));
            files.push((format!("{ROOT}{place}/{name}").into(), is_unified));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(own: &str) -> Vec<String> {
        let file = File {
            unified: "memory.events",
            controller: "memory",
            legacy: "memory.oom_control",
        };
        candidates(own, file)
            .iter()
            .map(|(path, is_unified)| format!("{} {is_unified}", path.display()))
            .collect()
    }

    #[test]
    fn both_versions_are_asked() {
        assert_eq!(
            texts("0::/\n"),
            [
                "/sys/fs/cgroup/memory.events true",
                "/sys/fs/cgroup/memory.events true"
            ]
        );
        assert_eq!(
            texts("12:cpu,memory:/docker/x\n1:name=systemd:/a\n0::/b\n"),
            [
                "/sys/fs/cgroup/b/memory.events true",
                "/sys/fs/cgroup/memory.events true",
                "/sys/fs/cgroup/memory/docker/x/memory.oom_control false",
                "/sys/fs/cgroup/memory/memory.oom_control false",
            ]
        );
    }

    #[test]
    fn a_value_is_found_among_others() {
        for (text, kills) in [
            ("low 0\noom 3\noom_kill 2\noom_group_kill 0\n", Some(2)),
            ("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", Some(1)),
            ("oom_kill_disable 0\n", None),
        ] {
            assert_eq!(value(text, "oom_kill"), kills, "{text:?}");
        }
    }
}
