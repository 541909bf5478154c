//! What a client's update makes of an object: optimistic concurrency, and which fields are not the client's.

use k8s_openapi::api::core::v1::Service;
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
    let current = before.metadata().resource_version.as_deref();
    let asked = patch["metadata"]["resourceVersion"].as_str();
    if asked.is_some_and(|asked| !asked.is_empty() && Some(asked) != current) {
        return Err(Denial::stale(key));
    }
    merge(&mut json, patch);
    let mut after = Object::from_json(key.kind, json).map_err(broken)?;
    keep_status(before, &mut after);
    is_for(key, before, &after)?;
    finish(key, before, after)
}

/// Whether what a patch makes of an object is still the same object.
fn is_for(key: &ObjectKey, before: &Object, after: &Object) -> Result<(), Denial> {
    let (old, new) = (before.metadata(), after.metadata());
    if let Some(name) = new.name.as_ref().filter(|name| **name != key.name) {
        return Err(Denial::misdirected(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            key.name
        )));
    }
    if new
        .namespace
        .as_ref()
        .is_some_and(|namespace| *namespace != key.namespace)
    {
        return Err(Denial::misdirected(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let mut problems = Vec::new();
    let mut fixed = |field: &str, value: &str| {
        problems.push(format!(
            "metadata.{field}: Invalid value: {value:?}: field is immutable"
        ));
    };
    if let Some(uid) = new.uid.as_deref().filter(|uid| *uid != before.uid()) {
        fixed("uid", uid);
    }
    if let Some(time) = &new.deletion_timestamp
        && old.deletion_timestamp.as_ref() != Some(time)
    {
        fixed("deletionTimestamp", &time.0.to_string());
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Denial::invalid(key, &problems))
    }
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
        uid => Err(Denial::precondition(key, uid, before.uid())),
    }
}

/// What the server decides, and whether the rest may be.
fn finish(key: &ObjectKey, before: &Object, mut after: Object) -> Result<Object, Denial> {
    if let Object::Secret(secret) = &mut after {
        merge_string_data(secret);
    }
    if let (Object::Service(before), Object::Service(after)) = (before, &mut after) {
        keep_address(before, after);
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

/// An update that does not name the address keeps it.
fn keep_address(before: &Service, after: &mut Service) {
    if let (Some(before), Some(after)) = (&before.spec, &mut after.spec)
        && after.cluster_ip.is_none()
    {
        after.cluster_ip.clone_from(&before.cluster_ip);
        after.cluster_ips.clone_from(&before.cluster_ips);
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
