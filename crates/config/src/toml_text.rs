//! Values in TOML, as the file would have them.

use serde_json::Value;

/// A value on one line where it has no line breaks of its own. What TOML has no form for, which is `null`
/// inside a piece of the Kubernetes API, is written as a text of JSON, which the setting reads as well.
pub(crate) fn of(value: &Value) -> String {
    toml::Value::try_from(value)
        .or_else(|_| toml::Value::try_from(value.to_string()))
        .map(|value| value.to_string())
        .unwrap_or_default()
}
