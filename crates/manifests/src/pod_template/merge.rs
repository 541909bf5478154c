//! Kubernetes' strategic merge patch on a pod.
//!
//! <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>

use serde_json::{Map, Value};

use super::PodTemplateError;

/// Directive of a map or an item of a list: what is done with it.
const PATCH: &str = "$patch";
/// Directive of a map: the only keys that stay.
const RETAIN: &str = "$retainKeys";

/// What [`PATCH`] says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Delete,
    Replace,
}

/// The `patchMergeKey` of the list at `path`, where the API has one for it.
fn merge_key(path: &[&str]) -> Option<&'static str> {
    let containers = ["containers", "initContainers", "ephemeralContainers"];
    match path {
        ["metadata", "ownerReferences"] => Some("uid"),
        ["spec", list] if containers.contains(list) => Some("name"),
        [
            "spec",
            "volumes" | "imagePullSecrets" | "resourceClaims" | "schedulingGates",
        ] => Some("name"),
        ["spec", "hostAliases"] => Some("ip"),
        ["spec", "topologySpreadConstraints"] => Some("topologyKey"),
        ["spec", list, field] if containers.contains(list) => match *field {
            "env" => Some("name"),
            "ports" => Some("containerPort"),
            "volumeMounts" => Some("mountPath"),
            "volumeDevices" => Some("devicePath"),
            _ => None,
        },
        _ => None,
    }
}

/// `base` with `patch` over it.
pub(super) fn merge(base: Value, patch: &Value) -> Value {
    merge_at(&mut Vec::new(), Some(base), patch).unwrap_or(Value::Null)
}

fn merge_at<'a>(path: &mut Vec<&'a str>, base: Option<Value>, patch: &'a Value) -> Option<Value> {
    match patch {
        Value::Null => None,
        Value::Object(patch) => merge_maps(path, base, patch),
        Value::Array(items) => Some(match merge_key(path) {
            Some(key) => merge_lists(path, base, items, key),
            None => patch.clone(),
        }),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(patch.clone()),
    }
}

fn merge_maps<'a>(
    path: &mut Vec<&'a str>,
    base: Option<Value>,
    patch: &'a Map<String, Value>,
) -> Option<Value> {
    let mut merged = match (directive(patch), base) {
        (Some(Directive::Delete), _) => return None,
        (None, Some(Value::Object(base))) => base,
        (Some(Directive::Replace) | None, _) => Map::new(),
    };
    if let Some(Value::Array(retained)) = patch.get(RETAIN) {
        merged.retain(|key, _| retained.iter().any(|retained| retained == key));
    }
    for (key, value) in patch.iter().filter(|(key, _)| !is_directive(key)) {
        path.push(key);
        if let Some(value) = merge_at(path, merged.remove(key), value) {
            merged.insert(key.clone(), value);
        }
        path.pop();
    }
    Some(Value::Object(merged))
}

fn merge_lists<'a>(
    path: &mut Vec<&'a str>,
    base: Option<Value>,
    patch: &'a [Value],
    key: &'static str,
) -> Value {
    // An item that is nothing but `$patch: replace` is about the whole list.
    let replaces = |item: &Value| {
        let fields = item.as_object();
        fields.is_some_and(|item| directive(item) == Some(Directive::Replace) && !item.contains_key(key))
    };
    let mut merged = match base {
        Some(Value::Array(base)) if !patch.iter().any(replaces) => base,
        _ => Vec::new(),
    };
    for item in patch.iter().filter(|item| !replaces(item)) {
        let same = |known: &Value| known.get(key).is_some() && known.get(key) == item.get(key);
        match merged.iter().position(same) {
            Some(index) => {
                if let Some(item) = merge_at(path, Some(merged.remove(index)), item) {
                    merged.insert(index, item);
                }
            }
            None => merged.extend(merge_at(path, None, item)),
        }
    }
    Value::Array(merged)
}

fn directive(patch: &Map<String, Value>) -> Option<Directive> {
    match patch.get(PATCH)?.as_str()? {
        "delete" => Some(Directive::Delete),
        "replace" => Some(Directive::Replace),
        _ => None,
    }
}

fn is_directive(key: &str) -> bool {
    key == PATCH || key == RETAIN
}

/// Fields whose keys are free. A null in them takes a key away; elsewhere the API's types take a null themselves.
const MAPS: [&str; 5] = ["annotations", "labels", "limits", "nodeSelector", "requests"];

/// The patch as a piece of the API: without what only says how it is merged.
pub(super) fn without_directives(patch: &Value) -> Value {
    plain("", patch)
}

fn plain(field: &str, patch: &Value) -> Value {
    match patch {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, value)| {
                let taken_away = value.is_null() && MAPS.contains(&field);
                !is_directive(key) && !taken_away
            })
            .map(|(key, value)| (key.clone(), plain(key, value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items
            .iter()
            .map(|item| plain("", item))
            // What is left of an item that was a directive alone.
            .filter(|item| !item.as_object().is_some_and(Map::is_empty))
            .collect(),
        scalar => scalar.clone(),
    }
}

/// What is wrong with the directives of `patch`, and with items that can't be merged.
pub(super) fn check(patch: &Value) -> Vec<PodTemplateError> {
    let mut errors = Vec::new();
    check_at(&mut Vec::new(), "", patch, &mut errors);
    errors
}

fn check_at<'a>(path: &mut Vec<&'a str>, shown: &str, patch: &'a Value, errors: &mut Vec<PodTemplateError>) {
    match patch {
        Value::Object(fields) => {
            if let Some(found) = fields.get(PATCH)
                && directive(fields).is_none()
            {
                errors.push(PodTemplateError::Directive {
                    path: below(shown, PATCH),
                    found: found.to_string(),
                });
            }
            for (key, value) in fields.iter().filter(|(key, _)| !is_directive(key)) {
                path.push(key);
                check_at(path, &below(shown, key), value, errors);
                path.pop();
            }
        }
        Value::Array(items) => {
            let key = merge_key(path);
            for (index, item) in items.iter().enumerate() {
                let shown = format!("{shown}[{index}]");
                if let (Some(key), Some(fields)) = (key, item.as_object())
                    && !fields.contains_key(key)
                    && directive(fields) != Some(Directive::Replace)
                {
                    errors.push(PodTemplateError::NoKey {
                        path: shown.clone(),
                        key,
                    });
                }
                check_at(path, &shown, item, errors);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
