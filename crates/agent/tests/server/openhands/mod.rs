//! The agent is asked what openhands-ai's own server was asked (`ask.py`), and answers the same; where it does not,
//! `differences.json` says why, and what it answers.

mod asking;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::client::Agent;
use asking::{Request, ask, make_files};

#[derive(Deserialize)]
struct Listed {
    files: BTreeMap<String, Value>,
    requests: Vec<Request>,
}

/// An answer of our own, and why it is not theirs.
#[derive(Deserialize)]
struct Difference {
    why: String,
    answer: Value,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_is_answered() {
    let listed: Listed = serde_json::from_str(include_str!("actions.json")).unwrap();
    let stock: BTreeMap<String, Value> = serde_json::from_str(include_str!("answers.json")).unwrap();
    let differences: BTreeMap<String, Difference> =
        serde_json::from_str(include_str!("differences.json")).unwrap();
    let agent = Agent::start_as(
        |_| {},
        |services, directory| {
            let mut settings = podbay_agent::action::ActionSettings::default();
            settings.directory = Some(directory.to_owned());
            settings.no_change_seconds = 2.0;
            settings.path = std::env::var("PATH").ok();
            services.with_actions(settings)
        },
    )
    .await;
    make_files(&listed.files, agent.directory.path());
    let (mut wrong, mut told) = (Vec::new(), BTreeMap::new());
    for request in &listed.requests {
        let name = &request.name;
        let answer = ask(&agent, request).await;
        let theirs = &stock[name];
        let is_theirs = match theirs.get("unstable").and_then(Value::as_array) {
            Some(given) => given.contains(&answer),
            None => *theirs == answer,
        };
        let difference = differences.get(name);
        match difference {
            None if !is_theirs => wrong.push(format!("{name}\n  theirs: {theirs}\n  ours:   {answer}")),
            Some(difference) if difference.answer != answer => {
                wrong.push(format!(
                    "{name}\n  said:   {}\n  ours:   {answer}",
                    difference.answer
                ));
            }
            Some(_) if is_theirs => wrong.push(format!("{name}\n  is no difference any more")),
            _ => {}
        }
        told.insert(name.clone(), answer);
    }
    for name in differences.keys() {
        assert!(told.contains_key(name), "nothing is asked that is called {name}");
    }
    assert!(differences.values().all(|difference| difference.why.len() > 20));
    // To enter what is to be different: `PODBAY_OPENHANDS_ANSWERS=FILE cargo test …`.
    if let Ok(path) = std::env::var("PODBAY_OPENHANDS_ANSWERS") {
        std::fs::write(path, serde_json::to_string_pretty(&told).unwrap()).unwrap();
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        listed.requests.len(),
        wrong.join("\n")
    );
    agent.ends().await;
}
