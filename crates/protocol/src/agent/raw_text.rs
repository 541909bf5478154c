//! Names and paths of files: bytes that mostly are text.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hex::{from_hex, to_hex};

/// Bytes that mostly are text. In JSON a string where they are UTF-8, else `{"hex": "…"}`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawText(Vec<u8>);

impl RawText {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, owned.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl From<Vec<u8>> for RawText {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&str> for RawText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for RawText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for RawText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl Serialize for RawText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(&self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("hex", &to_hex(&self.0))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for RawText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawTextVisitor)
    }
}

struct RawTextVisitor;

impl<'de> Visitor<'de> for RawTextVisitor {
    type Value = RawText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or {\"hex\": …} of bytes that are no text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RawText, E> {
        Ok(text.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawText, A::Error> {
        let Some((key, value)) = map.next_entry::<String, String>()? else {
            return Err(de::Error::missing_field("hex"));
        };
        if key != "hex" || map.next_key::<String>()?.is_some() {
            return Err(de::Error::custom("only the field \"hex\" is expected"));
        }
        let bytes =
            from_hex(&value).ok_or_else(|| de::Error::custom("the field \"hex\" is not hexadecimal"))?;
        Ok(RawText(bytes))
    }
}

#[cfg(feature = "openapi")]
mod schema {
    use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
    use utoipa::openapi::{RefOr, Schema};

    use super::RawText;

    impl utoipa::PartialSchema for RawText {
        fn schema() -> RefOr<Schema> {
            let text = ObjectBuilder::new().schema_type(Type::String);
            let hex = ObjectBuilder::new()
                .schema_type(Type::Object)
                .property("hex", ObjectBuilder::new().schema_type(Type::String))
                .required("hex");
            let either = OneOfBuilder::new()
                .item(text)
                .item(hex)
                .description(Some("Bytes: a string where they are UTF-8."));
            RefOr::T(either.into())
        }
    }

    impl utoipa::ToSchema for RawText {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_a_string_and_the_rest_is_hexadecimal() {
        for (bytes, json) in [
            (b"a\"b".to_vec(), r#""a\"b""#),
            (b"\xff/".to_vec(), r#"{"hex":"ff2f"}"#),
        ] {
            let text = RawText::from(bytes);
            assert_eq!(serde_json::to_string(&text).unwrap(), json);
            assert_eq!(serde_json::from_str::<RawText>(json).unwrap(), text);
        }
        for wrong in [
            "1",
            "{}",
            r#"{"hex":"f"}"#,
            r#"{"hex":"+f"}"#,
            r#"{"hex":"ff","x":"y"}"#,
            r#"{"x":"ff"}"#,
        ] {
            assert!(serde_json::from_str::<RawText>(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..32)) {
            let text = RawText::from(bytes);
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(serde_json::from_str::<RawText>(&json).unwrap(), text);
        }
    }
}
