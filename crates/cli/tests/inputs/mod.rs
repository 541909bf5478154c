//! Inputs as other tools' users give them: variables of OpenHands, empty variables, arguments and keys with any bytes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;

use crate::support::{Finished, Surroundings, finish};

/// A kubeconfig of a cluster that refuses every connection.
const UNREACHABLE: &str = r#"{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}], "users": [{"name": "u", "user": {}}]}"#;

/// `podbay run --backend local` of a shell's script, with variables.
fn run_with(there: &Surroundings, variables: &[(&str, &str)], script: &str) -> Finished {
    let mut command = there.podbay(["run", "--backend", "local", "--", "sh", "-c", script]);
    command.envs(variables.iter().copied());
    finish(command)
}

#[test]
fn a_variable_of_openhands_reaches_the_command() {
    let there = Surroundings::new();
    let done = run_with(&there, &[("SANDBOX_ENV_FOO", "bar")], "echo $FOO");
    assert_eq!((done.code, done.out()), (Some(0), "bar\n"), "{}", done.stderr);
}

#[test]
fn unknown_variables_of_ours_are_warned_of() {
    let there = Surroundings::new();
    let mut command = there.podbay(["config", "show"]);
    command.envs([
        ("PODBAY_NAMESPACE", "prod"),
        ("PODBAY_START_TIMEOUT", "5"),
        ("PODBAY_SERVICE_HOST", "10.0.0.7"),
        ("PODBAY_PORT_80_TCP", "tcp://10.0.0.7:80"),
    ]);
    let done = finish(command);
    assert_eq!(
        done.stderr,
        "warning: environment variable PODBAY_NAMESPACE is not known and ignored; did you mean \
         PODBAY_KUBERNETES_NAMESPACE?\nwarning: environment variable PODBAY_START_TIMEOUT is not known and ignored; did \
         you mean PODBAY_START_TIMEOUT_SECONDS?\n"
    );
}

#[test]
fn what_this_machine_can_not_give_is_refused_by_variable_as_by_flag() {
    let there = Surroundings::new();
    for (name, value, what) in [
        ("SANDBOX_VOLUMES", "/a:/workspace:rw", "a volume"),
        ("KUBERNETES_NETWORK", "none", "a network policy"),
        ("SANDBOX_USER_ID", "54321", "a user"),
    ] {
        let done = run_with(&there, &[(name, value)], "echo ran");
        assert_eq!((done.code, done.out()), (Some(125), ""), "{}", done.stderr);
        let refusal = format!("{what} is not supported here: ");
        assert!(
            done.stderr.contains(&refusal) && done.stderr.contains(&format!("environment variable {name}")),
            "{}",
            done.stderr
        );
        assert!(!done.stderr.contains("profile"), "{}", done.stderr);
    }
    let file = there.path("work/a.toml");
    std::fs::write(&file, "[kubernetes]\nnetwork = 'none'\n").unwrap();
    let path = file.to_str().unwrap();
    let done = there.run(&["--config", path], "echo ran");
    assert_eq!((done.code, done.out()), (Some(0), "ran\n"), "{}", done.stderr);
    let warning = format!("warning: without effect on this machine: kubernetes.network ({path}:2:11)\n");
    assert!(done.stderr.contains(&warning), "{}", done.stderr);
}

#[test]
fn an_empty_variable_is_none() {
    let there = Surroundings::new();
    let done = run_with(&there, &[("TMPDIR", "")], "pwd");
    assert!(
        done.out().starts_with("/tmp/podbay-"),
        "{}{}",
        done.out(),
        done.stderr
    );
    assert_eq!(std::fs::read_dir(there.path("work")).unwrap().count(), 0);
    // A home directory that is none must not make the working directory one: whoever filled it would choose the cluster.
    std::fs::create_dir(there.path("work/.kube")).unwrap();
    std::fs::write(there.path("work/.kube/config"), "{}").unwrap();
    let mut command = there.podbay(["run", "--", "echo", "hi"]);
    command.envs([
        ("HOME", ""),
        ("KUBERNETES_SERVICE_HOST", ""),
        ("KUBECONFIG", ""),
        ("NO_COLOR", ""),
        ("PODBAY_LOG", ""),
        ("PODBAY_CONFIG", ""),
        ("XDG_CONFIG_HOME", ""),
    ]);
    let done = finish(command);
    assert_eq!((done.code, done.out()), (Some(0), "hi\n"), "{}", done.stderr);
}

#[test]
fn an_argument_that_is_not_utf8_is_named() {
    let there = Surroundings::new();
    let wrong = OsString::from_vec(b"a\xffb".to_vec());
    let args = ["run", "--backend", "local", "--", "echo"].map(OsStr::new);
    let done = finish(there.podbay(args.into_iter().chain([wrong.as_os_str()])));
    assert_eq!((done.code, done.out()), (Some(2), ""));
    assert!(
        done.stderr
            .starts_with("error: not UTF-8: argument 6, \"a\\xFFb\"\n"),
        "{}",
        done.stderr
    );
}

#[test]
fn escape_sequences_of_a_file_do_not_reach_the_terminal() {
    let there = Surroundings::new();
    let file = there.path("work/a.toml");
    std::fs::write(
        &file,
        "\"top\\u001b[2J\" = 1\n[kubernetes]\n\"na\\u001b]0;me\" = 1\nnamespace = \"a\\u009b\"\n",
    )
    .unwrap();
    let done = finish(there.podbay(["config".as_ref(), "check".as_ref(), file.as_os_str()]));
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(done.stderr.contains("top\\u{1b}[2J"), "{}", done.stderr);
    assert!(
        done.stderr.contains("kubernetes.na\\u{1b}]0;me"),
        "{}",
        done.stderr
    );
    let harmful = |c: char| c.is_control() && c != '\n';
    assert!(!done.stderr.contains(harmful), "{:?}", done.stderr);
}

#[test]
fn a_file_of_variables_that_can_not_be_read_is_not_shown() {
    let there = Surroundings::new();
    let file = there.path("work/a.env");
    std::fs::write(
        &file,
        "A=1\nKEY=\"-----BEGIN PRIVATE KEY-----\nMIIEhunter2+/=\n-----END PRIVATE KEY-----\"\n",
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let done = there.run(&["--env-file", path], "echo ran");
    assert_eq!((done.code, done.out()), (Some(2), ""), "{}", done.stderr);
    assert!(
        done.stderr.contains(&format!("--env-file {path}:3: ")),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("over several lines"), "{}", done.stderr);
    assert!(!done.stderr.contains("hunter2"), "{}", done.stderr);
}

/// `$(podbay key demo)` goes into a header: whatever goes wrong, standard output holds nothing that is no key.
#[test]
fn a_key_that_can_not_be_had_is_no_output() {
    let there = Surroundings::new();
    let refused = |args: &[&str], code: i32, told: &str| {
        let done = finish(there.podbay(args));
        assert_eq!(
            (done.code, done.out()),
            (Some(code), ""),
            "{args:?}: {}",
            done.stderr
        );
        assert!(done.stderr.contains(told), "{args:?}: {}", done.stderr);
    };
    refused(&["key"], 2, "<SESSION>");
    refused(&["key", "demo", "other"], 2, "unexpected argument 'other'");
    refused(
        &["key", "demo", "--backend", "local"],
        125,
        "session \"demo\" not found on this machine",
    );
    refused(&["key", "demo"], 125, ".kube/config");
    // With a cluster, which nothing is asked of for the first two.
    std::fs::create_dir(there.path("home/.kube")).unwrap();
    std::fs::write(there.path("home/.kube/config"), UNREACHABLE).unwrap();
    refused(&["key", ""], 2, "a session id must not be empty");
    refused(&["key", "a\nb"], 2, "must not hold control characters");
    refused(&["key", "demo"], 125, "[AgentRuntimeUnavailableError]");
}
