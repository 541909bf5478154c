//! `metadata` of a session's objects.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::labels::{OWNER, annotations, labels};
use crate::owner::Owner;
use crate::session_spec::SessionSpec;

/// Metadata of the object `name`: every object has the session's labels and its raw id, all but the record
/// and the claim have an owner.
pub(crate) fn metadata(spec: &SessionSpec, name: String, owner: Option<&Owner>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(spec.namespace().into()),
        labels: Some(labels_of(spec)),
        annotations: Some(annotations(&spec.id)),
        owner_references: owner.map(|owner| vec![owner.reference()]),
        ..ObjectMeta::default()
    }
}

fn labels_of(spec: &SessionSpec) -> BTreeMap<String, String> {
    let mut labels = labels(&spec.names(), &spec.labels);
    if let Some(owner) = &spec.owner {
        labels.insert(OWNER.into(), owner.to_string());
    }
    labels
}

/// The same with further annotations; of two of one key the last is taken, and ours stays.
pub(crate) fn metadata_with(
    spec: &SessionSpec,
    name: String,
    owner: Option<&Owner>,
    further: Vec<(String, String)>,
) -> ObjectMeta {
    let mut metadata = metadata(spec, name, owner);
    let ours = metadata.annotations.take().unwrap_or_default();
    metadata.annotations = Some(further.into_iter().chain(ours).collect());
    metadata
}
