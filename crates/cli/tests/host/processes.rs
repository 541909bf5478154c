//! What commands inherit, and what is left of them.

use std::process::Stdio;

use super::{after, mounting, prepared};
use crate::support::{Finished, Surroundings, finish};

fn run_after(preparation: &str, flags: &[&str], script: &str) -> (Surroundings, Finished) {
    let there = Surroundings::new();
    let words = after(preparation);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = finish(prepared(&there, &words, flags, script));
    (there, done)
}

#[test]
fn what_a_command_left_behind_is_waited_for_a_second_and_the_cut_is_told() {
    let there = Surroundings::new();
    let script = "(trap : TERM; for i in 1 2 3 4; do echo x$i; sleep 1; done) & echo early";
    let done = there.run(&["-o", "json"], script);
    let record = done.record();
    assert_eq!((done.code, &record["end"]["code"]), (Some(0), &0.into()));
    assert_eq!(record["stdout"]["truncated"], true);
    assert!(record["stdout"]["text"].as_str().unwrap().contains("early\n"));
    assert!(
        done.stderr
            .contains("a process that the command left behind keeps its output open"),
        "{}",
        done.stderr
    );
    // One that ends within that time is waited for.
    let record = there
        .run(&["-o", "json"], "(sleep 0.2; echo late) & echo early")
        .record();
    assert_eq!(record["stdout"]["text"], "early\nlate\n");
    assert_eq!(record["stdout"]["truncated"], false);
}

#[test]
fn an_ignored_sigchld_hides_no_exit_code() {
    let (_there, done) = run_after("trap '' CHLD", &[], "exit 3");
    assert_eq!(done.code, Some(3), "{}", done.stderr);
}

#[test]
fn signals_that_we_ignore_or_block_are_neither_to_the_command() {
    let there = Surroundings::new();
    let words = [
        "env",
        "--ignore-signal=INT,QUIT,USR1,CHLD,PIPE",
        "--block-signal=ALRM,USR2",
    ];
    let done = finish(prepared(
        &there,
        &words,
        &[],
        "grep -E '^Sig(Ign|Blk)' /proc/self/status",
    ));
    // 32 and 33 are the C library's own, which it lets nobody change.
    let private = 0b11 << 31;
    let masks: Vec<u64> = done
        .out()
        .lines()
        .map(|line| u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap() & !private)
        .collect();
    assert_eq!(masks, [0, 0], "{}{}", done.out(), done.stderr);
}

#[test]
fn descriptors_of_the_caller_do_not_reach_the_command() {
    let (there, done) = run_after(
        "exec 5>secret 7>secret",
        &[],
        "ls /proc/self/fd | tr '\\n' ' '; echo x >&5",
    );
    // The fourth is that of the directory that is listed.
    assert_eq!(done.out(), "0 1 2 3 ", "{}", done.stderr);
    assert_ne!(done.code, Some(0));
    assert_eq!(std::fs::read_to_string(there.path("work/secret")).unwrap(), "");
}

#[test]
fn a_descriptor_of_the_caller_can_still_be_named() {
    let (there, done) = run_after("exec 5>record", &["--outcome-file", "/dev/fd/5"], "exit 3");
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    let record = std::fs::read_to_string(there.path("work/record")).unwrap();
    assert!(record.contains("\"exit_code\":3"), "{record}");
}

#[test]
fn without_proc_the_command_dies_all_the_same() {
    let Some(unshare) = mounting() else { return };
    let there = Surroundings::new();
    let hidden = after("mount -t tmpfs none /proc");
    let words: Vec<&str> = unshare
        .into_iter()
        .chain(hidden.iter().map(String::as_str))
        .collect();
    let script = "echo $$; sleep 1000 & wait";
    let done = finish({
        let mut command = prepared(&there, &words, &["--timeout", "3s"], script);
        command.stdout(Stdio::piped());
        command
    });
    assert_eq!(done.code, Some(124), "{}", done.stderr);
    assert!(
        done.stderr.contains("warning: there is no /proc"),
        "{}",
        done.stderr
    );
    assert!(!crate::is_alive(done.out().trim()), "{}", done.out());
}

#[test]
fn embedded_is_another_word_for_local() {
    let there = Surroundings::new();
    let done = finish(there.podbay(["run", "--backend", "embedded", "--", "echo", "hi"]));
    assert_eq!((done.code, done.out()), (Some(0), "hi\n"));
    for word in ["local", "embedded"] {
        let mut command = there.podbay(["run", "--", "echo", "hi"]);
        command.env("PODBAY_RUNTIME", word);
        assert_eq!(finish(command).out(), "hi\n", "{word}");
    }
}
