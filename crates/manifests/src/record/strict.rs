//! Reading a specification of which no field may be unknown.

use serde::de::Error as _;
use serde_json::{Error, Value, json};

use crate::session_spec::SessionSpec;

/// Reads a specification of schema version 2, whose readers knew every field that its writers wrote: another is no
/// specification of that version. From version 3 on unknown fields are passed over.
pub(super) fn read(text: &str) -> Result<SessionSpec, Error> {
    let spec: SessionSpec = serde_json::from_str(text)?;
    let given: Value = serde_json::from_str(text)?;
    match unknown_field(&given, &json!(spec)) {
        None => Ok(spec),
        Some(field) => Err(Error::custom(format!("unknown field `{field}`"))),
    }
}

/// A field of `given` that is not in `known`, which was written from what was read of it.
fn unknown_field<'a>(given: &'a Value, known: &Value) -> Option<&'a str> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given.iter().find_map(|(field, value)| {
            known
                .get(field)
                .map_or(Some(field.as_str()), |known| unknown_field(value, known))
        }),
        (Value::Array(given), Value::Array(known)) => given
            .iter()
            .zip(known)
            .find_map(|(given, known)| unknown_field(given, known)),
        _ => None,
    }
}
