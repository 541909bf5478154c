//! The table of settings: what the declarations say, as data for documentation and lookups.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::config::Config;
use crate::declaration::Group;
use crate::decode::SettingType;
use crate::mismatch::Mismatch;
use crate::raw::Raw;
use crate::rule::Rule;
use crate::toml_text;

/// One setting as declared.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Setting {
    /// Where it stands in the file.
    pub section: Section,
    /// The key inside its section: `namespace`.
    pub name: &'static str,
    /// The full key: `kubernetes.namespace`; at the top level just the name.
    pub key: String,
    /// The type in words: "text", "whole number".
    pub type_name: &'static str,
    /// What a number or a text counts, where that is not plain: "seconds".
    pub unit: Option<&'static str>,
    /// The default as it would be written in the file; `None` when the setting has no value by default.
    pub default: Option<String>,
    /// Which values are accepted.
    pub allowed: &'static str,
    /// Environment variables that set it, the stronger first.
    pub environment: Vec<String>,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// What it does.
    pub doc: String,
    /// Whether Podbay acts on it.
    pub effect: Effect,
    /// The default as JSON.
    pub(crate) default_json: Option<Value>,
    /// What a file may hold, in JSON Schema.
    pub(crate) schema: Value,
    /// What is wrong with a value.
    pub(crate) faults: fn(Raw) -> Vec<Mismatch>,
}

/// Whether Podbay acts on a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It has a field in the configuration, and something depends on it.
    Used,
    /// It is accepted, so that a file of OpenHands loads, and a source that sets it is warned of with this reason.
    Ignored(&'static str),
}

/// A section of the configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Outside any section, or, as OpenHands' files have it, inside `[core]`.
    TopLevel,
    /// `[kubernetes]`
    Kubernetes,
    /// `[sandbox]`
    Sandbox,
    /// `[podbay]`
    Podbay,
    /// `[agent]`
    Agent,
    /// `[serve]`
    Serve,
}

/// Every setting, in the order of the reference page.
pub fn settings() -> &'static [Setting] {
    static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
        let mut table = Vec::new();
        Config::declare(&mut table);
        table
    });
    &SETTINGS
}

pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    settings().iter().find(|setting| setting.key == key)
}

pub(crate) fn names_in(section: Section) -> impl Iterator<Item = &'static str> {
    settings()
        .iter()
        .filter(move |setting| setting.section == section)
        .map(|setting| setting.name)
}

impl Section {
    /// Its name in the file; `None` for the top level.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Section::TopLevel => None,
            Section::Kubernetes => Some("kubernetes"),
            Section::Sandbox => Some("sandbox"),
            Section::Podbay => Some("podbay"),
            Section::Agent => Some("agent"),
            Section::Serve => Some("serve"),
        }
    }

    /// The full key of a setting of this section.
    pub(crate) fn key(self, name: &str) -> String {
        match self.name() {
            Some(section) => format!("{section}.{name}"),
            None => name.to_owned(),
        }
    }

    /// What stands before the upper-case key in the environment, the stronger first. OpenHands makes its names as
    /// `UPPER(section)_UPPER(key)`, and `UPPER(key)` at the top level.
    pub(crate) fn environment_prefixes(self) -> &'static [&'static str] {
        match self {
            Section::TopLevel => &["PODBAY_", ""],
            Section::Kubernetes => &["PODBAY_KUBERNETES_", "OH_K8S_", "KUBERNETES_"],
            Section::Sandbox => &["PODBAY_SANDBOX_", "SANDBOX_"],
            Section::Podbay => &["PODBAY_"],
            // Not `AGENT_` too: those are OpenHands' own.
            Section::Agent => &["PODBAY_AGENT_"],
            Section::Serve => &["PODBAY_SERVE_"],
        }
    }
}

impl Setting {
    pub(crate) fn new<T: SettingType>(
        section: Section,
        name: &'static str,
        doc_lines: &[&str],
        rule: &Rule<T>,
        faults: fn(Raw) -> Vec<Mismatch>,
        default: &T,
    ) -> Setting {
        let upper = name.to_uppercase();
        let default_json = default.to_json().filter(|value| !value.is_null());
        let mut schema = T::schema();
        if let Some((least, most)) = rule.bounds {
            bound(&mut schema, least, most);
        }
        Setting {
            section,
            name,
            key: section.key(name),
            type_name: T::TYPE,
            unit: rule.unit,
            default: default_json.as_ref().map(toml_text::of),
            allowed: rule.allowed,
            environment: section
                .environment_prefixes()
                .iter()
                .map(|prefix| format!("{prefix}{upper}"))
                .collect(),
            secret: T::SECRET,
            doc: doc_lines
                .iter()
                .map(|line| line.trim())
                .collect::<Vec<_>>()
                .join("\n"),
            effect: Effect::Used,
            default_json,
            schema,
            faults,
        }
    }

    /// With a name in the environment that is stronger than all but the first.
    pub(crate) fn also(mut self, name: &str) -> Setting {
        self.environment.insert(1, name.to_owned());
        self
    }

    pub(crate) fn ignored(mut self, reason: &'static str) -> Setting {
        self.effect = Effect::Ignored(reason);
        self
    }

    /// Whether an environment variable of this setting has no prefix that says whose it is, so that it may be meant
    /// for another program.
    pub(crate) fn is_bare(&self, variable: &str) -> bool {
        self.section == Section::TopLevel && variable.eq_ignore_ascii_case(self.name)
    }
}

/// Puts the bounds of a number where the schema has the number.
fn bound(schema: &mut Value, least: u64, most: u64) {
    let number = match schema.get("anyOf") {
        Some(_) => &mut schema["anyOf"][0],
        None => schema,
    };
    number["minimum"] = json!(least);
    number["maximum"] = json!(most);
}
