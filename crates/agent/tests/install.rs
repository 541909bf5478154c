//! The mode `install`: what an init container runs.

#![expect(
    clippy::disallowed_methods,
    reason = "this test's process has no agent in it that waits for children"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

#[test]
fn the_program_copies_itself_and_the_copy_runs() {
    let directory = tempfile::tempdir().unwrap();
    let install = |directory: &std::path::Path| {
        Command::new(env!("CARGO_BIN_EXE_podbay-agent"))
            .arg("install")
            .arg(directory)
            .output()
            .unwrap()
    };
    // Twice: a container that is started again does so.
    for _ in 0..2 {
        let output = install(directory.path());
        assert!(output.status.success(), "{output:?}");
    }
    let copy = directory.path().join("podbay-agent");
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    let usage = Command::new(&copy).output().unwrap();
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
    let nowhere = install(&directory.path().join("no"));
    assert!(!nowhere.status.success());
    let words = String::from_utf8(nowhere.stderr).unwrap();
    assert!(words.contains("installing"), "{words}");
}
