//! `podbay run` with no cluster: the program that was built, from outside.

#![expect(
    clippy::unwrap_used,
    reason = "the functions beside the tests are tests' code too"
)]

mod configuration;
mod host;
mod inputs;
mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::{Surroundings, finish};

const WARNING: &str = "warning: the local backend runs commands on this machine, without isolation\n";

#[test]
fn both_streams_arrive_apart_with_the_exit_code() {
    let there = Surroundings::new();
    let done = there.run(&[], "echo out; echo err >&2; exit 3");
    assert_eq!((done.code, done.out()), (Some(3), "out\n"));
    assert_eq!(done.stderr, format!("{WARNING}err\n"));
    assert_eq!(there.left_behind(), [""; 0]);
}

#[test]
fn auto_is_local_where_nothing_names_a_cluster() {
    let there = Surroundings::new();
    let done = finish(there.podbay(["run", "--", "echo", "hi"]));
    assert_eq!(
        (done.code, done.out(), done.stderr.as_str()),
        (Some(0), "hi\n", WARNING)
    );
}

#[test]
fn auto_never_falls_back_when_something_of_a_cluster_was_named() {
    let there = Surroundings::new();
    for flags in [["--image", "debian:12"], ["--namespace", "agents"]] {
        let done = finish(there.podbay(["run"].iter().chain(&flags).chain(&["--", "echo", "ran"])));
        assert_eq!((done.code, done.out()), (Some(125), ""), "{}", done.stderr);
        let place = there.path("home/.kube/config");
        assert!(done.stderr.contains(place.to_str().unwrap()), "{}", done.stderr);
        assert!(
            done.stderr.contains(flags[0].trim_start_matches('-')),
            "{}",
            done.stderr
        );
    }
    for flags in [["--kubeconfig", "/no/such/file"], ["--context", "elsewhere"]] {
        let done = finish(there.podbay(["run"].iter().chain(&flags).chain(&["--", "echo", "ran"])));
        assert_eq!((done.code, done.out()), (Some(125), ""), "{}", done.stderr);
        assert!(done.stderr.contains(flags[1]), "{}", done.stderr);
    }
    let done = finish({
        let mut command = there.podbay(["run", "--", "echo", "ran"]);
        command.env("KUBECONFIG", "/no/such/kubeconfig");
        command
    });
    assert_eq!((done.code, done.out()), (Some(125), ""));
    assert!(done.stderr.contains("/no/such/kubeconfig"), "{}", done.stderr);
}

#[test]
fn an_image_is_refused() {
    let done = Surroundings::new().run(&["--image", "debian:12"], "echo ran");
    assert_eq!((done.code, done.out()), (Some(125), ""));
    assert!(
        done.stderr.contains("an image is not supported here"),
        "{}",
        done.stderr
    );
}

#[test]
fn what_is_not_there_is_told_and_nothing_is_made_to_find_that_out() {
    let there = Surroundings::new();
    let local = |line: &str| finish(there.podbay(["--backend", "local"].into_iter().chain(line.split(' '))));
    for line in [
        "exec demo -- true",
        "show demo",
        "logs demo",
        "key demo",
        "pause demo",
        "resume demo",
    ] {
        let done = local(line);
        assert_eq!((done.code, done.out()), (Some(125), ""), "{line}");
        let told = "session \"demo\" not found on this machine";
        assert!(done.stderr.contains(told), "{line}: {}", done.stderr);
        assert!(
            done.stderr.contains("podbay open demo"),
            "{line}: {}",
            done.stderr
        );
    }
    let done = local("ls");
    assert_eq!(
        (done.code, done.out(), done.stderr.as_str()),
        (Some(0), "", "No sessions found on this machine.\n")
    );
    for line in ["close demo", "delete demo"] {
        let done = local(line);
        assert_eq!(
            (done.code, done.out()),
            (Some(0), "session/demo was not open\n"),
            "{line}"
        );
    }
    assert_eq!(std::fs::read_dir(there.path("run")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(there.path("home")).unwrap().count(), 0);
}

#[test]
fn without_an_agent_no_session_is_opened_and_a_run_needs_none() {
    let there = Surroundings::new();
    let mut command = there.podbay(["--backend", "local", "open", "demo"]);
    command.env("PODBAY_AGENT_BINARY", "/no/such/agent");
    let done = finish(command);
    assert_eq!((done.code, done.out()), (Some(125), ""));
    for told in [
        "/no/such/agent",
        "AgentRuntimeUnavailableError",
        "hint: ",
        "agent.binary",
    ] {
        assert!(done.stderr.contains(told), "{told}: {}", done.stderr);
    }
    assert_eq!(std::fs::read_dir(there.path("run")).unwrap().count(), 0);
    let mut command = there.podbay(["run", "--backend", "local", "--", "echo", "hi"]);
    command.env("PODBAY_AGENT_BINARY", "/no/such/agent");
    assert_eq!(finish(command).out(), "hi\n");
}

#[test]
fn what_a_session_of_this_machine_can_not_have_is_refused_before_anything_is_made() {
    let there = Surroundings::new();
    for (flags, told) in [
        (&["--image", "debian:12"][..], "an image"),
        (&["--cpu", "1"], "a limit of CPU"),
        (&["--persistent"], "a persistent workspace"),
        (&["--port", "80"], "a port"),
        (&["--network", "none"], "a network policy"),
    ] {
        let done = finish(there.podbay(["--backend", "local", "open", "demo"].iter().chain(flags)));
        assert_eq!(done.code, Some(125), "{told}: {}", done.stderr);
        assert!(
            done.stderr.contains(&format!("{told} is not supported here")),
            "{}",
            done.stderr
        );
    }
    assert_eq!(std::fs::read_dir(there.path("run")).unwrap().count(), 0);
}

#[test]
fn the_record_is_one_line_and_the_output_is_in_it() {
    let done = Surroundings::new().run(&["-o", "json"], "echo h\u{e9}; printf '\\377\\000' >&2; exit 3");
    let record = done.record();
    assert_eq!((done.code, done.stderr.as_str()), (Some(3), WARNING));
    assert_eq!(record["end"], serde_json::json!({ "kind": "exited", "code": 3 }));
    assert_eq!(record["exit_code"], 3);
    assert_eq!(record["stdout"]["text"], "h\u{e9}\n");
    assert_eq!(record["stdout"]["bytes"], 4);
    assert_eq!(record["stderr"]["base64"], "/wA=");
    // sha256sum of the two bytes.
    assert_eq!(
        record["stderr"]["sha256"],
        "ea5dbf9596d187e9500f23e9a680109475341cf4e81f7e043f7d97152c10772f"
    );
    assert_eq!(record["stderr"]["truncated"], false);
    assert!(record["start"]["total"].is_number());
}

#[test]
fn the_record_holds_no_more_output_than_asked_for() {
    let record = Surroundings::new()
        .run(&["-o", "json", "--max-output", "3"], "printf abcdef")
        .record();
    assert_eq!(
        (&record["stdout"]["text"], &record["stdout"]["bytes"]),
        (&"abc".into(), &6.into())
    );
    assert_eq!(record["stdout"]["content_capped"], true);
    assert_eq!(record["stderr"]["content_capped"], false);
}

#[test]
fn a_failed_start_has_a_record_too() {
    let there = Surroundings::new();
    let done = there.run(
        &["-o", "json", "--outcome-file", "outcome", "--image", "x"],
        "true",
    );
    let record = done.record();
    assert_eq!((done.code, &record["exit_code"]), (Some(125), &125.into()));
    assert!(record["end"].is_null());
    assert!(
        record["session"]
            .as_str()
            .is_some_and(|id| id.starts_with("run-"))
    );
    assert_eq!(record["error"]["code"], "AgentRuntimeUnsupportedError");
    let file = std::fs::read_to_string(there.path("work/outcome")).unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&file).unwrap()["exit_code"],
        125
    );
}

#[test]
fn the_outcome_file_stands_beside_live_streams() {
    let there = Surroundings::new();
    let done = there.run(&["--outcome-file", "outcome"], "echo out; exit 4");
    assert_eq!((done.code, done.out()), (Some(4), "out\n"));
    let file = std::fs::read_to_string(there.path("work/outcome")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&file).unwrap();
    assert_eq!(
        (&record["exit_code"], &record["stdout"]["bytes"]),
        (&4.into(), &4.into())
    );
    assert!(record["stdout"].get("text").is_none());
}

#[test]
fn ends_that_are_no_exit_have_their_codes() {
    let there = Surroundings::new();
    assert_eq!(
        there.run(&["--timeout", "100ms"], "sleep 1000 & wait").code,
        Some(124)
    );
    assert_eq!(there.run(&[], "kill -9 $$").code, Some(137));
    let code = |program: &str| finish(there.podbay(["run", "--backend", "local", "--", program])).code;
    std::fs::write(there.path("work/not-executable"), "").unwrap();
    assert_eq!(
        code(there.path("work/not-executable").to_str().unwrap()),
        Some(126)
    );
    assert_eq!(code("no-such-program"), Some(127));
}

#[test]
fn standard_input_is_empty_unless_passed_on() {
    let there = Surroundings::new();
    for (flag, expected) in [("--quiet", ""), ("-i", "hello")] {
        let mut child = there
            .podbay(["run", "--backend", "local", flag, "--", "cat"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        if flag == "-i" {
            input.write_all(b"hello").unwrap();
            drop(input);
            assert_eq!(child.wait_with_output().unwrap().stdout, expected.as_bytes());
        } else {
            // Open until the program has ended: it does not wait for it.
            assert_eq!(child.wait_with_output().unwrap().stdout, expected.as_bytes());
            drop(input);
        }
    }
}

#[test]
fn a_command_that_does_not_read_is_not_waited_for() {
    let there = Surroundings::new();
    let mut child = there
        .podbay(["run", "--backend", "local", "-i", "--", "true"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let input = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(input);
}

#[test]
fn the_environment_is_what_was_given() {
    let there = Surroundings::new();
    std::fs::write(there.path("work/env"), "# mine\nD=file\nE\n").unwrap();
    let mut command = there.podbay([
        "run",
        "--backend",
        "local",
        "--env",
        "A=1",
        "--env",
        "B",
        "--env-file",
        "env",
        "--env",
        "D=flag",
        "--",
        "sh",
        "-c",
        "echo $A $B $D $E [$AWS_SECRET_ACCESS_KEY$SSH_AUTH_SOCK$KUBECONFIG]",
    ]);
    command.env("B", "two").env("E", "five");
    command
        .env("AWS_SECRET_ACCESS_KEY", "hunter2")
        .env("SSH_AUTH_SOCK", "/agent");
    let done = finish(command);
    assert_eq!(
        (done.code, done.out()),
        (Some(0), "1 two flag five []\n"),
        "{}",
        done.stderr
    );
    let missing = there.run(&["--env", "NOT_THERE"], "true");
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("NOT_THERE"), "{}", missing.stderr);
}

#[test]
fn usage_errors_are_two_and_suggest_what_was_meant() {
    let there = Surroundings::new();
    for (line, hint) in [
        ("run", "<COMMAND>"),
        ("run -- ", "the command is empty"),
        ("exce demo -- true", "'exec'"),
        ("run --imag x -- true", "--image"),
        ("run --backend docker -- true", "auto, cluster, local"),
        ("close", "SESSION"),
        ("close --all demo", "--all"),
        ("render demo --image x --cpu lots", "--cpu"),
        ("run --timeout soon -- true", "30s"),
    ] {
        let done = finish(there.podbay(line.split(' ')));
        assert_eq!((done.code, done.out()), (Some(2), ""), "{line}: {}", done.stderr);
        assert!(done.stderr.contains(hint), "{line}: {}", done.stderr);
    }
}

#[test]
fn rendering_needs_no_cluster_and_hides_values() {
    let there = Surroundings::new();
    let render = |more: &[&str]| {
        let args = ["render", "demo", "--image", "debian:12", "--env", "TOKEN=hunter2"];
        finish(there.podbay(args.iter().chain(more)))
    };
    let done = render(&[]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(
        done.out().matches("\nkind: ").count() + done.out().matches("\"kind\"").count(),
        4,
        "record, Secret, network policy, pod: {}",
        done.out()
    );
    assert!(!done.out().contains("hunter2") && done.stderr.is_empty());
    // Applied, it would be half gone within seconds: its owner does not exist.
    assert!(
        done.out().starts_with("# To be read, not applied:"),
        "{}",
        done.out()
    );
    let done = render(&["-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(done.out()).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 4);
    assert_eq!(
        finish(there.podbay(["render", "demo", "--image", "a b"])).code,
        Some(2)
    );
}

#[test]
fn completions_and_version_go_to_standard_output() {
    let there = Surroundings::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = finish(there.podbay(["completions", shell]));
        assert!(done.code == Some(0) && done.out().contains("podbay"), "{shell}");
    }
    for line in ["version", "--version"] {
        assert_eq!(
            finish(there.podbay([line])).out(),
            concat!("podbay ", env!("CARGO_PKG_VERSION"), "\n")
        );
    }
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let there = Surroundings::new();
    let mut child = there
        .podbay(["run", "--backend", "local", "--", "yes"])
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut piece = [0; 4];
    output.read_exact(&mut piece).unwrap();
    drop(output);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), WARNING);
    assert_eq!(there.left_behind(), [""; 0]);
}

#[test]
fn a_signal_leaves_no_process_and_no_directory() {
    for (signal, code) in [
        (Signal::INT, 130),
        (Signal::TERM, 143),
        (Signal::HUP, 129),
        (Signal::QUIT, 131),
        (Signal::ALARM, 142),
        (Signal::XCPU, 152),
    ] {
        let there = Surroundings::new();
        // A child that left the command's session and process group, and holds the pipe open.
        let script = "setsid sh -c 'echo $$; exec sleep 1000' & echo ready; exec sleep 1000";
        let mut child = there
            .podbay_in_foreground(["run", "--backend", "local", "--", "sh", "-c", script])
            .spawn()
            .unwrap();
        let (pid, mut output) = started(&mut child);
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        // The end of the pipe: nobody who could write to it is left.
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert!(!is_alive(&pid), "{pid} lives");
        assert_eq!(there.left_behind(), [""; 0]);
    }
}

/// Waits for both lines; returns the process id among them.
fn started(child: &mut Child) -> (String, BufReader<std::process::ChildStdout>) {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = [String::new(), String::new()];
    for line in &mut lines {
        output.read_line(line).unwrap();
    }
    let pid = lines
        .iter()
        .find(|line| line.trim() != "ready")
        .unwrap()
        .trim()
        .to_owned();
    (pid, output)
}

/// Whether a process runs; one that is dead and not yet reaped has no command line.
fn is_alive(pid: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty())
}

#[test]
fn no_escape_codes_where_there_is_no_terminal() {
    let there = Surroundings::new();
    let mut command = there.podbay(["run", "-vvv", "--backend", "local", "--", "true"]);
    command.env("NO_COLOR", "1");
    for command in [
        command,
        there.podbay(["run", "-vv", "--backend", "local", "--", "no-such-program"]),
    ] {
        let done = finish(command);
        assert!(!done.stderr.contains('\x1b'), "{}", done.stderr);
    }
}
