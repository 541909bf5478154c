//! The protocol of processes: what is asked for, what is told, the frames of outputs, and standard input at offsets.
//!
//! The first byte chooses: `s` and a specification, `m` and another message, `f` and frames, `i` and steps of who writes a standard
//! input, a line each: `OFFSET+LENGTH` writes, `r` lets the process read, `c` closes, anything else waits.

#![no_main]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use podbay_agent::process::fuzzing::{Played, launch};
use podbay_agent::process::{MARK, ProcessSettings, StdinError};
use podbay_fuzz::frame_model;
use podbay_fuzz::runtime::with_clock;
use podbay_fuzz::script::{Script, number, pattern};
use podbay_protocol::agent::process::{Acknowledgement, ProcessList, SignalRequest};
use podbay_protocol::agent::terminal::{TerminalControl, TerminalEvent};
use podbay_protocol::agent::{AgentError, ServerInfo};
use podbay_protocol::{EndRecord, ProcessInfo, ProcessSpec, Signal};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((b's', body)) => specification(body),
        Some((b'm', body)) => message(body),
        Some((b'f', bytes)) => frame_model::check(bytes),
        Some((b'i', steps)) => with_clock(standard_input(&Script::new(steps))),
        _ => {}
    }
});

/// It is refused for a reason, or the supervisor is told to start what was asked for.
fn specification(body: &[u8]) {
    let Ok(spec) = serde_json::from_slice::<ProcessSpec>(body) else {
        return;
    };
    comes_back(&spec);
    let mut settings = ProcessSettings::default();
    settings.environment = vec![("A".into(), "sandbox".into()), ("B".into(), "sandbox".into())];
    settings.directory = Some(PathBuf::from("/w"));
    settings.mark = "m".to_owned();
    let launched = match launch(&spec, &settings) {
        Ok(launched) => launched,
        Err(reason) => {
            assert!(is_wrong(&spec) || is_on_the_edge(&spec), "{reason}: {spec:?}");
            return;
        }
    };
    assert!(!is_wrong(&spec) || is_on_the_edge(&spec), "{spec:?}");
    let mut argv: Vec<OsString> = Vec::new();
    if let Some(text) = &spec.shell {
        argv.extend(["/bin/sh", "-c", text, "sh"].map(OsString::from));
    }
    argv.extend(spec.argv.iter().map(OsString::from));
    assert_eq!(launched.argv, argv);
    let directory = spec.directory.clone().unwrap_or_else(|| "/w".to_owned());
    assert_eq!(launched.directory, Some(OsString::from(directory)));
    let given: Vec<&str> = launched
        .environment
        .iter()
        .map(|variable| variable.to_str().expect("text, as all that was given"))
        .collect();
    let (mark, given) = given.split_last().expect("the mark at least");
    assert_eq!(*mark, format!("{MARK}=m/{}", spec.id));
    // A name has no "=" in it, so the first one ends it.
    let given: BTreeMap<&str, &str> = given.iter().filter_map(|text| text.split_once('=')).collect();
    assert_eq!(
        given.len() + 1,
        launched.environment.len(),
        "a name is there twice"
    );
    for (name, value) in &given {
        let expected = spec.environment.get(name).or(match *name {
            "A" | "B" => Some("sandbox"),
            "PATH" => Some("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            "TERM" if spec.terminal.is_some() => Some("xterm"),
            _ => None,
        });
        assert_eq!(Some(*value), expected, "{name}");
    }
    let asked = spec.environment.iter().map(|(name, _)| name);
    for name in asked.chain(["A", "B", "PATH"]).filter(|name| *name != MARK) {
        assert!(given.contains_key(name), "{name} is missing");
    }
    assert_eq!(launched.timeout.is_some(), spec.timeout_seconds.is_some());
}

/// Whether there is a reason to refuse it.
fn is_wrong(spec: &ProcessSpec) -> bool {
    let mut texts: Vec<&str> = spec.argv.iter().map(String::as_str).collect();
    texts.extend(spec.shell.as_deref());
    texts.extend(spec.directory.as_deref());
    texts.extend(spec.environment.iter().flat_map(|(name, value)| [name, value]));
    let is_no_name = |name: &str| name.is_empty() || name.contains('=');
    let is_no_id = |id: i64| !(0..=4_294_967_294).contains(&id);
    (spec.shell.is_none() && spec.argv.first().is_none_or(String::is_empty))
        || texts.iter().any(|text| text.contains('\0'))
        || spec.environment.iter().any(|(name, _)| is_no_name(name))
        || (spec.user.is_some() && spec.user_name.is_some())
        || spec
            .user
            .is_some_and(|user| is_no_id(user.uid) || user.gid.is_some_and(is_no_id))
        || spec
            .timeout_seconds
            .is_some_and(|seconds| !(seconds > 0.0 && seconds <= 3_153_600_000.0))
}

/// Whether its time-out is less than the clock can tell.
fn is_on_the_edge(spec: &ProcessSpec) -> bool {
    spec.timeout_seconds
        .is_some_and(|seconds| seconds > 0.0 && seconds < 1e-8)
}

/// What is read is written as it was.
fn message(body: &[u8]) {
    let Some((kind, body)) = body.split_first() else {
        return;
    };
    match kind % 10 {
        0 => read::<EndRecord>(body),
        1 => read::<ProcessInfo>(body),
        2 => read::<ProcessList>(body),
        3 => read::<Acknowledgement>(body),
        4 => read::<SignalRequest>(body),
        5 => read::<TerminalControl>(body),
        6 => read::<TerminalEvent>(body),
        7 => read::<AgentError>(body),
        8 => read::<ServerInfo>(body),
        _ => signal(body),
    }
}

fn read<T: DeserializeOwned + Serialize + Debug>(body: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(body) {
        comes_back(&value);
    }
}

fn signal(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if let Ok(signal) = text.parse::<Signal>() {
        assert!((1..=64).contains(&signal.number()), "{text:?}");
        assert_eq!(Signal::try_from(signal.number()), Ok(signal));
        assert_eq!(signal.number().to_string().parse(), Ok(signal));
    }
}

/// What is written of it is read as the same.
fn comes_back<T: DeserializeOwned + Serialize + Debug>(value: &T) {
    let text = serde_json::to_string(value).expect("text, numbers and lists");
    let again: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let tree = |value: &T| serde_json::to_value(value).expect("text, numbers and lists");
    assert!(is_alike(&tree(value), &tree(&again)), "{value:?}\n{again:?}");
}

/// Whether two trees say the same; numbers with a fraction may differ by what their texts leave out.
fn is_alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let (one, other) = (
                one.as_f64().unwrap_or_default(),
                other.as_f64().unwrap_or_default(),
            );
            (one - other).abs() <= one.abs() * 1e-12
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, value)| other.get(name).is_some_and(|other| is_alike(value, other)))
        }
        _ => one == other,
    }
}

/// Nothing is written twice, and nothing is left out, whatever is repeated, overlaps or comes too early.
async fn standard_input(script: &Script<'_>) {
    /// More than a write waits for another one.
    const PATIENCE: Duration = Duration::from_secs(5);
    let spec = ProcessSpec::new("p".parse().expect("an id"), vec!["x".to_owned()]);
    let mut process = Played::start(&spec, &ProcessSettings::default());
    let (mut arrived, mut is_closed) = (Vec::new(), false);
    for step in script.steps().take(64) {
        let taken = process.info().stdin.expect("it has an input");
        if let Some(at) = step.iter().position(|&byte| byte == b'+') {
            let (offset, length) = (number(&step[..at]), number(&step[at..]));
            let until = (offset + length) as u64;
            let write = process.write_stdin(offset as u64, pattern(offset, length).into());
            let answer = tokio::time::timeout(PATIENCE, write).await;
            let now = process.info().stdin.expect("it has an input");
            match answer {
                // The process reads nothing meanwhile: some of it may have been taken.
                Err(_) => assert!(!is_closed && (taken..=until).contains(&now)),
                Ok(Ok(told)) => {
                    assert_eq!((told, now), (taken.max(until), taken.max(until)));
                    assert!(!is_closed || until <= taken);
                }
                Ok(Err(StdinError::Gap { taken: told, .. })) => {
                    assert!(offset as u64 > taken && told == taken && now == taken);
                }
                Ok(Err(StdinError::Closed { taken: told, .. })) => {
                    assert!(is_closed && until > taken && told == taken && now == taken);
                }
                Ok(Err(other)) => panic!("{other}"),
            }
        } else if step == b"c" {
            process.close_stdin().await;
            is_closed = true;
        } else if step == b"r" {
            arrived.extend(process.read_stdin().unwrap_or_default());
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    process.close_stdin().await;
    let taken = process.info().stdin.expect("it has an input");
    for _ in 0..1000 {
        match process.read_stdin() {
            None => {
                assert_eq!(arrived.len() as u64, taken);
                assert_eq!(arrived, pattern(0, arrived.len()));
                return;
            }
            Some(bytes) => arrived.extend(bytes),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the input has no end");
}
