//! Signals to `podbay run`, as docker's users expect them.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::Surroundings;

/// Starts a script, and waits until it says that it is ready.
fn ready(there: &Surroundings, flags: &[&str], script: &str) -> (Child, BufReader<ChildStdout>) {
    let command = ["--", "sh", "-c", script];
    let args = ["run", "--backend", "local"].iter().chain(flags).chain(&command);
    let mut child = there.podbay_in_foreground(args).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, output)
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Flags for a configuration in which a command has so many seconds to end after a signal.
fn grace(there: &Surroundings, seconds: u32) -> [String; 2] {
    let path = there.path("work/config.toml");
    std::fs::write(
        &path,
        format!("[podbay]\ntermination_grace_seconds = {seconds}\n"),
    )
    .unwrap();
    ["--config".to_owned(), path.display().to_string()]
}

#[test]
fn a_signal_is_passed_on_and_the_command_ends_in_its_own_way() {
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
    ] {
        let there = Surroundings::new();
        let script = format!("trap 'kill $!; echo bye; exit 7' {name}; sleep 1000 & echo ready; wait");
        let (mut child, mut output) = ready(&there, &[], &script);
        send(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(7), "{name}");
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "bye\n");
        assert_eq!(there.left_behind(), [""; 0]);
    }
}

#[test]
fn a_message_to_the_command_does_not_end_it() {
    let there = Surroundings::new();
    let script = "trap 'echo told' USR1; echo ready; while read -r l || sleep 0.1; do :; done";
    let (mut child, mut output) = ready(&there, &[], script);
    send(&child, Signal::USR1);
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "told\n");
    send(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_command_that_does_not_heed_it_is_killed_after_the_grace_period() {
    let there = Surroundings::new();
    let flags = grace(&there, 1);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let (mut child, _output) = ready(&there, &flags, "trap '' TERM; echo ready; exec sleep 1000");
    send(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(there.left_behind(), [""; 0]);
}

#[test]
fn a_second_signal_kills_the_command_at_once() {
    let there = Surroundings::new();
    let flags = grace(&there, 3600);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let script = "trap 'echo told' TERM; trap '' INT; echo ready; while :; do sleep 0.1; done";
    let (mut child, mut output) = ready(&there, &flags, script);
    send(&child, Signal::TERM);
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "told\n");
    send(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(there.left_behind(), [""; 0]);
}
