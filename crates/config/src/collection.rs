//! Lists and tables as the types of settings.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::decode::{SettingType, plain};
use crate::literal;
use crate::mismatch::Mismatch;
use crate::raw::Raw;
use crate::toleration::{self, Toleration};

/// What a list or table may hold.
pub(crate) trait Item: SettingType {
    /// The type of a list of it, in words.
    const LIST: &'static str;
    /// The type of a table of it, in words.
    const TABLE: &'static str;
    /// What is wrong with an item of another type.
    const WRONG: &'static str;
}

impl Item for String {
    const LIST: &'static str = "list of texts";
    const TABLE: &'static str = "table of texts";
    const WRONG: &'static str = "is not text; put it in quotes";
}

macro_rules! numbers {
    ($($Number:ty),+) => {
        $(impl Item for $Number {
            const LIST: &'static str = "list of whole numbers";
            const TABLE: &'static str = "table of whole numbers";
            const WRONG: &'static str = "is not such a whole number";
        })+
    };
}
numbers!(u16, u32, u64);

impl<T: Item> SettingType for Vec<T> {
    const TYPE: &'static str = T::LIST;

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        let items = match raw {
            Raw::Array(items) => items,
            Raw::Text(text) => match text.trim() {
                "" => Vec::new(),
                text if is_literal(text) => match literal::parse(text) {
                    Ok(Raw::Array(items)) => items,
                    Ok(_) => return plain(),
                    Err(fault) => return Err(vec![Mismatch::because(fault.to_string())]),
                },
                text => text
                    .split(',')
                    .map(|item| Raw::Text(item.trim().to_owned()))
                    .collect(),
            },
            _ => return plain(),
        };
        all(items.into_iter().enumerate().map(|(index, item)| {
            let shown = item.to_string();
            T::decode(item).map_err(|_| Mismatch::because(format!("{shown} {}", T::WRONG)).in_item(index))
        }))
    }

    fn to_json(&self) -> Option<Value> {
        Some(self.iter().map(SettingType::to_json).collect())
    }

    fn schema() -> Value {
        json!({ "type": ["array", "string"], "items": T::schema() })
    }
}

impl<T: Item> SettingType for BTreeMap<String, T> {
    const TYPE: &'static str = T::TABLE;

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        all(table(raw)?.into_iter().map(|(name, value)| {
            let shown = value.to_string();
            match T::decode(value) {
                Ok(value) => Ok((name, value)),
                Err(_) => Err(
                    Mismatch::because(format!("the value of {name:?}, {shown}, {}", T::WRONG))
                        .in_field(&name),
                ),
            }
        }))
    }

    fn to_json(&self) -> Option<Value> {
        let map: Map<_, _> = self
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.to_json()?)))
            .collect();
        Some(Value::Object(map))
    }

    fn schema() -> Value {
        json!({ "type": ["object", "string"], "additionalProperties": T::schema() })
    }
}

impl SettingType for BTreeMap<String, SecretString> {
    const TYPE: &'static str = String::TABLE;
    const SECRET: bool = true;

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        all(table(raw)?.into_iter().map(|(name, value)| match value {
            Raw::Text(text) => Ok((name, SecretString::from(text))),
            _ => Err(Mismatch::because(format!("the value of {name:?} {}", String::WRONG)).in_field(&name)),
        }))
    }

    fn to_json(&self) -> Option<Value> {
        // Names and values alike stay here.
        self.is_empty().then(|| json!({}))
    }

    fn schema() -> Value {
        <BTreeMap<String, String>>::schema()
    }
}

impl SettingType for Vec<Toleration> {
    const TYPE: &'static str = "list of tables";

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        toleration::decode(raw)
    }

    fn to_json(&self) -> Option<Value> {
        Some(self.iter().map(Toleration::to_json).collect())
    }

    fn schema() -> Value {
        json!({ "type": ["array", "string"], "items": toleration::schema() })
    }
}

/// Whether a text is meant as the literal of a list, not as one separated by commas: the latter may begin with an
/// address in brackets, as in `[fd00::/8]:443`.
fn is_literal(text: &str) -> bool {
    let quoted = |text: &str| text.trim_start().starts_with(['\'', '"']);
    [('[', ']'), ('(', ')')].into_iter().any(|(start, end)| {
        text.strip_prefix(start)
            .is_some_and(|rest| quoted(rest) || rest.ends_with(end))
    })
}

/// A table, or the literal of one in text.
fn table(raw: Raw) -> Result<BTreeMap<String, Raw>, Vec<Mismatch>> {
    match raw {
        Raw::Table(table) => Ok(table),
        Raw::Text(text) if text.trim().is_empty() => Ok(BTreeMap::new()),
        Raw::Text(text) => match literal::parse(&text) {
            Ok(Raw::Table(table)) => Ok(table),
            Ok(_) => plain(),
            Err(fault) => Err(vec![Mismatch::because(fault.to_string())]),
        },
        _ => plain(),
    }
}

/// All values, or all that is wrong.
fn all<T, C: FromIterator<T>>(
    results: impl Iterator<Item = Result<T, Mismatch>>,
) -> Result<C, Vec<Mismatch>> {
    let mut wrong = Vec::new();
    let values = results
        .filter_map(|result| result.map_err(|mismatch| wrong.push(mismatch)).ok())
        .collect();
    if wrong.is_empty() { Ok(values) } else { Err(wrong) }
}
