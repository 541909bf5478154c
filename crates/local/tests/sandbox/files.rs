//! What a command finds around it: directory and environment.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use podbay_local::SandboxCommand;

use crate::harness::{request, run, sandbox, shell, with};

#[tokio::test]
async fn the_directory_is_private_and_everything_is_in_it() {
    let sandbox = sandbox();
    let directory = sandbox.directory().unwrap();
    let mode = std::fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let ran = run(
        &sandbox,
        shell("pwd -P; echo $HOME; echo $TMPDIR; cd && touch x; mktemp"),
    )
    .await;
    let directory = directory.canonicalize().unwrap();
    let lines: Vec<_> = ran.text().lines().map(Path::new).collect();
    assert_eq!(lines[0], directory.join("files/workspace"));
    for line in &lines[1..] {
        assert!(
            line.canonicalize().unwrap().starts_with(&directory),
            "{}",
            line.display()
        );
    }
    assert_eq!(lines.len(), 4);
}

#[tokio::test]
async fn a_command_starts_where_it_asks_to() {
    let sandbox = sandbox();
    let work = sandbox.directory().unwrap().join("files/workspace");
    std::fs::create_dir(work.join("sub")).unwrap();
    for (directory, expected) in [("sub", work.join("sub")), ("/", "/".into())] {
        let command = SandboxCommand {
            directory: Some(directory.to_owned()),
            ..request(["pwd", "-P"])
        };
        let ran = run(&sandbox, command).await;
        assert_eq!(Path::new(ran.text().trim_end()), expected.canonicalize().unwrap());
    }
}

#[tokio::test]
async fn the_environment_holds_nothing_of_the_hosts_but_what_is_harmless() {
    let sandbox = sandbox();
    let is_harmless =
        |name: &str| ["PATH", "LANG", "TZ", "USER", "LOGNAME"].contains(&name) || name.starts_with("LC_");
    // There is something to leave out: what cargo or a shell sets.
    assert!(std::env::vars().any(|(name, _)| name != "HOME" && !is_harmless(&name)));
    let ran = run(&sandbox, request(["env", "-0"])).await;
    for entry in ran.text().split_terminator('\0') {
        let (name, value) = entry.split_once('=').unwrap();
        let ours = ["HOME", "TMPDIR", podbay_process::VARIABLE].contains(&name);
        let harmless = is_harmless(name);
        assert!(ours || harmless, "{entry}");
        if harmless && name != "PATH" {
            assert_eq!(std::env::var(name).as_deref(), Ok(value));
        }
    }
}

#[tokio::test]
async fn variables_that_were_given_count_more() {
    let sandbox = with(&[("PLAIN", "1"), ("LANG", "xx"), ("HOME", "/h")]);
    let ran = run(&sandbox, shell("printf %s \"$PLAIN $LANG $HOME\"")).await;
    assert_eq!(ran.stdout, b"1 xx /h");
}
