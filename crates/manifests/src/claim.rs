//! The persistent claim of a session's workspace.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, TypedLocalObjectReference, VolumeResourceRequirements,
};

use crate::metadata::metadata;
use crate::session_spec::{ClaimSpec, SessionSpec};

/// API group of VolumeSnapshots.
const SNAPSHOT_GROUP: &str = "snapshot.storage.k8s.io";

/// The claim of the session `spec`, if its workspace is persistent.
///
/// It has no owner: it is the one object that outlives its session, until it is deleted by name.
pub fn claim(spec: &SessionSpec) -> Option<PersistentVolumeClaim> {
    let ClaimSpec {
        size,
        storage_class,
        access_modes,
        snapshot,
    } = spec.claim()?;
    Some(PersistentVolumeClaim {
        metadata: metadata(spec, spec.names().claim(), None),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(access_modes.clone()),
            data_source: snapshot.as_ref().map(|name| TypedLocalObjectReference {
                api_group: Some(SNAPSHOT_GROUP.into()),
                kind: "VolumeSnapshot".into(),
                name: name.to_string(),
            }),
            storage_class_name: storage_class.as_ref().map(ToString::to_string),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".into(), size.into())])),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    })
}
