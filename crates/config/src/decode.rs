//! From what a source holds to the type of a setting: single values. Lists and tables are in `collection`.

use std::path::PathBuf;

use secrecy::SecretString;
use serde_json::{Value, json};

use crate::mismatch::Mismatch;
use crate::raw::Raw;

/// A type that settings may have.
///
/// Text is understood by every type, from any source: OpenHands takes `privileged = "true"` in a file as well.
pub(crate) trait SettingType: Sized {
    /// The type in words.
    const TYPE: &'static str;
    /// Whether values must never be shown.
    const SECRET: bool = false;
    /// The value, or everything that is wrong with it.
    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>>;
    /// As JSON, of which the TOML form is made too; `None` when there is no value, or it is secret. Null is a secret that is not
    /// set.
    fn to_json(&self) -> Option<Value>;
    /// The JSON Schema of what [`SettingType::decode`] takes from a file.
    fn schema() -> Value;
    /// What to tell of a value that is accepted and yet not what it seems.
    fn remark(_raw: &Raw) -> Option<String> {
        None
    }
}

/// A single value, of which there may be none: then empty text is "not set".
pub(crate) trait Scalar: SettingType {}

/// The mismatch of a value that is of another type.
pub(crate) fn plain<T>() -> Result<T, Vec<Mismatch>> {
    Err(vec![Mismatch::plain()])
}

impl<T: Scalar> SettingType for Option<T> {
    const TYPE: &'static str = T::TYPE;
    const SECRET: bool = T::SECRET;

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        match raw {
            Raw::Text(text) if text.is_empty() => Ok(None),
            raw => T::decode(raw).map(Some),
        }
    }

    fn to_json(&self) -> Option<Value> {
        match self {
            // Else it would look like one that is hidden.
            None if T::SECRET => Some(Value::Null),
            None => None,
            Some(value) => value.to_json(),
        }
    }

    fn schema() -> Value {
        let schema = T::schema();
        // Plain text has the empty one already.
        if schema == String::schema() {
            schema
        } else {
            json!({ "anyOf": [schema, { "const": "" }] })
        }
    }
}

impl Scalar for String {}
impl SettingType for String {
    const TYPE: &'static str = "text";

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        match raw {
            Raw::Text(text) => Ok(text),
            _ => plain(),
        }
    }

    fn to_json(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

impl Scalar for PathBuf {}
impl SettingType for PathBuf {
    const TYPE: &'static str = "path";

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        String::decode(raw).map(PathBuf::from)
    }

    fn to_json(&self) -> Option<Value> {
        Some(json!(self.to_string_lossy()))
    }

    fn schema() -> Value {
        String::schema()
    }
}

impl Scalar for SecretString {}
impl SettingType for SecretString {
    const TYPE: &'static str = "text";
    const SECRET: bool = true;

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        String::decode(raw).map(SecretString::from)
    }

    fn to_json(&self) -> Option<Value> {
        None
    }

    fn schema() -> Value {
        String::schema()
    }
}

impl Scalar for bool {}
impl SettingType for bool {
    const TYPE: &'static str = "true or false";

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        match raw {
            Raw::Bool(value) => Ok(value),
            // OpenHands takes `1` for true in variables.
            Raw::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => plain(),
            },
            _ => plain(),
        }
    }

    fn to_json(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn schema() -> Value {
        json!({
            "type": ["boolean", "string"],
            "pattern": r"^\s*([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[01])\s*$",
        })
    }
}

macro_rules! whole_numbers {
    ($($Number:ty),+) => {
        $(impl Scalar for $Number {}
        impl SettingType for $Number {
            const TYPE: &'static str = "whole number";

            fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
                match raw {
                    Raw::Integer(number) => Self::try_from(number).or_else(|_| plain()),
                    Raw::Text(text) => text.trim().parse().or_else(|_| plain()),
                    _ => plain(),
                }
            }

            fn to_json(&self) -> Option<Value> {
                Some(json!(self))
            }

            fn schema() -> Value {
                json!({ "type": ["integer", "string"], "pattern": r"^\s*\+?[0-9]+\s*$" })
            }
        })+
    };
}
whole_numbers!(u16, u32, u64);
