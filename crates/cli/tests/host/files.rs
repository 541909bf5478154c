//! Files that are not ours: what is mounted, and where the record is written.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use super::{mounting, prepared};
use crate::support::{Surroundings, finish};

#[test]
fn what_is_mounted_in_a_session_is_left_alone_and_told() {
    let Some(unshare) = mounting() else { return };
    let there = Surroundings::new();
    let precious = there.path("work/precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("data"), "precious").unwrap();
    let script = "mkdir m && mount --bind \"$P\" m && touch other";
    let given = format!("P={}", precious.display());
    let done = finish(prepared(&there, &unshare, &["-e", &given], script));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(fs::read_to_string(precious.join("data")).unwrap(), "precious");
    let told = done
        .stderr
        .lines()
        .find(|line| line.contains("was not removed"))
        .unwrap();
    assert!(
        told.contains("/m was not removed: something is mounted there"),
        "{told}"
    );
    // All else went.
    let path = told.split_whitespace().find(|word| word.ends_with("/m")).unwrap();
    let names: Vec<_> = fs::read_dir(std::path::Path::new(path).parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["m"]);
}

#[test]
fn the_record_is_written_through_the_link_that_standard_output_is() {
    let there = Surroundings::new();
    let log = there.path("work/log");
    let mut command = there.podbay([
        "run",
        "--backend",
        "local",
        "--outcome-file",
        "/dev/stdout",
        "--",
        "echo",
        "hi",
    ]);
    command.stdout(File::create(&log).unwrap());
    let done = finish(command);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let text = fs::read_to_string(&log).unwrap();
    let record = text.strip_prefix("hi\n").unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(record).unwrap()["exit_code"],
        0
    );
    assert!(fs::symlink_metadata("/dev/stdout").unwrap().is_symlink());
}

#[test]
fn the_record_is_written_through_a_link() {
    let there = Surroundings::new();
    symlink("t", there.path("work/l")).unwrap();
    assert_eq!(there.run(&["--outcome-file", "l"], "true").code, Some(0));
    assert!(fs::symlink_metadata(there.path("work/l")).unwrap().is_symlink());
    assert!(
        fs::read_to_string(there.path("work/t"))
            .unwrap()
            .contains("\"exit_code\":0")
    );
}

#[test]
fn an_outcome_that_cannot_be_written_is_told_before_anything_runs() {
    let there = Surroundings::new();
    let ran = there.path("work/ran");
    let script = format!("touch {}; exit 3", ran.display());
    for place in ["/no/such/o.json", "/", "/dev/no-such-device/o"] {
        let done = there.run(&["--outcome-file", place], &script);
        assert_eq!(done.code, Some(125), "{place}");
        assert!(done.stderr.contains(place), "{}", done.stderr);
        assert!(!ran.exists(), "{place}");
    }
}

#[test]
fn a_home_and_a_place_for_temporary_files_that_were_given_are_kept() {
    let there = Surroundings::new();
    let done = there.run(
        &["-e", "HOME=/opt/x", "-e", "TMPDIR=/opt/y"],
        "echo $HOME $TMPDIR",
    );
    assert_eq!(done.out(), "/opt/x /opt/y\n");
    let done = there.run(&[], "touch $HOME/x $TMPDIR/y && echo ok");
    assert_eq!(done.out(), "ok\n", "{}", done.stderr);
}
