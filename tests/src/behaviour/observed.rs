//! What a case saw, in a form in which two clusters can be compared.

use std::fmt;

use podbay_k8s_client::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a case saw, in order. What differs between any two clusters (namespaces, UIDs) is replaced by a word.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    notes: Vec<Note>,
    /// Texts that differ, and the words that stand for them.
    #[serde(skip)]
    hidden: Vec<(String, String)>,
    /// Why it can't be seen on this cluster now.
    #[serde(skip)]
    unseen: Option<String>,
}

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    what: String,
    saw: Value,
}

impl Observed {
    /// Nothing yet, in this namespace.
    pub fn new(namespace: &str) -> Self {
        let mut observed = Self::default();
        observed.hide(namespace, "NAMESPACE");
        observed
    }

    /// Says that what the case is about can't be seen on this cluster now.
    pub fn cannot_be_seen(&mut self, why: &str) {
        self.unseen = Some(why.to_owned());
    }

    /// Why what the case is about can't be seen, if it can't.
    pub fn unseen(&self) -> Option<&str> {
        self.unseen.as_deref()
    }

    /// Has `word` stand for `text` from now on.
    pub fn hide(&mut self, text: &str, word: &str) {
        if !text.is_empty() {
            self.hidden.push((text.to_owned(), word.to_owned()));
        }
    }

    /// Adds something that was seen.
    pub fn note(&mut self, what: &str, saw: impl Into<Value>) {
        let saw = self.scrub(saw.into());
        self.notes.push(Note {
            what: what.to_owned(),
            saw,
        });
    }

    /// Adds how a call ended: `done`, or what the refusal means and says. A message's lines after its first are left
    /// out: the server adds there what it stored, field by field.
    pub fn outcome<T>(&mut self, what: &str, result: &Result<T, Error>) {
        let saw = match result {
            Ok(_) => json!("done"),
            Err(error) => {
                let message = error.message.as_deref().unwrap_or_default();
                let message = message.lines().next().unwrap_or_default().trim_end();
                json!({"means": error.kind.to_string(), "message": message})
            }
        };
        self.note(what, saw);
    }

    /// What `self` has that `other` hasn't, and the other way round, for people; empty if they are the same.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for index in 0..self.notes.len().max(other.notes.len()) {
            let (mine, theirs) = (self.notes.get(index), other.notes.get(index));
            if mine != theirs {
                differences.push(format!("  - {}\n  + {}", Shown(mine), Shown(theirs)));
            }
        }
        differences
    }

    fn scrub(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.scrub_text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.scrub(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.into_iter();
                Value::Object(fields.map(|(name, value)| (name, self.scrub(value))).collect())
            }
            other => other,
        }
    }

    fn scrub_text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (hidden, word) in &self.hidden {
            text = text.replace(hidden, word);
        }
        replace_uids(&text)
    }
}

/// A refusal without the value that was refused: the server writes whole structs of its own language there.
pub fn without_values(mut error: Error) -> Error {
    const START: &str = "Invalid value: ";
    if let Some(message) = &mut error.message
        && let Some(start) = message.find(START)
        && let Some(end) = message.rfind(": ")
        && start + START.len() < end
    {
        message.replace_range(start + START.len()..end, "VALUE");
    }
    error
}

struct Shown<'a>(Option<&'a Note>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("(nothing)"),
            Some(Note { what, saw }) => write!(f, "{what}: {saw}"),
        }
    }
}

/// Puts the word `UID` in the place of each UUID.
fn replace_uids(text: &str) -> String {
    const LENGTH: usize = 36;
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match rest.get(..LENGTH) {
            Some(start) if is_uuid(start) => {
                result.push_str("UID");
                rest = rest.get(LENGTH..).unwrap_or_default();
            }
            _ => {
                result.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    result
}

fn is_uuid(text: &str) -> bool {
    text.char_indices().all(|(index, char)| match index {
        8 | 13 | 18 | 23 => char == '-',
        _ => char.is_ascii_hexdigit(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_clusters_is_replaced() {
        let mut observed = Observed::new("t-x-1");
        observed.note(
            "said",
            json!({"message": ["pod t-x-1/p(6f1c9c3a-0d3b-4b5e-9a54-2f1f0d8a7b6c) fails"]}),
        );
        let mut same = Observed::new("elsewhere");
        same.note("said", json!({"message": ["pod NAMESPACE/p(UID) fails"]}));
        assert_eq!(observed.differences(&same), Vec::<String>::new());
    }

    #[test]
    fn what_one_saw_and_the_other_did_not_is_told() {
        let mut one = Observed::new("a");
        one.note("phase", "Running");
        let differences = one.differences(&Observed::new("a"));
        assert_eq!(differences, ["  - phase: \"Running\"\n  + (nothing)"]);
    }
}
