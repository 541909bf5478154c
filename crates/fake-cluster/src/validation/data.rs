//! ConfigMaps, Secrets and claims.

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};

use super::problems::Problems;
use super::text;
use crate::store::Amount;

/// All values of a ConfigMap or Secret together, in bytes (`MaxSecretSize`).
const DATA_BYTES: usize = 1 << 20;

pub(super) fn validate_config_map(map: &ConfigMap, problems: &mut Problems) {
    let texts = map.data.iter().flatten();
    let texts = texts.map(|(key, value)| ("data", key, value.len()));
    let binaries = map.binary_data.iter().flatten();
    let binaries = binaries.map(|(key, value)| ("binaryData", key, value.0.len()));
    validate_values(texts.chain(binaries), "", problems);
    for (key, _) in map.data.iter().flatten() {
        if map
            .binary_data
            .as_ref()
            .is_some_and(|binary| binary.contains_key(key))
        {
            problems.invalid(
                format!("data[{key}]"),
                key,
                "duplicate of key present in binaryData",
            );
        }
    }
}

pub(super) fn validate_secret(secret: &Secret, problems: &mut Problems) {
    let values = secret.data.iter().flatten();
    let values = values.map(|(key, value)| ("data", key, value.0.len()));
    validate_values(values, "data", problems);
}

fn validate_values<'a>(
    values: impl Iterator<Item = (&'static str, &'a String, usize)>,
    whole: &str,
    problems: &mut Problems,
) {
    let mut bytes = 0;
    for (field, key, size) in values {
        if let Some(wrong) = text::data_key(key) {
            problems.invalid(format!("{field}[{key}]"), key, &wrong);
        }
        bytes += size;
    }
    if bytes > DATA_BYTES {
        // The server names no field for a ConfigMap.
        problems.too_long(if whole.is_empty() { "[]" } else { whole }, DATA_BYTES);
    }
}

pub(super) fn validate_claim(claim: &PersistentVolumeClaim, problems: &mut Problems) {
    const MODES: [&str; 4] = [
        "ReadOnlyMany",
        "ReadWriteMany",
        "ReadWriteOnce",
        "ReadWriteOncePod",
    ];
    let Some(spec) = &claim.spec else {
        return problems.required("spec", "");
    };
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    if modes.is_empty() {
        problems.required("spec.accessModes", "at least 1 access mode is required");
    }
    for mode in modes {
        if !MODES.contains(&mode.as_str()) {
            problems.unsupported("spec.accessModes", mode, &MODES);
        }
    }
    let requests = spec
        .resources
        .as_ref()
        .and_then(|resources| resources.requests.as_ref());
    match requests.and_then(|requests| requests.get("storage")) {
        None => problems.required("spec.resources[storage]", ""),
        Some(storage) => {
            if !Amount::parse(storage).is_some_and(Amount::is_positive) {
                problems.invalid("spec.resources[storage]", &storage.0, "must be greater than zero");
            }
        }
    }
    if let Some(class) = spec
        .storage_class_name
        .as_deref()
        .filter(|class| !class.is_empty())
        && let Some(wrong) = text::subdomain(class)
    {
        problems.invalid("spec.storageClassName", class, &wrong);
    }
}
