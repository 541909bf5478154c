//! Loading a configuration: variables and flags line by line, then, after a line `---`, the TOML file.
//!
//! [`SECRET`] stands in an input for what nobody may see. Where it gets into something that is no secret (a name,
//! the value of an ordinary setting) it may be shown, and nothing is claimed.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use podbay_config::{Config, ConfigError, Fault, Origin, Place, Setting, Warning, settings};
use secrecy::ExposeSecret as _;

/// What must not be seen. Long and odd enough to come from nowhere else.
const SECRET: &str = "hunter2q";

/// The file of all runs of this process; `fuzz/run` puts it into memory and removes it.
static FILE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory for the file");
    let path = directory.path().join("config.toml");
    (directory, path)
});

/// What an input says.
#[derive(Debug, Default)]
struct Sources {
    variables: BTreeMap<String, OsString>,
    flags: Vec<(String, String)>,
    file: Option<String>,
}

impl Sources {
    /// `NAME=value` is a variable, `--key=value` a flag. Only the values of secret settings keep the secret.
    fn read(text: &str) -> Self {
        let (head, file) = match text.split_once("---\n") {
            Some((head, file)) => (head, Some(file.to_owned())),
            None => (text, None),
        };
        let mut sources = Self {
            file,
            ..Self::default()
        };
        for (name, value) in head.lines().filter_map(|line| line.split_once('=')) {
            let name = name.replace(SECRET, "");
            let is_secret = settings().iter().filter(|setting| setting.secret).any(|setting| {
                setting.environment.contains(&name) || name.strip_prefix("--") == Some(&setting.key)
            });
            let value = if is_secret {
                value.to_owned()
            } else {
                value.replace(SECRET, "")
            };
            match name.strip_prefix("--") {
                Some(key) => sources.flags.push((key.to_owned(), value)),
                None if name.contains('\0') => {}
                None => {
                    sources.variables.insert(name, value.into());
                }
            }
        }
        sources
    }

    fn load(&self) -> Result<Config, ConfigError> {
        let mut loader = Config::loader().search(false).environment(self.variables.clone());
        if let Some(file) = &self.file {
            std::fs::write(&FILE.1, file).expect("the file can be written");
            loader = loader.file(&FILE.1);
        }
        for (key, value) in &self.flags {
            loader = loader.flag(key, format!("--{key}"), value.as_str());
        }
        loader.load()
    }

    /// Where the value of a setting must be from; none if only the file may have it. A variable without a prefix of ours may be meant
    /// for another program: one of those that `config` warns of counts as not set.
    fn origin(&self, setting: &Setting, config: &Config) -> Option<Origin> {
        let is_ignored = |variable: &String| {
            config.warnings().iter().any(
                |warning| matches!(warning, Warning::UnreadableVariable { name, .. } if name == variable),
            )
        };
        if self.flags.iter().any(|(key, _)| *key == setting.key) {
            let name = format!("--{}", setting.key);
            return Some(Origin::Flag { name });
        }
        let name = setting.environment.iter().find(|name| {
            let value = self.variables.get(*name);
            value.is_some_and(|value| !value.is_empty()) && !is_ignored(name)
        })?;
        Some(Origin::Environment { name: name.clone() })
    }

    /// Whether the secret stands only where it must not be shown from.
    fn keeps_secret(&self) -> bool {
        let in_file = match &self.file {
            None => false,
            // What is no TOML is not quoted, wherever the secret stands.
            Some(text) => text
                .parse::<toml::Table>()
                .is_ok_and(|table| is_exposed(&mut Vec::new(), &toml::Value::Table(table))),
        };
        let in_names = self
            .variables
            .values()
            .filter_map(|value| value.to_str())
            .chain(self.flags.iter().map(|(_, value)| value.as_str()))
            .filter_map(|value| serde_json::from_str::<serde_json::Value>(value).ok())
            .any(|json| {
                json.as_object()
                    .is_some_and(|object| object.keys().any(|key| key.contains(SECRET)))
            });
        !in_file && !in_names
    }
}

/// Whether the secret is in a name, or in the value of a setting that is none.
fn is_exposed(path: &mut Vec<String>, value: &toml::Value) -> bool {
    match value {
        toml::Value::Table(table) => table.iter().any(|(name, value)| {
            path.push(name.clone());
            let is_exposed = name.contains(SECRET) || is_exposed(path, value);
            path.pop();
            is_exposed
        }),
        other if other.to_string().contains(SECRET) => {
            let path = path.strip_prefix(&["core".to_owned()]).unwrap_or(path);
            settings()
                .iter()
                .any(|setting| !setting.secret && path.join(".").starts_with(&setting.key))
        }
        _ => false,
    }
}

fn check_place(place: &Place, lines: usize) {
    match (&place.origin, place.line) {
        (Origin::Default, _) => panic!("a default is wrong"),
        (Origin::File { .. }, Some(line)) => assert!((1..=lines).contains(&line), "{place}"),
        (Origin::File { .. }, None) => panic!("no line: {place}"),
        (Origin::Environment { name } | Origin::Flag { name }, line) => {
            assert!(line.is_none() && !name.is_empty(), "{place}");
        }
    }
    assert!(!place.to_string().is_empty());
}

fn check_fault(fault: &Fault, lines: usize) {
    assert!(!fault.to_string().is_empty());
    match fault {
        Fault::Syntax { line, column, .. } => {
            assert!((1..=lines).contains(line) && *column >= 1, "{fault}");
        }
        Fault::NotASection { place, .. }
        | Fault::UnknownKey { place, .. }
        | Fault::InvalidValue { place, .. }
        | Fault::Alone { place, .. } => {
            check_place(place, lines);
            assert!(fault.to_string().contains(&place.to_string()), "{fault}");
        }
        // The other one may have its default.
        Fault::NotMore {
            place, least_place, ..
        } => {
            let given = [place, least_place]
                .into_iter()
                .filter(|place| place.origin != Origin::Default);
            assert!(
                given.inspect(|place| check_place(place, lines)).count() > 0,
                "{fault}"
            );
        }
        // The file was written just before.
        Fault::UnreadableFile { .. } => panic!("{fault}"),
        _ => {}
    }
}

fn check_config(config: &Config, sources: &Sources) {
    for setting in settings() {
        let origin = config.origin(&setting.key);
        match sources.origin(setting, config) {
            Some(expected) => assert_eq!(origin, expected, "{}", setting.key),
            None => assert!(
                origin == Origin::Default
                    || (sources.file.is_some() && matches!(origin, Origin::File { .. })),
                "{} is from {origin}",
                setting.key
            ),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let sources = Sources::read(text);
    let loaded = sources.load();
    let shown = match &loaded {
        Ok(config) => {
            check_config(config, &sources);
            let warnings: String = config.warnings().iter().map(ToString::to_string).collect();
            format!("{config:?}\n{config:#?}\n{warnings}")
        }
        Err(error) => {
            assert_eq!(error.code(), "config_invalid");
            assert!(!error.faults().is_empty());
            let lines = sources
                .file
                .as_ref()
                .map_or(0, |file| file.matches('\n').count() + 1);
            error.faults().iter().for_each(|fault| check_fault(fault, lines));
            format!("{error}\n{error:?}\n{error:#?}")
        }
    };
    if shown.contains(SECRET) && sources.keeps_secret() {
        // Names of the map that came out are not secret.
        let variables = loaded
            .as_ref()
            .map(|config| &config.sandbox.runtime_startup_env_vars);
        let names: BTreeSet<&String> = variables.iter().flat_map(|map| map.keys()).collect();
        assert!(
            names.iter().any(|name| name.contains(SECRET)),
            "the secret is shown: {shown}"
        );
    }

    // Each load costs a millisecond; one input in four shows it as well.
    if !data.len().is_multiple_of(4) {
        return;
    }
    let again = sources.load();
    assert_eq!(format!("{loaded:?}"), format!("{again:?}"));
    if let (Ok(first), Ok(again)) = (&loaded, &again) {
        let exposed = |config: &Config| -> Vec<String> {
            let variables = config.sandbox.runtime_startup_env_vars.values();
            variables.map(|value| value.expose_secret().to_owned()).collect()
        };
        assert_eq!(exposed(first), exposed(again));
    }
});
