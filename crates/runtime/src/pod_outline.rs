//! What of a pod a start looks at. A pod as the API has it takes some 30 KB of memory, most of it what we sent ourselves;
//! thousands of sessions that start at once keep only this.

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The pod without what no decision depends on: its state, its place, who it is and whose.
pub(crate) fn outline(pod: Pod) -> Pod {
    let ObjectMeta {
        name,
        namespace,
        uid,
        resource_version,
        creation_timestamp,
        deletion_timestamp,
        deletion_grace_period_seconds,
        labels,
        owner_references,
        ..
    } = pod.metadata;
    Pod {
        metadata: ObjectMeta {
            name,
            namespace,
            uid,
            resource_version,
            creation_timestamp,
            deletion_timestamp,
            deletion_grace_period_seconds,
            labels,
            owner_references,
            ..ObjectMeta::default()
        },
        spec: pod.spec.map(|spec| PodSpec {
            node_name: spec.node_name,
            readiness_gates: spec.readiness_gates,
            image_pull_secrets: spec.image_pull_secrets,
            ..PodSpec::default()
        }),
        status: pod.status,
    }
}
