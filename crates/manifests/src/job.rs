//! A Job as what runs a session, for clusters that queue or account Jobs.

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::metadata::metadata;
use crate::owner::Owner;
use crate::pod;
use crate::session_spec::SessionSpec;

/// The Job of the session `spec`, with the same pod as its template. The Job has the record as its owner, and
/// the pod has the Job.
pub fn job(spec: &SessionSpec, owner: &Owner) -> Job {
    let pod = pod::of_job(spec);
    let ttl = spec.workload.job_ttl_seconds;
    Job {
        metadata: metadata(spec, spec.names().object(), Some(owner)),
        spec: Some(JobSpec {
            // A session that ended is not started again behind its client's back.
            backoff_limit: Some(0),
            // The next pod only when the last one is gone: never two at a time, as when a session is resumed.
            pod_replacement_policy: Some("Failed".into()),
            suspend: Some(false),
            ttl_seconds_after_finished: ttl.map(|ttl| i32::try_from(ttl).unwrap_or(i32::MAX)),
            template: PodTemplateSpec {
                // The Job names its pods itself, in its own namespace.
                metadata: Some(ObjectMeta {
                    name: None,
                    namespace: None,
                    ..pod.metadata
                }),
                spec: pod.spec,
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}
