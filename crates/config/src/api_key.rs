//! API keys of the service, as they are configured: by their hashes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::decode::{SettingType, plain};
use crate::mismatch::Mismatch;
use crate::raw::Raw;
use crate::rule::MOST_SESSIONS;
use crate::yaml;

/// An API key that the service takes, known by its hash alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiKeyEntry {
    /// What logs call it.
    pub name: String,
    /// Whose the sessions are that are started with it.
    pub owner: String,
    /// SHA-256 of the key's text, in lower-case hexadecimal.
    pub sha256: String,
    /// The namespace of the sessions that are started with it, where it is not the service's own.
    pub namespace: Option<String>,
    /// How many sessions its owner may have at once, in place of `serve.max_sessions_per_owner`.
    pub max_sessions: Option<u32>,
    /// How many sessions may be started with it in a minute, in place of `serve.starts_per_minute`.
    pub starts_per_minute: Option<u32>,
}

/// What each has.
const NEEDED: [&str; 3] = ["name", "owner", "sha256"];
/// What one may have beside that.
const OPTIONAL: [&str; 3] = ["namespace", "max_sessions", "starts_per_minute"];
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
        Some(self.iter().map(ApiKeyEntry::to_json).collect())
    }

    fn schema() -> Value {
        let text = json!({ "type": "string" });
        let count = json!({ "type": "integer", "minimum": 1, "maximum": MOST_SESSIONS });
        json!({
            "type": ["array", "string"],
            "items": {
                "type": "object",
                "properties": {
                    "name": text, "owner": text, "sha256": { "type": "string", "pattern": "^[0-9a-fA-F]{64}$" },
                    "namespace": text, "max_sessions": count, "starts_per_minute": count,
                },
                "required": NEEDED,
                "additionalProperties": false,
            },
        })
    }
}

impl ApiKeyEntry {
    /// As it is written: what it has none of is left out.
    fn to_json(&self) -> Value {
        let Self {
            name,
            owner,
            sha256,
            namespace,
            max_sessions,
            starts_per_minute,
        } = self;
        let mut written = json!({"name": name, "owner": owner, "sha256": sha256});
        let optional = [
            ("namespace", namespace.as_ref().map(|name| json!(name))),
            ("max_sessions", max_sessions.map(|count| json!(count))),
            ("starts_per_minute", starts_per_minute.map(|count| json!(count))),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                written[name] = value;
            }
        }
        written
    }

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
    let is_known = |name: &str| NEEDED.contains(&name) || OPTIONAL.contains(&name);
    if let Some(unknown) = fields.keys().find(|name| !is_known(name)) {
        return Err(Mismatch::because(format!("there is no field {unknown:?}")));
    }
    let entry = ApiKeyEntry {
        name: text(&mut fields, "name")?,
        owner: text(&mut fields, "owner")?,
        sha256: text(&mut fields, "sha256")?.to_ascii_lowercase(),
        namespace: match fields.get("namespace") {
            None | Some(Raw::Null) => None,
            Some(_) => Some(text(&mut fields, "namespace")?),
        },
        max_sessions: count(&mut fields, "max_sessions")?,
        starts_per_minute: count(&mut fields, "starts_per_minute")?,
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

/// A number of sessions.
fn count(fields: &mut BTreeMap<String, Raw>, name: &str) -> Result<Option<u32>, Mismatch> {
    let number = match fields.remove(name) {
        None | Some(Raw::Null) => return Ok(None),
        Some(Raw::Integer(number)) => u32::try_from(number)
            .ok()
            .filter(|number| (1..=MOST_SESSIONS).contains(number)),
        Some(_) => None,
    };
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(
            Mismatch::because(format!("{name} is not a whole number from 1 to {MOST_SESSIONS}"))
                .in_field(name),
        ),
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
            ..ApiKeyEntry::default()
        };
        let of_json = ApiKeyEntry::list_of_json(&text);
        assert_eq!(of_json.as_deref(), Ok(std::slice::from_ref(&expected)));
        assert_eq!(Vec::<ApiKeyEntry>::decode(Raw::Text(text)), Ok(vec![expected]));
        assert_eq!(Vec::<ApiKeyEntry>::decode(Raw::Text(String::new())), Ok(vec![]));
    }

    #[test]
    fn a_key_may_have_a_namespace_and_limits_of_its_own() {
        let text = format!(
            r#"[{{"name": "ci", "owner": "alice", "sha256": "{}", "namespace": "ci", "max_sessions": 5, "starts_per_minute": 9}},
                {{"name": "null", "owner": "bob", "sha256": "{}", "namespace": null, "max_sessions": null}}]"#,
            hash(),
            "1b".repeat(32),
        );
        let read = ApiKeyEntry::list_of_json(&text).unwrap();
        let own = (
            read[0].namespace.as_deref(),
            read[0].max_sessions,
            read[0].starts_per_minute,
        );
        assert_eq!(own, (Some("ci"), Some(5), Some(9)));
        assert_eq!((read[1].namespace.as_ref(), read[1].max_sessions), (None, None));
        let written = read.to_json().unwrap();
        assert_eq!(written[0]["max_sessions"], 5);
        assert!(written[1].get("namespace").is_none());
        assert_eq!(ApiKeyEntry::list_of_json(&written.to_string()), Ok(read));
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
            (
                r#"[{"name": "a", "owner": "b", "sha256": "hunter2", "max_sessions": 0}]"#,
                "max_sessions is not a whole number from 1",
            ),
            (
                r#"[{"name": "a", "owner": "b", "sha256": "hunter2", "starts_per_minute": "9"}]"#,
                "starts_per_minute is not a whole number",
            ),
            (
                r#"[{"name": "a", "owner": "b", "sha256": "hunter2", "namespace": " "}]"#,
                "namespace is not a text",
            ),
        ] {
            let wrong = ApiKeyEntry::list_of_json(text).unwrap_err();
            assert!(wrong.contains(told) && !wrong.contains("hunter2"), "{wrong}");
        }
    }
}
