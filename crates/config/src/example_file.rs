//! The example file.

use std::fmt::Write as _;

use crate::setting::{Effect, Section, settings};

const INTRODUCTION: &str = "\
# Every setting of Podbay with its default; \"\" is \"not set\". Remove the \"#\" before a key to set it.
# What each does, accepts and is called in the environment: docs/configuration.md.
# Generated from the declarations in crates/config: cargo run -p podbay-config --example reference example
";

/// A configuration file with every setting that has an effect, commented out with its default: `docs/podbay.example.toml`.
pub fn example_toml() -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut section = Section::TopLevel;
    for setting in settings().iter().filter(|setting| setting.effect == Effect::Used) {
        if setting.section != section {
            section = setting.section;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\n[{}]", section.name().unwrap_or_default());
        }
        let default = setting.default.as_deref().unwrap_or("\"\"");
        let _ = writeln!(
            text,
            "\n# {}\n#{} = {default}",
            first_sentence(&setting.doc),
            setting.name
        );
    }
    text
}

/// On one line.
fn first_sentence(doc: &str) -> String {
    let line = doc.replace('\n', " ");
    match line.split_once(". ") {
        Some((sentence, _)) => format!("{sentence}."),
        None => line,
    }
}
