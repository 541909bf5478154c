//! `tolerations_yaml`: a YAML list of Kubernetes tolerations.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::decode::plain;
use crate::mismatch::Mismatch;
use crate::nearest::{nearest, suggestion};
use crate::raw::Raw;
use crate::yaml;

/// A toleration, with the fields and meaning of the API's `core/v1 Toleration`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toleration {
    /// Key of the taint; `None` tolerates every key, and then `operator` is `Exists`.
    pub key: Option<String>,
    /// `Exists` or `Equal` (what the API takes when it is `None`); from Kubernetes 1.35 also `Lt` and `Gt`.
    pub operator: Option<String>,
    /// Value of the taint; never with `Exists`.
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`; `None` tolerates all of them.
    pub effect: Option<String>,
    /// How long, in seconds, the pod stays after a `NoExecute` taint appeared; `None` is for ever. Only with the
    /// effect `NoExecute`. Zero and less evict at once.
    pub toleration_seconds: Option<i64>,
}

const FIELDS: [&str; 5] = ["key", "operator", "value", "effect", "toleration_seconds"];
/// Only where the name differs from ours.
const CAMEL_CASE_SECONDS: &str = "tolerationSeconds";
const OPERATORS: [&str; 4] = ["Exists", "Equal", "Lt", "Gt"];
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Reads a list: an array of tables, or the same as YAML in a text, of which an empty one is an empty list. The
/// mismatches name everything that is wrong with it.
pub(crate) fn decode(raw: Raw) -> Result<Vec<Toleration>, Vec<Mismatch>> {
    let items = match raw {
        Raw::Text(text) => yaml::parse::<Option<Vec<BTreeMap<String, Value>>>>(&text)
            .map(|items| {
                items
                    .unwrap_or_default()
                    .into_iter()
                    .map(Some)
                    .collect::<Vec<_>>()
            })
            .map_err(|fault| vec![Mismatch::because(format!("not a YAML list of mappings: {fault}"))])?,
        Raw::Array(items) => items.into_iter().map(fields).collect(),
        _ => return plain(),
    };
    let mut tolerations = Vec::new();
    let mut wrong = Vec::new();
    for (index, fields) in items.into_iter().enumerate() {
        let Some(fields) = fields else {
            wrong.push(Mismatch::because("it is not a table").in_item(index));
            continue;
        };
        match parse_item(fields) {
            Ok(toleration) => tolerations.push(toleration),
            Err(mismatches) => wrong.extend(mismatches.into_iter().map(|mismatch| mismatch.in_item(index))),
        }
    }
    if wrong.is_empty() {
        Ok(tolerations)
    } else {
        Err(wrong)
    }
}

/// The fields of an item of an array.
fn fields(item: Raw) -> Option<BTreeMap<String, Value>> {
    match item.into_json() {
        Some(Value::Object(fields)) => Some(fields.into_iter().collect()),
        _ => None,
    }
}

/// The schema of one toleration.
pub(crate) fn schema() -> Value {
    let text = json!({ "type": "string" });
    let seconds = json!({ "type": "integer" });
    json!({
        "type": "object",
        "properties": {
            "key": text,
            "operator": { "enum": OPERATORS },
            "value": text,
            "effect": { "enum": EFFECTS },
            "toleration_seconds": seconds,
            CAMEL_CASE_SECONDS: seconds,
        },
        "additionalProperties": false,
    })
}

impl Toleration {
    /// With the field names of the file.
    pub(crate) fn to_json(&self) -> Value {
        let Toleration {
            key,
            operator,
            value,
            effect,
            toleration_seconds,
        } = self;
        let texts = [
            ("key", key),
            ("operator", operator),
            ("value", value),
            ("effect", effect),
        ];
        let mut fields: Map<String, Value> = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))))
            .collect();
        if let Some(seconds) = toleration_seconds {
            fields.insert("toleration_seconds".to_owned(), json!(seconds));
        }
        Value::Object(fields)
    }
}

fn parse_item(fields: BTreeMap<String, Value>) -> Result<Toleration, Vec<Mismatch>> {
    let mut toleration = Toleration::default();
    let mut faults = Vec::new();
    for (name, value) in fields {
        let parsed = match name.as_str() {
            "key" => text(&name, value).map(|text| toleration.key = text),
            "operator" => one_of(&name, value, &OPERATORS).map(|text| toleration.operator = text),
            "value" => text(&name, value).map(|text| toleration.value = text),
            "effect" => one_of(&name, value, &EFFECTS).map(|text| toleration.effect = text),
            "toleration_seconds" | CAMEL_CASE_SECONDS => {
                seconds(&name, &value).map(|seconds| toleration.toleration_seconds = seconds)
            }
            _ => Err(format!("there is no field {name:?}{}", unknown_field(&name))),
        };
        faults.extend(parsed.err().map(|fault| Mismatch::because(fault).in_field(&name)));
    }
    if faults.is_empty() {
        faults.extend(contradictions(&toleration).into_iter().map(Mismatch::because));
    }
    if faults.is_empty() {
        Ok(toleration)
    } else {
        Err(faults)
    }
}

fn unknown_field(name: &str) -> String {
    match nearest(name, FIELDS) {
        Some(field) => suggestion(Some(&field)),
        None => format!(" (known are {})", FIELDS.join(", ")),
    }
}

/// What the API server would refuse (`ValidateTolerations`), said before a pod is sent.
fn contradictions(toleration: &Toleration) -> Vec<String> {
    let Toleration {
        key,
        operator,
        value,
        effect,
        toleration_seconds,
    } = toleration;
    let exists = operator.as_deref() == Some("Exists");
    let mut faults = Vec::new();
    if key.is_none() && !exists {
        faults.push("without a key, the operator must be Exists".to_owned());
    }
    if exists && value.is_some() {
        faults.push("the operator Exists takes no value".to_owned());
    }
    if toleration_seconds.is_some() && effect.as_deref() != Some("NoExecute") {
        faults.push("toleration_seconds needs the effect NoExecute".to_owned());
    }
    faults
}

/// Null and the empty text are "not set", as in the API.
fn text(field: &str, value: Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(if text.is_empty() { None } else { Some(text) }),
        // What was written is not known any more: YAML takes each of these for true or false.
        Value::Bool(_) => Err(format!(
            "{field} must be text, and a bare y, yes, on, n, no, off, true or false is none: put it in quotes"
        )),
        Value::Number(_) => Err(format!("{field} must be text: put the number in quotes")),
        Value::Array(_) | Value::Object(_) => Err(format!("{field} must be text")),
    }
}

fn one_of(field: &str, value: Value, allowed: &[&str]) -> Result<Option<String>, String> {
    match text(field, value)? {
        Some(text) if !allowed.contains(&text.as_str()) => {
            Err(format!("{field} is {text:?}; allowed is {}", allowed.join(", ")))
        }
        text => Ok(text),
    }
}

fn seconds(field: &str, value: &Value) -> Result<Option<i64>, String> {
    match value {
        Value::Null => Ok(None),
        other => other
            .as_i64()
            .map(Some)
            .ok_or_else(|| format!("{field} must be a whole number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_list(yaml: &str) -> Result<Vec<Toleration>, String> {
        decode(Raw::Text(yaml.to_owned())).map_err(|mismatches| {
            let details: Vec<_> = mismatches
                .into_iter()
                .filter_map(|mismatch| mismatch.detail)
                .collect();
            details.join("; ")
        })
    }

    #[test]
    fn both_spellings_are_read() {
        for name in ["toleration_seconds", "tolerationSeconds"] {
            let yaml = format!(
                "- key: a\n  operator: Exists\n  effect: NoExecute\n  {name}: 30\n- {{key: b, value: c}}"
            );
            let list = parse_list(&yaml).unwrap();
            assert_eq!(list.len(), 2);
            assert_eq!(
                list[0],
                Toleration {
                    key: Some("a".to_owned()),
                    operator: Some("Exists".to_owned()),
                    value: None,
                    effect: Some("NoExecute".to_owned()),
                    toleration_seconds: Some(30),
                }
            );
            assert_eq!(list[1].value.as_deref(), Some("c"));
        }
    }

    #[test]
    fn nothing_is_an_empty_list() {
        for yaml in ["", "  ", "[]", "null", "# none"] {
            assert_eq!(parse_list(yaml), Ok(vec![]), "{yaml:?}");
        }
    }

    #[test]
    fn each_fault_is_named_with_its_item() {
        for (yaml, expected) in [
            (
                "- key: a\n- {keyy: b, operator: Exists}",
                "item 2: there is no field \"keyy\"; did you mean key?",
            ),
            (
                "- {tolerationSecond: 3, operator: Exists}",
                "did you mean toleration_seconds?",
            ),
            (
                "- {zzz: 1, operator: Exists}",
                "known are key, operator, value, effect, toleration_seconds",
            ),
            (
                "- {key: a, value: true}",
                "value must be text, and a bare y, yes, on, n, no, off, true or false is none: put it in quotes",
            ),
            ("- {key: y}", "key must be text, and a bare y"),
            (
                "- {key: a, value: 8}",
                "value must be text: put the number in quotes",
            ),
            ("- {key: a, value: [1]}", "value must be text"),
            (
                "- {key: a, operator: exists}",
                "operator is \"exists\"; allowed is Exists, Equal, Lt, Gt",
            ),
            (
                "- {key: a, effect: Never}",
                "effect is \"Never\"; allowed is NoSchedule",
            ),
            (
                "- {key: a, effect: NoExecute, toleration_seconds: soon}",
                "must be a whole number",
            ),
            ("- {key: a, toleration_seconds: 3}", "needs the effect NoExecute"),
            ("- {operator: Exists, value: a}", "takes no value"),
            ("- {value: a}", "without a key, the operator must be Exists"),
            ("key: a", "not a YAML list of mappings"),
            ("- a", "not a YAML list of mappings"),
            ("- {key: [", "not a YAML list of mappings"),
        ] {
            let fault = parse_list(yaml).unwrap_err();
            assert!(fault.contains(expected), "{yaml}: {fault}");
            assert_eq!(fault.lines().count(), 1, "{fault}");
        }
        let both = parse_list("- {value: a}\n- {zzz: 1}").unwrap_err();
        assert!(both.contains("item 1: ") && both.contains("item 2: "), "{both}");
    }
}
