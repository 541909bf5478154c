//! A line for every setting: the key, its default, a value that it takes and one that it does not, all in TOML. A
//! setting without a line fails the tests, and so does a line without a setting.

/// What the tests know of a setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) key: &'static str,
    /// Empty: not set.
    pub(crate) default: &'static str,
    pub(crate) good: &'static str,
    /// Empty where everything is taken.
    pub(crate) bad: &'static str,
}

const BLANK: &str = "' '";
const TABLE: &str = "{ a = 'b' }";
const TABLES: &str = "[{ name = 'a' }, { name = 'b' }]";

pub(crate) fn samples() -> impl Iterator<Item = Sample> {
    [
        TOP_LEVEL, CLUSTER, WORKSPACE, IMAGE, PLACEMENT, SECURITY, NETWORK, SANDBOX, IGNORED, PODBAY, AGENT,
        SERVE,
    ]
    .into_iter()
    .flatten()
    .map(|(key, default, good, bad)| Sample {
        key,
        default,
        good,
        bad,
    })
}

type Line = (&'static str, &'static str, &'static str, &'static str);

const TOP_LEVEL: &[Line] = &[
    (
        "workspace_mount_path_in_sandbox",
        "\"/workspace\"",
        "'/somewhere'",
        "'somewhere'",
    ),
    ("runtime", "\"auto\"", "'K8s'", "'kubernets'"),
    ("debug", "false", "true", "'maybe'"),
    ("run_as_openhands", "true", "false", "2"),
    ("enable_browser", "true", "'False'", "2"),
    ("max_concurrent_conversations", "", "3", "0"),
];

const CLUSTER: &[Line] = &[
    ("kubernetes.kubeconfig", "", "'/k'", "['/k']"),
    ("kubernetes.context", "", "'other'", BLANK),
    ("kubernetes.namespace", "\"default\"", "'other'", BLANK),
    ("kubernetes.workload", "\"pod\"", "'job'", "'jobs'"),
    ("kubernetes.job_ttl_seconds_after_finished", "", "0", "-1"),
    ("kubernetes.active_deadline_seconds", "", "3600", "0"),
    (
        "kubernetes.cleanup_policy",
        "\"always_clean\"",
        "'keep_on_failure'",
        "'keep'",
    ),
    ("kubernetes.max_sessions", "", "7", "0"),
    (
        "kubernetes.start_retries",
        "{}",
        "{ node_lost = 1 }",
        "{ node_lost = 101 }",
    ),
    ("kubernetes.annotations", "{}", TABLE, "{ a = 1 }"),
    (
        "kubernetes.pod_template",
        "",
        "{ spec = { hostname = 'a' } }",
        "'- a'",
    ),
];

const WORKSPACE: &[Line] = &[
    ("kubernetes.pvc_storage_size", "\"2Gi\"", "'5Gi'", BLANK),
    ("kubernetes.pvc_storage_class", "", "'fast'", BLANK),
    ("kubernetes.pvc_existing_claim", "", "'mine'", BLANK),
    (
        "kubernetes.pvc_access_modes",
        "[\"ReadWriteOnce\"]",
        "['ReadWriteMany']",
        "['ReadWriteOnce', 'ReadWrite']",
    ),
    ("kubernetes.pvc_snapshot", "", "'monday'", BLANK),
    (
        "kubernetes.workspace_volume",
        "\"auto\"",
        "'empty_dir'",
        "'emptydirs'",
    ),
    ("kubernetes.workspace_size_limit", "", "'1Gi'", BLANK),
    ("kubernetes.workspace_host_path", "", "'/srv/work'", "'work'"),
    ("kubernetes.volumes", "[]", TABLES, "[{}, 1]"),
    ("kubernetes.volume_mounts", "[]", TABLES, "'a: b'"),
    ("kubernetes.cache_claim", "", "'cache'", BLANK),
    ("kubernetes.cache_host_path", "", "'/srv/cache'", "'/'"),
    (
        "kubernetes.cache_mount_path",
        "\"/cache\"",
        "'/var/cache'",
        "'/a:b'",
    ),
];

const IMAGE: &[Line] = &[
    ("kubernetes.image_pull_secret", "", "'registry'", BLANK),
    ("kubernetes.image_pull_secrets", "[]", "['a', 'b']", "['a', '']"),
    ("kubernetes.pull_policy", "", "'always'", "'Sometimes'"),
    ("kubernetes.runtime_image_repo", "", "'example/runtime'", BLANK),
    ("kubernetes.runtime_image_tag", "", "'1.2'", BLANK),
    (
        "kubernetes.registry_mirrors",
        "{}",
        "{ 'docker.io' = 'mirror.example/hub' }",
        "{ ' ' = 'a' }",
    ),
    ("kubernetes.mount_source", "false", "true", "'yes'"),
    (
        "kubernetes.source_host_path",
        "",
        "'/srv/openhands'",
        "'openhands'",
    ),
    ("kubernetes.source_claim", "", "'source'", BLANK),
    ("kubernetes.source_config_map", "", "'source'", BLANK),
    ("kubernetes.ca_bundle_config_map", "", "'authorities'", BLANK),
    ("kubernetes.ca_bundle_key", "\"ca.crt\"", "'bundle.pem'", BLANK),
];

const PLACEMENT: &[Line] = &[
    ("kubernetes.resource_cpu_request", "\"1\"", "'500m'", BLANK),
    ("kubernetes.resource_cpu_limit", "", "'2'", BLANK),
    ("kubernetes.resource_memory_request", "\"1Gi\"", "'2Gi'", BLANK),
    ("kubernetes.resource_memory_limit", "\"2Gi\"", "'4Gi'", BLANK),
    (
        "kubernetes.resource_ephemeral_storage_request",
        "",
        "'1Gi'",
        BLANK,
    ),
    ("kubernetes.resource_ephemeral_storage_limit", "", "'2Gi'", BLANK),
    (
        "kubernetes.extended_resources",
        "{}",
        "{ 'nvidia.com/gpu' = 1 }",
        "{ 'nvidia.com/gpu' = 0 }",
    ),
    (
        "kubernetes.gpu_resource_name",
        "\"nvidia.com/gpu\"",
        "'amd.com/gpu'",
        BLANK,
    ),
    ("kubernetes.node_selector_key", "", "'pool'", BLANK),
    ("kubernetes.node_selector_val", "", "'agents'", BLANK),
    (
        "kubernetes.node_selector",
        "{}",
        "{ 'example.com/pool' = 'agents' }",
        "{ pool = true }",
    ),
    (
        "kubernetes.tolerations_yaml",
        "[]",
        "'[{operator: Exists}]'",
        "'[{keyy: a, operator: Exists}]'",
    ),
    (
        "kubernetes.tolerations",
        "[]",
        "[{ operator = 'Exists' }]",
        "[{ operator = 'exists' }]",
    ),
    ("kubernetes.affinity", "", "{ nodeAffinity = {} }", "3"),
    (
        "kubernetes.topology_spread_constraints",
        "[]",
        "[{ maxSkew = 1 }]",
        "{ maxSkew = 1 }",
    ),
    ("kubernetes.runtime_class", "", "'gvisor'", BLANK),
    ("kubernetes.priority_class", "", "'low'", BLANK),
    ("kubernetes.scheduler_name", "", "'volcano'", BLANK),
];

const SECURITY: &[Line] = &[
    ("kubernetes.profile", "", "'baseline'", "'base'"),
    ("kubernetes.privileged", "false", "'true'", "'maybe'"),
    ("kubernetes.run_as_user", "", "1000", "2147483648"),
    ("kubernetes.run_as_group", "", "0", "-1"),
    ("kubernetes.fs_group", "", "'1000'", "1.5"),
    (
        "kubernetes.supplemental_groups",
        "[]",
        "[1, 2]",
        "[1, 2147483648]",
    ),
    ("kubernetes.uid_from_cluster", "false", "true", "'no'"),
    ("kubernetes.read_only_root_filesystem", "", "false", "'no'"),
    ("kubernetes.allow_privilege_escalation", "", "true", "2"),
    ("kubernetes.capabilities_add", "[]", "['NET_ADMIN']", "['']"),
    ("kubernetes.capabilities_drop", "[]", "['ALL']", "[1]"),
    (
        "kubernetes.seccomp_profile",
        "",
        "'Localhost/audit.json'",
        "'Localhost/'",
    ),
    ("kubernetes.service_account", "", "'agent'", BLANK),
    (
        "kubernetes.automount_service_account_token",
        "false",
        "true",
        "'t'",
    ),
];

const NETWORK: &[Line] = &[
    (
        "kubernetes.ingress_domain",
        "\"localhost\"",
        "'example.com'",
        BLANK,
    ),
    ("kubernetes.ingress", "true", "false", "'off'"),
    ("kubernetes.ingress_class", "", "'nginx'", BLANK),
    ("kubernetes.ingress_annotations", "{}", TABLE, "['a']"),
    ("kubernetes.ingress_tls_secret", "", "'tls'", BLANK),
    ("kubernetes.gateway", "", "'infra/gate'", BLANK),
    ("kubernetes.network", "\"default\"", "'open'", "'closed'"),
    (
        "kubernetes.network_allow",
        "[]",
        "['10.1.2.0/24', '[fd00::/8]:443']",
        "['']",
    ),
    ("kubernetes.network_deny", "[]", "['203.0.113.7/32']", "[1]"),
    (
        "kubernetes.agent_from",
        "[]",
        "[{ podSelector = { matchLabels = { app = 'podbay' } } }]",
        "['podbay']",
    ),
    ("kubernetes.host_network", "false", "true", "'host'"),
    ("kubernetes.server_port", "8080", "3000", "0"),
    (
        "kubernetes.app_ports",
        "[30082, 30083]",
        "[8000]",
        "[8000, 65536]",
    ),
    (
        "kubernetes.cluster_domain",
        "\"cluster.local\"",
        "'k8s.example'",
        BLANK,
    ),
    (
        "kubernetes.host_aliases",
        "[]",
        "[{ ip = '10.0.0.1' }]",
        "['10.0.0.1']",
    ),
];

const SANDBOX: &[Line] = &[
    (
        "sandbox.base_container_image",
        "\"nikolaik/python-nodejs:python3.12-nodejs22\"",
        "'debian:12'",
        BLANK,
    ),
    (
        "sandbox.runtime_container_image",
        "",
        "'example/runtime:1'",
        BLANK,
    ),
    (
        "sandbox.runtime_startup_env_vars",
        "{}",
        "{ TOKEN = 'hunter2' }",
        "{ 'TOKEN=' = 'hunter2' }",
    ),
    ("sandbox.remote_runtime_resource_factor", "1", "8", "3"),
    ("sandbox.remote_runtime_init_timeout", "", "180", "0"),
    ("sandbox.remote_runtime_api_timeout", "", "'10'", "'ten'"),
    ("sandbox.remote_runtime_enable_retries", "true", "false", "'no'"),
    ("sandbox.remote_runtime_class", "", "'sysbox'", "'gviser'"),
    ("sandbox.keep_runtime_alive", "false", "true", "'no'"),
    ("sandbox.user_id", "", "1000", "-1"),
    ("sandbox.timeout", "", "120", "0"),
    ("sandbox.use_host_network", "false", "true", "'no'"),
    ("sandbox.initialize_plugins", "true", "false", "'no'"),
    ("sandbox.browsergym_eval_env", "", "'browsergym/miniwob'", BLANK),
    ("sandbox.vscode_port", "", "8081", "65536"),
    ("sandbox.platform", "", "'linux/arm64'", "'linux'"),
    ("sandbox.enable_gpu", "false", "true", "'no'"),
    ("sandbox.cuda_visible_devices", "", "'0,1'", BLANK),
    ("sandbox.volumes", "", "'/a:/b:ro,claim:/c'", BLANK),
];

const IGNORED: &[Line] = &[
    (
        "sandbox.remote_runtime_api_url",
        "\"http://localhost:8000\"",
        "'http://a'",
        "",
    ),
    (
        "sandbox.local_runtime_url",
        "\"http://localhost\"",
        "'http://a'",
        "",
    ),
    ("sandbox.api_key", "", "'hunter2'", ""),
    ("sandbox.pause_closed_runtimes", "true", "false", ""),
    ("sandbox.rm_all_containers", "false", "true", ""),
    ("sandbox.enable_auto_lint", "false", "true", ""),
    ("sandbox.additional_networks", "[]", "['a']", ""),
    (
        "sandbox.runtime_binding_address",
        "\"0.0.0.0\"",
        "'127.0.0.1'",
        "",
    ),
    ("sandbox.runtime_extra_build_args", "[]", "['--no-cache']", ""),
    ("sandbox.force_rebuild_runtime", "false", "true", ""),
    ("sandbox.runtime_extra_deps", "", "'pip install a'", ""),
    ("sandbox.close_delay", "3600", "60", ""),
    ("sandbox.docker_runtime_kwargs", "", "{ dns = ['192.0.2.1'] }", ""),
    ("sandbox.selected_repo", "", "'a/b'", ""),
    ("sandbox.trusted_dirs", "[]", "['/a']", ""),
];

const PODBAY: &[Line] = &[
    ("podbay.start_timeout_seconds", "300", "7", "0"),
    ("podbay.unschedulable_grace_seconds", "4", "0", "-1"),
    ("podbay.capacity_grace_seconds", "60", "7", "-1"),
    ("podbay.image_pull_grace_seconds", "20", "7", "-1"),
    ("podbay.config_error_grace_seconds", "3", "7", "-1"),
    ("podbay.volume_grace_seconds", "30", "7", "-1"),
    ("podbay.claim_grace_seconds", "30", "7", "'soon'"),
    ("podbay.node_lost_grace_seconds", "10", "7", "-1"),
    ("podbay.deletion_timeout_seconds", "60", "7", "-1"),
    ("podbay.termination_grace_seconds", "5", "7", "31536001"),
    ("podbay.request_timeout_seconds", "30", "7", "1.5"),
    ("podbay.start_retry_delay_seconds", "5", "0", "-1"),
    ("podbay.failed_session_ttl_seconds", "86400", "7", "0"),
    ("podbay.requests_per_second", "50", "7", "0"),
    ("podbay.request_burst", "100", "7", "4294967296"),
    ("podbay.exec_ping_interval_seconds", "15", "7", "0"),
    // More than the interval's default.
    ("podbay.exec_ping_timeout_seconds", "45", "100", "0"),
];

const AGENT: &[Line] = &[
    ("agent.delivery", "\"auto\"", "'upload'", "'uploads'"),
    ("agent.image", "", "'registry.example/podbay-agent:1'", BLANK),
    ("agent.dial", "\"auto\"", "'stdio'", "'ssh'"),
    ("agent.binary", "", "'/opt/podbay-agent'", "['/a']"),
    ("agent.port", "10022", "8090", "0"),
    ("agent.spool_size", "\"1Gi\"", "'4Gi'", BLANK),
    ("agent.log_level", "\"warn\"", "'info'", "'loud'"),
];

const SERVE: &[Line] = &[
    ("serve.listen", "\"127.0.0.1:8000\"", "'[::]:80'", "'localhost'"),
    ("serve.domain", "", "'run.example.com'", BLANK),
    ("serve.url_style", "\"auto\"", "'path'", "'query'"),
    ("serve.url_scheme", "\"auto\"", "'https'", "'ftp'"),
    ("serve.url_separator", "\".\"", "'-'", "'_'"),
    ("serve.ports", "\"21000-28999\"", "'1-4'", "'4-6'"),
    ("serve.tls_cert_file", "", "'/tls/tls.crt'", "['/a']"),
    ("serve.tls_private_key_file", "", "'/tls/tls.key'", "['/a']"),
    ("serve.behind_proxy", "false", "true", "'perhaps'"),
    ("serve.browser_secret_file", "", "'/secret'", "['/a']"),
    ("serve.hold_starting_seconds", "30", "0", "86401"),
    ("serve.hold_waking_seconds", "120", "0", "86401"),
    ("serve.wake", "true", "false", "'perhaps'"),
    ("serve.max_connections", "16384", "1", "0"),
    ("serve.header_timeout_seconds", "30", "5", "0"),
    ("serve.api_body_bytes", "4194304", "1024", "1023"),
    ("serve.drain_seconds", "20", "0", "86401"),
    ("serve.metrics_listen", "", "'9090'", "'localhost'"),
    ("serve.log_format", "\"text\"", "'json'", "'xml'"),
    ("serve.hold_milliseconds", "1000", "0", "5001"),
    ("serve.v0_server", "[\"agent\"]", "['ghcr.io/*']", "[' ']"),
    ("serve.persistent", "true", "false", "'perhaps'"),
    ("serve.adopt_unowned", "", "'alice'", BLANK),
    ("serve.api_key", "", "'k'", "' k'"),
    ("serve.api_key_owner", "\"default\"", "'alice'", BLANK),
    (
        "serve.keys",
        "[]",
        "[{ name = 'a', owner = 'b', sha256 = '000000000000000000000000000000000000000000000000000000000000000f' }]",
        "[{ name = 'a', owner = 'b', sha256 = 'the key itself' }]",
    ),
    ("serve.keys_file", "", "'/etc/podbay/keys.json'", "['/a']"),
    ("serve.resource_factor_limit", "8", "2", "16"),
    ("serve.pause_drain_seconds", "5", "0", "121"),
    ("serve.trusted_single_tenant", "false", "true", "'perhaps'"),
    ("serve.image_registries", "[]", "['ghcr.io']", "[' ']"),
    (
        "serve.private_image_registries",
        "[]",
        "['http://registry.internal:5000']",
        "[' ']",
    ),
    (
        "serve.registry_auth_file",
        "",
        "'/etc/podbay/registries.json'",
        "['/a']",
    ),
    ("serve.registry_prefix", "", "'registry.example/team'", BLANK),
    (
        "serve.warm_runtimes_file",
        "",
        "'/config/warm-runtimes.json'",
        "['/a']",
    ),
    ("serve.max_sessions_per_owner", "", "20", "0"),
    ("serve.starts_per_minute", "", "30", "0"),
    (
        "serve.runtime_classes",
        "{ sysbox-runc = \"\" }",
        "{ gvisor = 'gvisor' }",
        "{ ' ' = 'a' }",
    ),
];

/// What must be set with a setting for it to be valid, as variables.
pub(crate) fn partners(key: &str) -> &'static [(&'static str, &'static str)] {
    match key {
        "kubernetes.node_selector_key" => &[("PODBAY_KUBERNETES_NODE_SELECTOR_VAL", "a")],
        "serve.tls_cert_file" => &[("PODBAY_SERVE_TLS_PRIVATE_KEY_FILE", "/k")],
        "serve.tls_private_key_file" => &[("PODBAY_SERVE_TLS_CERT_FILE", "/c")],
        "kubernetes.node_selector_val" => &[("PODBAY_KUBERNETES_NODE_SELECTOR_KEY", "a")],
        "kubernetes.automount_service_account_token" => &[("PODBAY_KUBERNETES_SERVICE_ACCOUNT", "a")],
        "kubernetes.workspace_host_path" => &[("PODBAY_KUBERNETES_WORKSPACE_VOLUME", "host_path")],
        "kubernetes.runtime_image_tag" => &[("PODBAY_KUBERNETES_RUNTIME_IMAGE_REPO", "a")],
        "kubernetes.mount_source" => &[("PODBAY_KUBERNETES_SOURCE_CLAIM", "a")],
        "kubernetes.source_host_path" | "kubernetes.source_claim" | "kubernetes.source_config_map" => {
            &[("PODBAY_KUBERNETES_MOUNT_SOURCE", "true")]
        }
        "kubernetes.host_network" | "sandbox.use_host_network" => {
            &[("PODBAY_KUBERNETES_PROFILE", "privileged")]
        }
        "kubernetes.job_ttl_seconds_after_finished" => &[("PODBAY_KUBERNETES_WORKLOAD", "job")],
        "kubernetes.ca_bundle_key" => &[("PODBAY_KUBERNETES_CA_BUNDLE_CONFIG_MAP", "a")],
        "sandbox.cuda_visible_devices" => &[("PODBAY_SANDBOX_ENABLE_GPU", "1")],
        _ => &[],
    }
}

/// A file with one setting; its value stands on the last line.
pub(crate) fn file_with(key: &str, value: &str) -> String {
    match key.split_once('.') {
        Some((section, name)) => format!("[{section}]\n{name} = {value}"),
        None => format!("\n{key} = {value}"),
    }
}

/// A value of TOML as the text of a variable: lists and tables as JSON.
pub(crate) fn as_text(value: &str) -> String {
    let document: toml::Table = format!("value = {value}").parse().unwrap();
    match &document["value"] {
        toml::Value::String(text) => text.clone(),
        other => serde_json::to_value(other).unwrap().to_string(),
    }
}
