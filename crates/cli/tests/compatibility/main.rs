//! What users, scripts and programs know Podbay by is still there: commands, flags, settings, variables, fields of JSON, codes,
//! causes, exit codes, names of objects, labels. `names.txt` is their list.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use podbay_protocol::outcome::{
    EXIT_CANNOT_EXECUTE, EXIT_FAILED, EXIT_NOT_FOUND, EXIT_SIGNAL_BASE, EXIT_TIMED_OUT,
};
use podbay_protocol::{Blame, Cause, ErrorCode, Retry, RuntimeStatus, StartPhase};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const NAMES: &str = include_str!("names.txt");

/// The names of some kinds, as lines of the list.
fn listed(kinds: &[&str]) -> BTreeSet<String> {
    let found: BTreeSet<_> = NAMES
        .lines()
        .filter(|line| kinds.contains(&line.split(' ').next().unwrap_or_default()))
        .map(str::to_owned)
        .collect();
    assert!(!found.is_empty(), "{kinds:?}");
    found
}

/// Checks that nothing of `listed` is missing in what there is.
fn all_there(listed: BTreeSet<String>, there: &BTreeSet<String>) {
    let missing: Vec<_> = listed.into_iter().filter(|name| !there.contains(name)).collect();
    assert!(missing.is_empty(), "no longer there: {missing:#?}");
}

/// What the program prints, with no cluster and no configuration to be found.
fn printed(args: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_podbay"))
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", directory.path())
        .env("TMPDIR", directory.path())
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The first words of the lines of a help's section.
fn words_of_section<'a>(help: &'a str, title: &str) -> impl Iterator<Item = &'a str> {
    let section = help.split_once(title).map_or("", |(_, rest)| rest);
    section
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|word| !word.is_empty() && *word != "help")
}

/// Commands and flags, by the help of each command.
fn of_the_command_line() -> BTreeSet<String> {
    let mut there = BTreeSet::new();
    let mut left: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(command) = left.pop() {
        let args: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = printed(&args);
        let name = ["podbay".to_owned()]
            .into_iter()
            .chain(command.clone())
            .collect::<Vec<_>>()
            .join(" ");
        there.insert(format!("command {name}"));
        for line in help.lines() {
            let words = line.split_whitespace().take(2);
            let flags = words.map(|word| word.trim_end_matches(',').trim_end_matches("..."));
            let flags = flags.map(|flag| flag.split(['=', '[']).next().unwrap_or_default());
            for flag in flags.filter(|flag| flag.starts_with('-')) {
                there.insert(format!("flag {name} {flag}"));
            }
        }
        for word in words_of_section(&help, "Commands:") {
            let mut command = command.clone();
            command.push(word.to_owned());
            left.push(command);
        }
    }
    there
}

#[test]
fn commands_and_flags() {
    all_there(listed(&["command", "flag"]), &of_the_command_line());
}

#[test]
fn settings_and_variables() {
    let mut there = BTreeSet::new();
    let mut setting = String::new();
    for line in podbay_config::reference_markdown().lines() {
        if let Some(key) = line.strip_prefix("### `") {
            key.trim_end_matches('`').clone_into(&mut setting);
            there.insert(format!("setting {setting}"));
        } else if let Some(names) = line.strip_prefix("- Environment: ") {
            let names = names.split('`').skip(1).step_by(2);
            there.extend(names.map(|name| format!("variable {setting} {name}")));
        }
    }
    all_there(listed(&["setting", "variable"]), &there);
}

/// Checks that each name of a kind is read as a value of its type.
fn each_is_read<T: DeserializeOwned>(kind: &str) {
    for line in listed(&[kind]) {
        let name = line.strip_prefix(kind).unwrap().trim_start();
        assert!(serde_json::from_value::<T>(json!(name)).is_ok(), "{line}");
    }
}

#[test]
fn codes_causes_and_the_other_words_of_programs() {
    each_is_read::<ErrorCode>("code");
    each_is_read::<Cause>("cause");
    each_is_read::<Blame>("blame");
    each_is_read::<Retry>("retry");
    each_is_read::<StartPhase>("phase");
    each_is_read::<RuntimeStatus>("status");
}

#[test]
fn exit_codes() {
    let there = [
        ("EXIT_TIMED_OUT", EXIT_TIMED_OUT),
        ("EXIT_FAILED", EXIT_FAILED),
        ("EXIT_CANNOT_EXECUTE", EXIT_CANNOT_EXECUTE),
        ("EXIT_NOT_FOUND", EXIT_NOT_FOUND),
        ("EXIT_SIGNAL_BASE", EXIT_SIGNAL_BASE),
    ]
    .map(|(name, code)| format!("exit {name} {code}"));
    all_there(listed(&["exit"]), &there.into());
}

/// The names of an object's fields, and of those in them.
fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                fields(value, &path, found);
                found.insert(format!("json run {path}"));
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| fields(item, &format!("{path}[]"), found)),
        _ => {}
    }
}

/// Those of `ls` and `show` are looked for beside `show` itself.
#[test]
fn fields_of_the_record_of_a_run() {
    let mut there = BTreeSet::new();
    for command in [
        &["sh", "-c", "echo out; echo err >&2"][..],
        &["sh", "-c", "exit 3"],
        &["sh", "-c", "kill -9 $$"],
        &["/nonexistent"],
    ] {
        let args = [&["run", "--backend", "embedded", "-o", "json", "--"], command].concat();
        fields(&serde_json::from_str(&printed(&args)).unwrap(), "", &mut there);
    }
    let listed = listed(&["json"])
        .into_iter()
        .filter(|line| line.starts_with("json run "));
    all_there(listed.collect(), &there);
}

#[test]
fn names_of_objects_labels_and_annotations() {
    let mut there = BTreeSet::new();
    for id in ["demo", "Demo"] {
        let args = [
            "render",
            id,
            "--image",
            "debian:12",
            "--server=openhands",
            "--vscode",
            "--port",
            "3000",
            "--persistent",
            "--network",
            "none",
            "--env",
            "A=1",
            "--label",
            "team=x",
            "-o",
            "json",
        ];
        let objects: Value = serde_json::from_str(&printed(&args)).unwrap();
        for object in objects["items"].as_array().unwrap() {
            let (kind, metadata) = (object["kind"].as_str().unwrap(), &object["metadata"]);
            there.insert(format!(
                "object {id} {kind} {}",
                metadata["name"].as_str().unwrap()
            ));
            for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
                there.insert(format!("label {kind} {key}={}", value.as_str().unwrap()));
            }
            for key in metadata["annotations"].as_object().into_iter().flatten() {
                there.insert(format!("annotation {kind} {}", key.0));
            }
        }
    }
    all_there(listed(&["object", "label", "annotation"]), &there);
}
