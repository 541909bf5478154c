//! Sessions that earlier versions made: every command gives the words and codes that the last version with records of schema
//! version 2 gave. How fixtures and answers were made is told in `README.md`.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(clippy::panic, reason = "tests fail by panicking")]

mod answers;
mod fixture;

use answers::COMMANDS;
use fixture::{Fixture, State};
use serde_json::{Map, Value};

const FIXTURES: [Fixture; 10] = [
    Fixture::new("v1-plain", include_str!("fixtures/v1-plain.json"), State::Running),
    Fixture::new(
        "v1-running",
        include_str!("fixtures/v1-persistent.json"),
        State::Running,
    ),
    Fixture::new(
        "v1-paused",
        include_str!("fixtures/v1-persistent.json"),
        State::Paused,
    ),
    Fixture::new(
        "v1-lost",
        include_str!("fixtures/v1-persistent.json"),
        State::Ended,
    ),
    Fixture::new("v2-plain", include_str!("fixtures/v2-plain.json"), State::Running),
    Fixture::new(
        "v2-running",
        include_str!("fixtures/v2-running.json"),
        State::Running,
    ),
    Fixture::new(
        "v2-paused",
        include_str!("fixtures/v2-paused.json"),
        State::AsItIs,
    ),
    Fixture::new("v2-lost", include_str!("fixtures/v2-lost.json"), State::Ended),
    Fixture::new("v2-job", include_str!("fixtures/v2-job.json"), State::Running),
    Fixture::new(
        "v2-job-paused",
        include_str!("fixtures/v2-job-paused.json"),
        State::AsItIs,
    ),
];

/// What the version that made the fixtures answered.
const ANSWERS: &str = include_str!("answers.json");

/// Set to a file, the answers of the version under test are written there.
const RECORD: &str = "PODBAY_RECORD_ANSWERS";

#[tokio::test(start_paused = true)]
async fn each_command_answers_on_each_earlier_session_as_it_did() {
    let mut given = Map::new();
    for fixture in FIXTURES {
        let mut answers = Map::new();
        for command in COMMANDS {
            let cluster = fixture.load().await;
            answers.insert(command.to_owned(), answers::answer(command, &cluster).await);
        }
        given.insert(fixture.name.to_owned(), Value::Object(answers));
    }
    if let Some(file) = std::env::var_os(RECORD) {
        std::fs::write(file, serde_json::to_string_pretty(&given).unwrap() + "\n").unwrap();
        return;
    }
    let expected: Map<String, Value> = serde_json::from_str(ANSWERS).unwrap();
    assert_eq!(given.len(), expected.len());
    for (fixture, answers) in expected {
        for command in COMMANDS {
            let (given, expected) = (&given[&fixture][command], &answers[command]);
            assert!(
                holds(given, expected),
                "{command} on {fixture}: {given:#}
and not {expected:#}"
            );
        }
    }
}

/// Whether an answer says all that is expected of it. Fields may be added.
fn holds(given: &Value, expected: &Value) -> bool {
    match (given, expected) {
        (Value::Object(given), Value::Object(expected)) => expected
            .iter()
            .all(|(field, expected)| given.get(field).is_some_and(|given| holds(given, expected))),
        (Value::Array(given), Value::Array(expected)) => {
            given.len() == expected.len()
                && given
                    .iter()
                    .zip(expected)
                    .all(|(given, expected)| holds(given, expected))
        }
        _ => given == expected,
    }
}
