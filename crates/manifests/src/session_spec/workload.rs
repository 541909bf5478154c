//! What runs the session, for how long, and what stays of it.

use podbay_config::{CleanupPolicy, Config, KubernetesConfig, SandboxConfig, WorkloadKind};
use podbay_protocol::Field;
use serde::{Deserialize, Serialize};

use super::problems::Problems;
use crate::dns::DnsSubdomain;
use crate::request::SessionRequest;
use crate::word::Word;

/// The object that runs a session, and its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSpec {
    pub(crate) kind: Word<WorkloadKind>,
    pub(crate) cleanup_policy: Word<CleanupPolicy>,
    /// Seconds between TERM and KILL when the pod is deleted.
    pub(crate) termination_grace_seconds: u64,
    /// Seconds after which the kubelet ends the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) active_deadline_seconds: Option<u64>,
    /// Seconds after which an ended Job is deleted, with its pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) job_ttl_seconds: Option<u64>,
    /// The identity of the sandbox in the cluster; `None` is the namespace's `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service_account: Option<DnsSubdomain>,
    /// Whether the sandbox gets that identity's token.
    pub(crate) service_account_token: bool,
}

impl WorkloadSpec {
    pub(super) fn validate(problems: &mut Problems, config: &Config, request: &SessionRequest) -> Self {
        let kubernetes = &config.kubernetes;
        if kubernetes.automount_service_account_token && kubernetes.service_account.is_none() {
            problems.needs(
                Field::Setting("kubernetes.automount_service_account_token"),
                Field::Setting("kubernetes.service_account"),
            );
        }
        let kind = request.workload.unwrap_or(kubernetes.workload);
        Self {
            kind: Word(kind),
            cleanup_policy: Word(cleanup_policy(config)),
            termination_grace_seconds: config.podbay.termination_grace_seconds,
            active_deadline_seconds: kubernetes.active_deadline_seconds,
            job_ttl_seconds: kubernetes
                .job_ttl_seconds_after_finished
                .filter(|_| kind == WorkloadKind::Job),
            service_account: problems.optional_name(
                Field::Setting("kubernetes.service_account"),
                kubernetes.service_account.as_ref(),
            ),
            service_account_token: kubernetes.automount_service_account_token,
        }
    }
}

/// `kubernetes.cleanup_policy`, or where that has its default, what OpenHands' `sandbox.keep_runtime_alive`
/// says.
fn cleanup_policy(config: &Config) -> CleanupPolicy {
    let KubernetesConfig { cleanup_policy, .. } = config.kubernetes;
    let SandboxConfig {
        keep_runtime_alive, ..
    } = config.sandbox;
    let given = cleanup_policy != KubernetesConfig::default().cleanup_policy
        || super::is_given(config, Field::Setting("kubernetes.cleanup_policy"));
    if keep_runtime_alive && !given {
        CleanupPolicy::AlwaysKeep
    } else {
        cleanup_policy
    }
}
