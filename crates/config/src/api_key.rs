//! API keys of the service, as they are configured: by their hashes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::decode::{SettingType, plain};
use crate::mismatch::Mismatch;
use crate::raw::Raw;
use crate::yaml;

/// An API key that the service takes, known by its hash alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyEntry {
    /// What logs call it.
    pub name: String,
    /// Whose the sessions are that are started with it.
    pub owner: String,
    /// SHA-256 of the key's text, in lower-case hexadecimal.
    pub sha256: String,
}

const FIELDS: [&str; 3] = ["name", "owner", "sha256"];
/// Digits of a SHA-256.
const DIGITS: usize = 64;

impl SettingType for Vec<ApiKeyEntry> {
    const TYPE: &'static str = "list of tables";

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        let items = match raw {
            Raw::Array(items) => items,
            // Variables have text alone; JSON is YAML.
            Raw::Text(text) => match yaml::parse::<Option<Vec<Value>>>(&text) {
                Ok(items) => items.unwrap_or_default().into_iter().map(Raw::from).collect(),
                Err(fault) => return Err(vec![Mismatch::because(format!("not a list of tables: {fault}"))]),
            },
            _ => return plain(),
        };
        let (mut entries, mut wrong) = (Vec::new(), Vec::new());
        for (index, item) in items.into_iter().enumerate() {
            match entry(item) {
                Ok(entry) => entries.push(entry),
                Err(fault) => wrong.push(fault.in_item(index)),
            }
        }
        if wrong.is_empty() { Ok(entries) } else { Err(wrong) }
    }

    fn to_json(&self) -> Option<Value> {
        let entries = self.iter();
        Some(
            entries
                .map(|ApiKeyEntry { name, owner, sha256 }| json!({"name": name, "owner": owner, "sha256": sha256}))
                .collect(),
        )
    }

    fn schema() -> Value {
        let text = json!({ "type": "string" });
        json!({
            "type": ["array", "string"],
            "items": {
                "type": "object",
                "properties": { "name": text, "owner": text, "sha256": { "type": "string", "pattern": "^[0-9a-fA-F]{64}$" } },
                "required": FIELDS,
                "additionalProperties": false,
            },
        })
    }
}

impl ApiKeyEntry {
    /// Reads a list of them in JSON. The text says what is wrong.
    pub fn list_of_json(text: &str) -> Result<Vec<Self>, String> {
        let list: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Vec::<Self>::decode(Raw::from(list)).map_err(|wrong| {
            let details = wrong.into_iter().filter_map(|mismatch| mismatch.detail);
            let told: Vec<String> = details.collect();
            if told.is_empty() {
                "it is no list".to_owned()
            } else {
                told.join("; ")
            }
        })
    }
}

fn entry(item: Raw) -> Result<ApiKeyEntry, Mismatch> {
    let Raw::Table(mut fields) = item else {
        return Err(Mismatch::because("it is not a table"));
    };
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(Mismatch::because(format!("there is no field {unknown:?}")));
    }
    let entry = ApiKeyEntry {
        name: text(&mut fields, "name")?,
        owner: text(&mut fields, "owner")?,
        sha256: text(&mut fields, "sha256")?.to_ascii_lowercase(),
    };
    if entry.sha256.len() == DIGITS && entry.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(entry)
    } else {
        // It may be the key itself, which is not shown.
        Err(Mismatch::because(format!("sha256 is not {DIGITS} hexadecimal digits")).in_field("sha256"))
    }
}

fn text(fields: &mut BTreeMap<String, Raw>, name: &str) -> Result<String, Mismatch> {
    match fields.remove(name) {
        Some(Raw::Text(text)) if !text.trim().is_empty() => Ok(text),
        Some(_) => Err(Mismatch::because(format!("{name} is not a text")).in_field(name)),
        None => Err(Mismatch::because(format!("it has no {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash() -> String {
        "0A".repeat(32)
    }

    #[test]
    fn a_list_is_read_from_tables_and_from_text() {
        let text = format!(
            r#"[{{"name": "laptop", "owner": "alice", "sha256": "{}"}}]"#,
            hash()
        );
        let expected = ApiKeyEntry {
            name: "laptop".to_owned(),
            owner: "alice".to_owned(),
            sha256: "0a".repeat(32),
        };
        let of_json = ApiKeyEntry::list_of_json(&text);
        assert_eq!(of_json.as_deref(), Ok(std::slice::from_ref(&expected)));
        assert_eq!(Vec::<ApiKeyEntry>::decode(Raw::Text(text)), Ok(vec![expected]));
        assert_eq!(Vec::<ApiKeyEntry>::decode(Raw::Text(String::new())), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_told_and_never_with_what_may_be_the_key() {
        for (text, told) in [
            (r#"{"name": "a"}"#, "no list"),
            (r#"["a"]"#, "item 1: it is not a table"),
            (r#"[{"name": "a", "owner": "b"}]"#, "it has no sha256"),
            (
                r#"[{"name": "", "owner": "b", "sha256": ""}]"#,
                "name is not a text",
            ),
            (r#"[{"name": "a", "key": "b"}]"#, "no field \"key\""),
            (
                r#"[{"name": "a", "owner": "b", "sha256": "hunter2"}]"#,
                "64 hexadecimal digits",
            ),
        ] {
            let wrong = ApiKeyEntry::list_of_json(text).unwrap_err();
            assert!(wrong.contains(told) && !wrong.contains("hunter2"), "{wrong}");
        }
    }
}
