//! `runtime`: which backend sandboxes run on.

use serde_json::{Value, json};

use crate::choice::{Choice, choices, unknown_word};
use crate::decode::{Scalar, SettingType, plain};
use crate::mismatch::Mismatch;
use crate::raw::Raw;

choices! {
    /// Which backend sandboxes run on.
    pub enum Runtime {
        /// The cluster where one is named or found.
        Auto = "auto",
        /// A cluster.
        Kubernetes = "kubernetes" ("k8s", "cluster"),
        /// Processes of this machine, in place of a cluster.
        Local = "local" ("process", "embedded"),
    }
}

/// Runtimes of OpenHands that Podbay takes the place of.
const REPLACED: [&str; 4] = ["docker", "eventstream", "remote", "cli"];

/// OpenHands' runtimes and the class paths that it takes for one.
fn is_replaced(word: &str) -> bool {
    REPLACED.iter().any(|known| known.eq_ignore_ascii_case(word)) || is_class_path(word)
}

/// A dotted path of Python names, as `package.module.Class`.
fn is_class_path(word: &str) -> bool {
    word.contains('.')
        && word.split('.').all(|name| {
            !name.is_empty()
                && name.chars().all(|c| c.is_alphanumeric() || c == '_')
                && !name.starts_with(|c: char| c.is_ascii_digit())
        })
}

impl Scalar for Runtime {}
impl SettingType for Runtime {
    const TYPE: &'static str = "one of a few words";

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        let Raw::Text(text) = raw else { return plain() };
        match Runtime::of(&text) {
            Some(runtime) => Ok(runtime),
            None if is_replaced(text.trim()) => Ok(Runtime::Auto),
            None => {
                let known = [Runtime::WORDS, &REPLACED].concat();
                Err(vec![unknown_word(&text, &known)])
            }
        }
    }

    fn to_json(&self) -> Option<Value> {
        Some(json!(self.as_str()))
    }

    fn schema() -> Value {
        let words = [Runtime::WORDS, &REPLACED].concat();
        json!({ "anyOf": [
            { "enum": words },
            { "type": "string", "pattern": r"\." },
        ] })
    }

    fn remark(raw: &Raw) -> Option<String> {
        match raw {
            Raw::Text(text) if Runtime::of(text).is_none() && is_replaced(text.trim()) => {
                Some("Podbay runs sandboxes on Kubernetes; it is read as \"auto\"".to_owned())
            }
            _ => None,
        }
    }
}
