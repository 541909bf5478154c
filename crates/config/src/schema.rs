//! The JSON Schema of the file.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::openhands;
use crate::setting::{Effect, Section, Setting, settings};

/// The schema of the configuration file, in JSON Schema draft 2020-12, for editors that complete and check TOML by
/// one. It knows names, types, bounds and words; what only the whole tells is for the loader.
///
/// Unknown keys are forbidden where they are errors: in `[kubernetes]`, `[sandbox]` and `[podbay]`.
pub fn schema() -> Value {
    let mut properties = properties(Section::TopLevel);
    for name in openhands::SECTIONS {
        properties.insert(
            name.to_owned(),
            json!({ "description": "A section of OpenHands that is passed over." }),
        );
    }
    properties.insert(
        openhands::CORE.to_owned(),
        json!({
            "description": "Where OpenHands has the settings of the top level. Its other keys are passed over.",
            "type": "object",
            "properties": self::properties(Section::TopLevel),
        }),
    );
    for section in [
        Section::Kubernetes,
        Section::Sandbox,
        Section::Podbay,
        Section::Serve,
    ] {
        properties.insert(
            section.name().unwrap_or_default().to_owned(),
            json!({
                "type": "object",
                "properties": self::properties(section),
                "additionalProperties": false,
            }),
        );
    }
    // Open, because OpenHands has a section of this name.
    properties.insert(
        Section::Agent.name().unwrap_or_default().to_owned(),
        json!({ "type": "object", "properties": self::properties(Section::Agent) }),
    );
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of Podbay",
        "type": "object",
        "properties": properties,
    });
    // So that the text is the same where a crate beside this one has serde_json keep the order of insertion.
    schema.sort_all_objects();
    schema
}

fn properties(section: Section) -> Map<String, Value> {
    settings()
        .iter()
        .filter(|setting| setting.section == section)
        .map(|setting| (setting.name.to_owned(), property(setting)))
        .collect()
}

fn property(setting: &Setting) -> Value {
    let mut schema = setting.schema.clone();
    let unit = setting
        .unit
        .map(|unit| format!("Unit: {unit}. "))
        .unwrap_or_default();
    let mut description = format!("{}\n\n{unit}Allowed: {}.", setting.doc, setting.allowed);
    if let Effect::Ignored(reason) = setting.effect {
        // Writing to a String cannot fail.
        let _ = write!(description, "\n\nNo effect: {reason}.");
        schema["deprecated"] = json!(true);
    }
    schema["description"] = json!(description);
    if let Some(default) = &setting.default_json {
        schema["default"] = default.clone();
    }
    if setting.secret {
        schema["writeOnly"] = json!(true);
    }
    schema
}
