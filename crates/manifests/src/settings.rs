//! Which settings a session's objects are made from.

/// Keys of the settings in use that no object of a session depends on: which cluster and namespace, waits and limits of
/// the client, how many sessions, what is tried again. Every other setting in use changes an object; the tests of this
/// crate hold both, so that whoever reads these settings knows which to test.
pub const SETTINGS_READ_ELSEWHERE: &[&str] = &[
    "runtime",
    "max_concurrent_conversations",
    "kubernetes.kubeconfig",
    "kubernetes.context",
    "kubernetes.namespace",
    "kubernetes.max_sessions",
    "kubernetes.start_retries",
    "sandbox.remote_runtime_api_timeout",
    "sandbox.remote_runtime_enable_retries",
    "sandbox.timeout",
    "agent.binary",
    "agent.dial",
    "podbay.unschedulable_grace_seconds",
    "podbay.capacity_grace_seconds",
    "podbay.image_pull_grace_seconds",
    "podbay.config_error_grace_seconds",
    "podbay.volume_grace_seconds",
    "podbay.claim_grace_seconds",
    "podbay.node_lost_grace_seconds",
    "podbay.deletion_timeout_seconds",
    "podbay.request_timeout_seconds",
    "podbay.requests_per_second",
    "podbay.request_burst",
    "podbay.exec_ping_interval_seconds",
    "podbay.exec_ping_timeout_seconds",
    "podbay.start_retry_delay_seconds",
    "podbay.failed_session_ttl_seconds",
];
