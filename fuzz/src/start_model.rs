//! A start's body read as a plain tree, and words as a shell would have them quoted.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What of a start's body must arrive.
#[derive(Debug)]
pub struct Body {
    /// All of it.
    pub fields: Map<String, Value>,
    /// The client's id.
    pub session_id: String,
    /// The image.
    pub image: String,
    /// Values of the environment, as texts.
    pub environment: BTreeMap<String, String>,
    /// The command, where it is a list.
    pub argv: Option<Vec<String>>,
    /// Whether it asks to be public.
    pub public: bool,
}

impl Body {
    /// `None` for what is none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let Value::Object(fields) = serde_json::from_slice(bytes).ok()? else {
            return None;
        };
        let text = |name: &str| Some(fields.get(name)?.as_str()?.to_owned());
        let mut environment = BTreeMap::new();
        if let Some(Value::Object(variables)) = fields.get("environment") {
            for (name, value) in variables {
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Null => continue,
                    other => other.to_string(),
                };
                environment.insert(name.clone(), text);
            }
        }
        let argv = fields.get("command").and_then(Value::as_array).map(|items| {
            let words = items.iter().filter_map(Value::as_str);
            words.map(str::to_owned).collect()
        });
        Some(Self {
            session_id: text("session_id").filter(|id| !id.trim().is_empty())?,
            image: text("image").filter(|image| !image.trim().is_empty())?,
            environment,
            argv,
            public: fields.get("public") == Some(&Value::Bool(true)),
            fields,
        })
    }
}

/// Words in single quotes.
pub fn quoted(words: &[String]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
        .collect();
    quoted.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_an_object_with_an_id_and_an_image() {
        let body =
            br#"{"session_id": "s", "image": "i", "environment": {"A": 1, "B": null}, "command": ["a b"]}"#;
        let body = Body::read(body).unwrap();
        assert_eq!(
            body.environment,
            BTreeMap::from([("A".to_owned(), "1".to_owned())])
        );
        assert_eq!(body.argv, Some(vec!["a b".to_owned()]));
        for none in ["[]", "{}", r#"{"session_id": " ", "image": "i"}"#] {
            assert!(Body::read(none.as_bytes()).is_none(), "{none}");
        }
        assert_eq!(quoted(&["it's".to_owned(), String::new()]), r"'it'\''s' ''");
    }
}
