//! What a client's update makes of an object: optimistic concurrency, and which fields are not the client's.

use podbay_k8s_client::{ErrorKind, Object, ObjectKey};
use serde_json::Value;

use super::defaults::merge_string_data;
use super::denial::Denial;
use crate::validation;

/// An update of all but the status.
pub(super) fn update(key: &ObjectKey, before: &Object, mut sent: Object) -> Result<Object, Denial> {
    is_current(key, before, &sent)?;
    keep_status(before, &mut sent);
    finish(key, before, sent)
}

/// An update of the status alone.
pub(super) fn update_status(key: &ObjectKey, before: &Object, sent: &Object) -> Result<Object, Denial> {
    is_current(key, before, sent)?;
    let mut after = before.clone();
    keep_status(sent, &mut after);
    Ok(after)
}

/// A JSON merge patch.
pub(super) fn patch(key: &ObjectKey, before: &Object, patch: &Value) -> Result<Object, Denial> {
    let broken = |error: serde_json::Error| Denial::new(ErrorKind::Invalid, error.to_string());
    let mut json = before.to_json().map_err(broken)?;
    let sent = &patch["metadata"];
    for (field, current) in [
        ("resourceVersion", before.metadata().resource_version.as_deref()),
        ("uid", before.metadata().uid.as_deref()),
    ] {
        if let Some(asked) = sent[field].as_str().filter(|asked| !asked.is_empty())
            && Some(asked) != current
        {
            let found = current.unwrap_or_default();
            return Err(match field {
                "uid" => Denial::precondition(key, "UID", asked, found),
                _ => Denial::stale(key),
            });
        }
    }
    merge(&mut json, patch);
    let mut after = Object::from_json(key.kind, json).map_err(broken)?;
    keep_status(before, &mut after);
    finish(key, before, after)
}

/// RFC 7386, section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in fields {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn is_current(key: &ObjectKey, before: &Object, sent: &Object) -> Result<(), Denial> {
    let asked = sent.metadata().resource_version.as_deref().unwrap_or_default();
    if !asked.is_empty() && Some(asked) != before.metadata().resource_version.as_deref() {
        return Err(Denial::stale(key));
    }
    match sent.uid() {
        "" => Ok(()),
        uid if uid == before.uid() => Ok(()),
        uid => Err(Denial::precondition(key, "UID", uid, before.uid())),
    }
}

/// What the server decides, and whether the rest may be.
fn finish(key: &ObjectKey, before: &Object, mut after: Object) -> Result<Object, Denial> {
    if let Object::Secret(secret) = &mut after {
        merge_string_data(secret);
    }
    let metadata = before.metadata();
    let changed = after.metadata_mut();
    changed.name.clone_from(&metadata.name);
    changed.namespace.clone_from(&metadata.namespace);
    changed.generate_name.clone_from(&metadata.generate_name);
    changed.uid.clone_from(&metadata.uid);
    changed
        .creation_timestamp
        .clone_from(&metadata.creation_timestamp);
    changed
        .deletion_timestamp
        .clone_from(&metadata.deletion_timestamp);
    changed.deletion_grace_period_seconds = metadata.deletion_grace_period_seconds;
    changed.resource_version.clone_from(&metadata.resource_version);
    changed.generation = metadata.generation;
    if !same_spec(before, &after) {
        let generation = after.metadata().generation;
        after.metadata_mut().generation = generation.map(|generation| generation + 1);
    }
    let problems = validation::of_change(before, &after);
    if problems.is_empty() {
        Ok(after)
    } else {
        Err(Denial::invalid(key, &problems))
    }
}

/// Whether the specifications are the same; true where the API counts no generation.
fn same_spec(before: &Object, after: &Object) -> bool {
    match (before, after) {
        (Object::Job(before), Object::Job(after)) => before.spec == after.spec,
        (Object::Ingress(before), Object::Ingress(after)) => before.spec == after.spec,
        (Object::NetworkPolicy(before), Object::NetworkPolicy(after)) => before.spec == after.spec,
        (Object::HttpRoute(before), Object::HttpRoute(after)) => before.spec == after.spec,
        _ => true,
    }
}

/// Puts the status of `from` on `to`, for kinds that have one.
fn keep_status(from: &Object, to: &mut Object) {
    match (from, to) {
        (Object::Pod(from), Object::Pod(to)) => to.status.clone_from(&from.status),
        (Object::PersistentVolumeClaim(from), Object::PersistentVolumeClaim(to)) => {
            to.status.clone_from(&from.status);
        }
        (Object::Job(from), Object::Job(to)) => to.status.clone_from(&from.status),
        (Object::Service(from), Object::Service(to)) => to.status.clone_from(&from.status),
        (Object::Ingress(from), Object::Ingress(to)) => to.status.clone_from(&from.status),
        _ => {}
    }
}
