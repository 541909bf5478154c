//! The files made from the declarations: the schema and the example, and that all of them are committed as they are.

use crate::samples::{file_with, samples};
use crate::support::{load, values};
use jsonschema::Validator;
use podbay_config::{Config, ConfigError, Fault, example_toml, reference_markdown, schema, settings};
use serde_json::Value;

const OPENHANDS: &str = include_str!("data/openhands.config.toml");

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

fn json(text: &str) -> Value {
    let document: toml::Table = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    serde_json::to_value(document).unwrap()
}

/// Where a file is wrong, by the schema.
fn faults(text: &str) -> Vec<String> {
    validator()
        .iter_errors(&json(text))
        .map(|error| error.instance_path().to_string())
        .collect()
}

/// The example with every setting in force.
fn uncommented() -> String {
    example_toml()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting,
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn they_are_committed() {
    for (name, committed, generated) in [
        (
            "reference",
            include_str!("../../../../docs/configuration.md"),
            reference_markdown(),
        ),
        (
            "schema",
            include_str!("../../../../docs/podbay.schema.json"),
            format!("{:#}\n", schema()),
        ),
        (
            "example",
            include_str!("../../../../docs/podbay.example.toml"),
            example_toml(),
        ),
    ] {
        assert!(
            committed == generated,
            "stale: cargo run -p podbay-config --example reference {name}"
        );
    }
}

#[test]
fn the_schema_is_one() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(jsonschema::meta::is_valid(&schema));
    for setting in settings() {
        let section = match setting.section.name() {
            Some(section) => &schema["properties"][section],
            None => &schema,
        };
        let property = &section["properties"][setting.name];
        let description = property["description"].as_str().unwrap();
        assert!(description.starts_with(&setting.doc), "{}", setting.key);
        let ignored = matches!(setting.effect, podbay_config::Effect::Ignored(_));
        assert_eq!(property["deprecated"] == true, ignored, "{}", setting.key);
        assert_eq!(property["writeOnly"] == true, setting.secret, "{}", setting.key);
        assert_eq!(property.get("default").is_some(), setting.default.is_some());
    }
}

#[test]
fn files_that_load_are_valid() {
    for text in [
        OPENHANDS,
        &example_toml(),
        &uncommented(),
        &Config::default().to_toml(),
    ] {
        load(text, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(faults(text), [] as [String; 0]);
    }
    for sample in samples() {
        let text = file_with(sample.key, sample.good);
        // Words are read in any case, which a schema cannot say.
        if !["runtime", "kubernetes.pull_policy"].contains(&sample.key) {
            assert_eq!(faults(&text), [] as [String; 0], "{text}");
        }
    }
}

#[test]
fn a_bad_file_is_not() {
    let text = "debug = 'maybe'\nworkspace_mount_path_in_sandbox = 3\n[kubernetes]\nnamepsace = 'a'\n\
                profile = 'base'\nserver_port = 0\napp_ports = [65536.5]\nrun_as_user = 2147483648\n\
                tolerations = [{ keyy = 'a' }]\n[podbay]\nrequest_burst = 0\n[sandbox]\nclose_delay = true\n\
                [core]\nrun_as_openhands = 7";
    let mut found = faults(text);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "/core/run_as_openhands",
            "/debug",
            "/kubernetes",
            "/kubernetes/app_ports/0",
            "/kubernetes/profile",
            "/kubernetes/run_as_user",
            "/kubernetes/server_port",
            "/kubernetes/tolerations/0",
            "/podbay/request_burst",
            "/sandbox/close_delay",
            "/workspace_mount_path_in_sandbox",
        ]
    );
}

#[test]
fn the_example_loads_to_the_defaults() {
    for text in [example_toml(), uncommented()] {
        let config = load(&text, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(values(&config), values(&Config::default()));
    }
    let config = load(&uncommented(), &[]).unwrap();
    for entry in config.entries() {
        assert!(
            entry.place.line.is_some(),
            "{} is in the example",
            entry.setting.key
        );
    }
}

/// What the schema says of a number is what the loader does.
#[test]
fn bounds_are_those_of_the_loader() {
    let schema = schema();
    let mut bounded = 0;
    for setting in settings() {
        let section = match setting.section.name() {
            Some(section) => &schema["properties"][section],
            None => &schema,
        };
        let property = &section["properties"][setting.name];
        let number = property.get("anyOf").map_or(property, |choices| &choices[0]);
        let (Some(least), Some(most)) = (number["minimum"].as_i64(), number["maximum"].as_i64()) else {
            continue;
        };
        bounded += 1;
        for (value, taken) in [(least, true), (most, true), (least - 1, false), (most + 1, false)] {
            let text = file_with(&setting.key, &value.to_string());
            let wrong = load(&text, &[])
                .err()
                .iter()
                .flat_map(ConfigError::faults)
                .any(|fault| matches!(fault, Fault::InvalidValue { .. }));
            assert_eq!(wrong, !taken, "{text}");
        }
    }
    assert!(bounded > 20, "{bounded}");
}
