//! Which file a program's name leads to, and what a program has at its start.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use podbay_protocol::{ProcessEnd, ProcessSpec};

use crate::support::*;

/// Makes a file of a program.
fn file(directory: &Path, mode: u32, text: &str) {
    std::fs::create_dir_all(directory).unwrap();
    let path = directory.join("tool");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The program `tool`, looked for in these directories.
fn tool(name: &str, directories: &[&Path]) -> ProcessSpec {
    let path = std::env::join_paths(directories).unwrap();
    let mut spec = program(name, &["tool", "word"]);
    spec.environment = [("PATH", path.to_str().unwrap())].into_iter().collect();
    spec
}

#[tokio::test]
async fn a_name_is_looked_for_as_execvp_does() {
    let there = tempfile::tempdir().unwrap();
    let place = |name: &str| there.path().join(name);
    std::fs::create_dir_all(place("directory/tool")).unwrap();
    file(&place("not-executable"), 0o644, "#!/bin/sh\necho wrong\n");
    file(&place("no-interpreter"), 0o755, "#!/no/such/interpreter\n");
    file(&place("good"), 0o755, "#!/bin/sh\necho good $1\n");
    file(&place("other"), 0o755, "#!/bin/sh\necho other $1\n");
    // No `#!`: execvp(3) has a shell read it.
    file(&place("no-program"), 0o755, "echo read $1\n");
    let processes = processes();
    for (number, (places, expected)) in [
        (&["good", "other"][..], Ok("good word\n")),
        (
            &["missing", "directory", "not-executable", "other"],
            Ok("other word\n"),
        ),
        (&["no-interpreter", "good"], Ok("good word\n")),
        (&["no-program", "good"], Ok("read word\n")),
        (&["missing"], Err("ENOENT")),
        (&["not-executable"], Err("EACCES")),
        (&["directory", "missing"], Err("EACCES")),
        (&["no-interpreter"], Err("ENOENT")),
    ]
    .into_iter()
    .enumerate()
    {
        let directories: Vec<_> = places.iter().map(|name| place(name)).collect();
        let directories: Vec<&Path> = directories.iter().map(AsRef::as_ref).collect();
        let all = run(&processes, tool(&format!("p-{number}"), &directories)).await;
        let got = match &all.record.end {
            ProcessEnd::NotStarted { reason, .. } => Err(reason.clone()),
            ProcessEnd::Exited { code: 0 } => Ok(all.text()),
            other => panic!("{places:?}: {other:?} {}", all.error_text()),
        };
        assert_eq!(got.as_deref().map_err(String::as_str), expected, "{places:?}");
    }
}

/// A shell's id, fields and status (proc(5)), and what its standard input is. By the shell itself, which blocks signals while it
/// starts others.
const SELF: &str = "echo $$; while read -r line; do echo \"$line\"; done </proc/$$/stat; \
    while read -r line; do echo \"$line\"; done </proc/$$/status; exec readlink /proc/$$/fd/0";

#[tokio::test]
async fn a_program_has_a_session_and_no_signal_blocked_or_ignored() {
    let there = tempfile::tempdir().unwrap();
    let script = there.path().join("script");
    // The one is started directly, the other by the rules of execvp(3).
    std::fs::write(&script, SELF).unwrap();
    std::fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    let processes = processes();
    let by_shell = program("direct", &["sh", "-c", SELF]);
    let by_file = program("script", &[script.to_str().unwrap()]);
    for spec in [by_shell, by_file] {
        let all = run(&processes, spec).await;
        let text = all.text();
        let mut lines = text.lines();
        let pid = lines.next().unwrap();
        // The fifth is the process group, the sixth the session.
        let fields: Vec<&str> = lines.next().unwrap().split(' ').collect();
        assert_eq!(fields[4..6], [pid, pid], "{text}");
        for name in ["SigBlk:", "SigIgn:"] {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let signals = u64::from_str_radix(line.unwrap().trim(), 16).unwrap();
            // Of the 31 that have names: the GNU C library ignores two of its own for each program that it starts.
            assert_eq!(signals & 0x7fff_ffff, 0, "{name}");
        }
        assert_eq!(lines.last(), Some("/dev/null"));
    }
}
