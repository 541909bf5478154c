//! Pieces of the Kubernetes API in the configuration.

use serde_json::{Map, Value, json};

use crate::decode::{Scalar, SettingType, plain};
use crate::mismatch::Mismatch;
use crate::raw::Raw;
use crate::yaml;

/// A piece of the Kubernetes API with the API's own field names, such as an `Affinity`: a table in the file, YAML
/// (which JSON is too) in a text. Which fields there are is checked where objects are made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApiObject(Map<String, Value>);

/// A list of pieces of the Kubernetes API, such as `Volume`s: an array of tables in the file, YAML in a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApiObjects(Vec<ApiObject>);

impl ApiObject {
    /// Its fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// As the JSON object that the API would take.
    pub fn as_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// As the JSON object that the API would take.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    fn from_json(value: Value) -> Result<ApiObject, Mismatch> {
        match value {
            Value::Object(fields) => Ok(ApiObject(fields)),
            other => Err(Mismatch::because(format!("{} is not a table", Raw::from(other)))),
        }
    }
}

impl From<Map<String, Value>> for ApiObject {
    fn from(fields: Map<String, Value>) -> Self {
        ApiObject(fields)
    }
}

impl ApiObjects {
    /// The objects in order.
    pub fn iter(&self) -> std::slice::Iter<'_, ApiObject> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<ApiObject>> for ApiObjects {
    fn from(objects: Vec<ApiObject>) -> Self {
        ApiObjects(objects)
    }
}

impl<'a> IntoIterator for &'a ApiObjects {
    type Item = &'a ApiObject;
    type IntoIter = std::slice::Iter<'a, ApiObject>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What a source holds, as JSON; text is parsed as YAML.
pub(crate) fn json_of(raw: Raw) -> Result<Value, Mismatch> {
    match raw {
        Raw::Text(text) => {
            yaml::parse::<Value>(&text).map_err(|fault| Mismatch::because(format!("not YAML: {fault}")))
        }
        raw => raw
            .into_json()
            .ok_or_else(|| Mismatch::because("it holds a number that JSON has no form for")),
    }
}

impl Scalar for ApiObject {}
impl SettingType for ApiObject {
    const TYPE: &'static str = "table";

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        match json_of(raw).and_then(ApiObject::from_json) {
            Ok(object) => Ok(object),
            Err(mismatch) => Err(vec![mismatch]),
        }
    }

    fn to_json(&self) -> Option<Value> {
        Some(self.as_value())
    }

    fn schema() -> Value {
        json!({ "type": ["object", "string"] })
    }
}

impl SettingType for ApiObjects {
    const TYPE: &'static str = "list of tables";

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        let items = match json_of(raw).map_err(|mismatch| vec![mismatch])? {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            _ => return plain(),
        };
        let mut objects = Vec::new();
        let mut wrong = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            match ApiObject::from_json(item) {
                Ok(object) => objects.push(object),
                Err(mismatch) => wrong.push(mismatch.in_item(index)),
            }
        }
        if wrong.is_empty() {
            Ok(ApiObjects(objects))
        } else {
            Err(wrong)
        }
    }

    fn to_json(&self) -> Option<Value> {
        Some(self.iter().map(ApiObject::as_value).collect())
    }

    fn schema() -> Value {
        json!({ "type": ["array", "string"], "items": { "type": "object" } })
    }
}
