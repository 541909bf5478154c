//! The persistent claim of a session's workspace.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};

use crate::metadata::metadata;
use crate::{ClaimSpec, SessionSpec};

/// The claim of the session `spec`, if its workspace is persistent.
///
/// It has no owner: it is the one object that outlives its session, until it is deleted by name.
pub fn claim(spec: &SessionSpec) -> Option<PersistentVolumeClaim> {
    let ClaimSpec { size, storage_class } = spec.claim.as_ref()?;
    Some(PersistentVolumeClaim {
        metadata: metadata(spec, spec.names().claim(), None),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
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
