//! What a configuration holds, as data and as the text of a file.

use std::fmt::Write as _;

use serde_json::Value;

use crate::config::Config;
use crate::declaration::Group;
use crate::origin::{Origin, Place};
use crate::setting::{Effect, Setting, settings};
use crate::toml_text;

/// A setting with the value it has and where that is from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry {
    /// The setting.
    pub setting: &'static Setting,
    /// The value as it would be written in the file; `None` when there is none, or it is hidden.
    pub value: Option<String>,
    /// Whether there is a value that is secret and not shown.
    pub hidden: bool,
    /// Where the value is from.
    pub place: Place,
}

impl Config {
    /// Every setting that has an effect, in the order of the reference page.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.values().map(|(setting, value)| {
            let place = self.place(&setting.key);
            Entry {
                setting,
                hidden: setting.secret && value.is_none(),
                value: value.filter(|value| !value.is_null()).as_ref().map(toml_text::of),
                place,
            }
        })
    }

    /// The whole configuration as a file that loads to the same values. Defaults, secret values and what is not set
    /// are comments.
    pub fn to_toml(&self) -> String {
        self.render(false)
    }

    /// As [`Config::to_toml`], with a comment above each setting that tells where its value is from.
    pub fn to_toml_with_origins(&self) -> String {
        self.render(true)
    }

    fn render(&self, with_origins: bool) -> String {
        let mut text = String::new();
        let mut section = None;
        for Entry {
            setting,
            value,
            hidden,
            place,
        } in self.entries()
        {
            if section != Some(setting.section) {
                section = Some(setting.section);
                if let Some(name) = setting.section.name() {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "\n[{name}]");
                }
            }
            if with_origins {
                let _ = writeln!(text, "# {}", place.to_string().replace(char::is_control, "?"));
            }
            let name = setting.name;
            let _ = match value {
                // Set in a file, a default would be no default any more: that a claim's size is given asks for a claim.
                Some(value) if place.origin == Origin::Default => writeln!(text, "# {name} = {value}"),
                Some(value) => writeln!(text, "{name} = {value}"),
                None if hidden => writeln!(text, "# {name} = *** (secret)"),
                None => writeln!(text, "# {name} is not set"),
            };
        }
        text
    }

    /// The value of a setting as it would be written in the file.
    pub(crate) fn value_text(&self, key: &str) -> Option<String> {
        self.values()
            .find(|(setting, _)| setting.key == key)
            .and_then(|(_, value)| value.filter(|value| !value.is_null()))
            .as_ref()
            .map(toml_text::of)
    }

    fn values(&self) -> impl Iterator<Item = (&'static Setting, Option<Value>)> {
        let mut values = Vec::new();
        Group::values(self, &mut values);
        settings()
            .iter()
            .filter(|setting| setting.effect == Effect::Used)
            .zip(values)
    }
}
