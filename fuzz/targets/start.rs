//! Bodies of `POST /start`, which any client may send.

#![no_main]

use libfuzzer_sys::fuzz_target;
use podbay_config::Config;
use podbay_exec_proxy::api::fuzzing::{SECRET, start, words};
use podbay_fuzz::start_model::{Body, quoted};
use podbay_manifests::{Launch, SessionSpec};
use secrecy::ExposeSecret as _;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        command(text);
    }
    for on_this_machine in [false, true] {
        body(data, on_this_machine);
    }
});

/// Words that are quoted, as a shell has it, are the same words.
fn command(text: &str) {
    if let Some(split) = words(text) {
        assert_eq!(words(&quoted(&split)), Some(split));
    }
    let whole = [text.to_owned()];
    assert_eq!(words(&quoted(&whole)).as_deref(), Some(&whole[..]));
}

fn body(data: &[u8], on_this_machine: bool) {
    let model = Body::read(data);
    let asked = match start(data, on_this_machine) {
        Ok(asked) => asked,
        Err((status, detail)) => {
            assert!(status == 422 && !detail.is_empty(), "{status} {detail}");
            return;
        }
    };
    // What is let in is an object with an id and an image that mean something.
    let model = model.expect("a body that is no start was taken");
    assert_eq!(asked.session_id, model.session_id);
    if on_this_machine {
        assert_eq!((model.image.as_str(), &asked.request.image), ("host", &None));
    } else {
        assert_eq!(asked.request.image.as_deref(), Some(model.image.as_str()));
    }
    // Each value of the environment arrives as it was written; the session's key is nobody's choice.
    for (name, value) in &asked.request.env {
        let value = value.expose_secret();
        match model.environment.get(name) {
            Some(written) => assert_eq!(value, written, "{name}"),
            None => assert!(
                value == SECRET || (on_this_machine && name == "OH_VSCODE_PORT"),
                "{name}"
            ),
        }
    }
    for (name, value) in &model.environment {
        let is_key = ["SESSION_API_KEY", "OH_SESSION_API_KEYS_0"].contains(&name.as_str());
        let is_ours = on_this_machine && name == "OH_VSCODE_PORT";
        let there = asked.request.env.get(name).map(|value| value.expose_secret());
        assert!(is_ours || there == (!is_key).then_some(value.as_str()), "{name}");
    }
    if let Some(Launch::Program(argv)) = &asked.request.launch {
        assert!(!argv.is_empty());
        if let Some(listed) = &model.argv {
            assert_eq!(argv, listed);
        }
    }
    assert!(
        asked
            .request
            .resource_factor
            .is_none_or(|factor| [2, 4, 8].contains(&factor))
    );
    // Only what says so is public, and nothing else is a label.
    let is_public = model.public && asked.request.labels.len() == 1;
    assert!(is_public || asked.request.labels.is_empty());
    // A field that nobody knows changes nothing.
    let mut more = model.fields.clone();
    more.insert("zzz_unknown".to_owned(), Value::Bool(true));
    let again = start(Value::Object(more).to_string().as_bytes(), on_this_machine);
    assert_eq!(format!("{:?}", again.unwrap()), format!("{asked:?}"));
    // It is a session, or it is said why it can't be one.
    if let Ok(id) = asked.session_id.parse() {
        let _ = SessionSpec::validate(id, "default", &Config::default(), asked.request);
    }
}
