//! A value as a source holds it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Number, Value};

/// A value as a source holds it. Variables and flags give text, files any of these.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    Text(String),
    Bool(bool),
    Integer(i128),
    Float(f64),
    Array(Vec<Raw>),
    Table(BTreeMap<String, Raw>),
    /// JSON's `null` and Python's `None`, inside a literal.
    Null,
}

impl Raw {
    /// As JSON; `None` where a number has no JSON form, such as infinity.
    pub(crate) fn into_json(self) -> Option<Value> {
        Some(match self {
            Raw::Text(text) => Value::String(text),
            Raw::Bool(value) => Value::Bool(value),
            Raw::Integer(number) => Value::Number(Number::from_i128(number)?),
            Raw::Float(number) => Value::Number(Number::from_f64(number)?),
            Raw::Array(items) => Value::Array(items.into_iter().map(Raw::into_json).collect::<Option<_>>()?),
            Raw::Table(table) => Value::Object(
                table
                    .into_iter()
                    .map(|(name, value)| Some((name, value.into_json()?)))
                    .collect::<Option<Map<_, _>>>()?,
            ),
            Raw::Null => Value::Null,
        })
    }
}

impl From<Value> for Raw {
    fn from(value: Value) -> Raw {
        match value {
            Value::Null => Raw::Null,
            Value::Bool(value) => Raw::Bool(value),
            Value::Number(number) => match number.as_i128() {
                Some(number) => Raw::Integer(number),
                None => Raw::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Raw::Text(text),
            Value::Array(items) => Raw::Array(items.into_iter().map(Raw::from).collect()),
            Value::Object(map) => Raw::Table(
                map.into_iter()
                    .map(|(name, value)| (name, value.into()))
                    .collect(),
            ),
        }
    }
}

/// As messages quote it: short, on one line.
impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Enough to recognise a value by.
        const MOST_CHARS: usize = 60;
        match self {
            Raw::Text(text) if text.chars().nth(MOST_CHARS).is_none() => write!(f, "{text:?}"),
            Raw::Text(text) => {
                write!(f, "{:?}…", text.chars().take(MOST_CHARS).collect::<String>())
            }
            Raw::Bool(value) => write!(f, "{value}"),
            Raw::Integer(number) => write!(f, "{number}"),
            Raw::Float(number) => write!(f, "{number}"),
            Raw::Array(_) => f.write_str("an array"),
            Raw::Table(_) => f.write_str("a table"),
            Raw::Null => f.write_str("null"),
        }
    }
}
