//! A deserializer over JSON that notes the fields which the type it fills does not have, and where a value of
//! a wrong type stands.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::{ApiObjectError, words};

/// Most letters that a wrong name may differ by from the one that is suggested for it.
const MAX_DISTANCE: usize = 3;

/// One value, and where it stands.
pub(super) struct Strict<'a> {
    value: &'a Value,
    path: String,
    unknown: &'a mut Vec<ApiObjectError>,
}

/// A value of a type that its field does not take.
#[derive(Debug)]
pub(super) struct TypeError {
    pub(super) path: String,
    pub(super) reason: String,
}

impl<'a> Strict<'a> {
    pub(super) fn new(value: &'a Value, unknown: &'a mut Vec<ApiObjectError>) -> Self {
        Self {
            value,
            path: String::new(),
            unknown,
        }
    }

    /// Notes the keys of an object that are none of the `fields` of the type `kind`, and the words that it does not take.
    fn compare(&mut self, fields: &[&'static str], kind: &'static str) {
        let Value::Object(object) = self.value else {
            return;
        };
        for key in object.keys().filter(|key| !fields.contains(&key.as_str())) {
            self.unknown.push(ApiObjectError::Unknown {
                path: below(&self.path, key),
                kind,
                nearest: nearest(key, fields),
            });
        }
        for (field, allowed) in words::of(kind) {
            let Some(Value::String(value)) = object.get(field) else {
                continue;
            };
            if !allowed.contains(&value.as_str()) {
                self.unknown.push(ApiObjectError::Word {
                    path: below(&self.path, field),
                    value: value.clone(),
                    allowed,
                });
            }
        }
    }
}

impl<'de> Deserializer<'de> for Strict<'_> {
    type Error = TypeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        let path = self.path.clone();
        let result = match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_i64(value),
                (None, Some(value), _) => visitor.visit_u64(value),
                (None, None, Some(value)) => visitor.visit_f64(value),
                (None, None, None) => Err(TypeError::invalid_type(Unexpected::Other("number"), &visitor)),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(Items {
                items: items.iter().enumerate(),
                parent: self,
            }),
            Value::Object(fields) => visitor.visit_map(Fields {
                entries: fields.iter(),
                value: None,
                parent: self,
            }),
        };
        result.map_err(|error| error.at(&path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        self.compare(fields, name);
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}

/// The fields of an object, one after the other.
struct Fields<'a> {
    entries: serde_json::map::Iter<'a>,
    value: Option<(&'a str, &'a Value)>,
    parent: Strict<'a>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = TypeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, TypeError> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some((key, value));
        let key: StrDeserializer<'_, TypeError> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, TypeError> {
        let Some((key, value)) = self.value.take() else {
            return Err(TypeError::custom("a value was asked for before its key"));
        };
        seed.deserialize(Strict {
            value,
            path: below(&self.parent.path, key),
            unknown: self.parent.unknown,
        })
    }
}

/// The items of a list, one after the other.
struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
    parent: Strict<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = TypeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, TypeError> {
        let Some((index, value)) = self.items.next() else {
            return Ok(None);
        };
        let path = format!("{}[{index}]", self.parent.path);
        let item = Strict {
            value,
            path,
            unknown: self.parent.unknown,
        };
        seed.deserialize(item).map(Some)
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The field that `key` was most likely meant to be: the same in another spelling, or a few letters away.
fn nearest(key: &str, fields: &[&'static str]) -> Option<String> {
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let wanted = plain(key);
    fields
        .iter()
        .map(|field| (strsim::damerau_levenshtein(&wanted, &plain(field)), field))
        .filter(|(distance, field)| *distance <= MAX_DISTANCE && *distance * 2 < field.len())
        .min()
        .map(|(_, field)| (*field).to_owned())
}

// === impl TypeError ===

impl TypeError {
    /// The innermost place stays: errors pass the places around it on their way out.
    fn at(self, path: &str) -> Self {
        if self.path.is_empty() {
            Self {
                path: path.to_owned(),
                ..self
            }
        } else {
            self
        }
    }
}

impl Error for TypeError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self {
            path: String::new(),
            reason: reason.to_string(),
        }
    }
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for TypeError {}
