//! From what a source holds to the type of a setting.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::dict_literal;
use crate::toleration::{self, Toleration};

/// A value as a source holds it. Variables and flags give text, files any of these.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    Text(String),
    Bool(bool),
    Integer(i128),
    Float(f64),
    Array(Vec<Raw>),
    Table(BTreeMap<String, Raw>),
}

/// Why a value is not one of its type: what there is to say beyond the setting's rule. Never any part of a
/// secret.
pub(crate) type Mismatch = Option<String>;

/// A type that settings may have.
///
/// Text is understood by every type, from any source: OpenHands takes `privileged = "true"` in a file as well.
pub(crate) trait SettingType: Sized {
    /// The type in words.
    const TYPE: &'static str;
    /// Whether values must never be shown.
    const SECRET: bool = false;
    fn decode(raw: Raw) -> Result<Self, Mismatch>;
    /// As it would be written in the file; `None` when there is no value.
    fn to_toml(&self) -> Option<String>;
}

impl SettingType for String {
    const TYPE: &'static str = "text";

    fn decode(raw: Raw) -> Result<Self, Mismatch> {
        match raw {
            Raw::Text(text) => Ok(text),
            _ => Err(None),
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}

impl SettingType for Option<String> {
    const TYPE: &'static str = "text";

    fn decode(raw: Raw) -> Result<Self, Mismatch> {
        let text = String::decode(raw)?;
        Ok(if text.is_empty() { None } else { Some(text) })
    }

    fn to_toml(&self) -> Option<String> {
        self.as_ref().and_then(SettingType::to_toml)
    }
}

impl SettingType for Option<PathBuf> {
    const TYPE: &'static str = "path";

    fn decode(raw: Raw) -> Result<Self, Mismatch> {
        Ok(Option::<String>::decode(raw)?.map(PathBuf::from))
    }

    fn to_toml(&self) -> Option<String> {
        self.as_ref().map(|path| format!("{:?}", path.to_string_lossy()))
    }
}

impl SettingType for bool {
    const TYPE: &'static str = "true or false";

    fn decode(raw: Raw) -> Result<Self, Mismatch> {
        match raw {
            Raw::Bool(value) => Ok(value),
            // OpenHands takes `1` for true in variables.
            Raw::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(None),
            },
            _ => Err(None),
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl SettingType for u64 {
    const TYPE: &'static str = "whole number";

    fn decode(raw: Raw) -> Result<Self, Mismatch> {
        match raw {
            Raw::Integer(number) => u64::try_from(number).map_err(|_| None),
            Raw::Text(text) => text.trim().parse().map_err(|_| None),
            _ => Err(None),
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl SettingType for u32 {
    const TYPE: &'static str = u64::TYPE;

    fn decode(raw: Raw) -> Result<Self, Mismatch> {
        u64::decode(raw).and_then(|number| u32::try_from(number).map_err(|_| None))
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl SettingType for BTreeMap<String, SecretString> {
    const TYPE: &'static str = "table of texts";
    const SECRET: bool = true;

    fn decode(raw: Raw) -> Result<Self, Mismatch> {
        let pairs = match raw {
            Raw::Table(table) => table
                .into_iter()
                .map(|(name, value)| match value {
                    Raw::Text(text) => Ok((name, text)),
                    _ => Err(Some(format!(
                        "the value of {name:?} is not text; put it in quotes"
                    ))),
                })
                .collect::<Result<BTreeMap<_, _>, _>>()?,
            Raw::Text(text) if text.trim().is_empty() => BTreeMap::new(),
            Raw::Text(text) => dict_literal::parse(&text).map_err(|fault| Some(fault.to_string()))?,
            _ => return Err(None),
        };
        Ok(pairs
            .into_iter()
            .map(|(name, value)| (name, SecretString::from(value)))
            .collect())
    }

    fn to_toml(&self) -> Option<String> {
        // Only the default is ever written out, and it is empty; names and values alike stay here.
        self.is_empty().then(|| "{}".to_owned())
    }
}

impl SettingType for Vec<Toleration> {
    const TYPE: &'static str = "text";

    fn decode(raw: Raw) -> Result<Self, Mismatch> {
        toleration::parse_list(&String::decode(raw)?).map_err(Some)
    }

    fn to_toml(&self) -> Option<String> {
        None
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
        }
    }
}
