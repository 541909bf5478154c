//! One change for each setting that this crate answers for.

use podbay_config::{
    AgentDelivery, ApiObject, CleanupPolicy, NetworkMode, ProfileName, PullPolicy, RemoteRuntimeClass,
    Toleration, WorkloadKind, WorkspaceVolume,
};
use serde_json::json;

use super::Case;
use crate::profile::Profile;
use crate::request::SessionRequest;
use crate::server::ServerKind;

/// Declares cases: the key, what must be configured and asked besides, and the change.
macro_rules! cases {
    ($($key:literal
        $(, given |$base:ident| $setup:expr)?
        $(, asking |$request:ident| $ask:expr)?
        => |$config:ident| $change:expr;)+) => {
        vec![$(
            Case {
                key: $key,
                base: |_config| { $(let $base = _config; $setup;)? },
                request: |_request| { $(let $request = _request; $ask;)? },
                change: |$config| { $change; },
            }
        ),+]
    };
}

fn object(value: &serde_json::Value) -> ApiObject {
    ApiObject::from(value.as_object().unwrap().clone())
}

fn server(request: &mut SessionRequest) {
    request.server = Some(ServerKind::OpenHands);
    request.profile = Some(Profile::Baseline);
}

fn with_port(request: &mut SessionRequest) {
    server(request);
    request.ports = vec![3000];
}

fn with_vscode(request: &mut SessionRequest) {
    server(request);
    request.vscode = true;
}

fn privileged(request: &mut SessionRequest) {
    request.profile = Some(Profile::Privileged);
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = top_level_and_sandbox();
    all.extend(storage_and_image());
    all.extend(resources_and_placement());
    all.extend(security_and_workload());
    all.extend(network_and_exposure());
    all.extend(agent());
    all
}

fn top_level_and_sandbox() -> Vec<Case> {
    cases! {
        "debug", asking |r| server(r) => |c| c.debug = true;
        "run_as_openhands", asking |r| server(r) => |c| c.run_as_openhands = false;
        "enable_browser", asking |r| server(r) => |c| c.enable_browser = false;
        "workspace_mount_path_in_sandbox" => |c| c.workspace_mount_path_in_sandbox = "/w".into();
        "sandbox.base_container_image" => |c| c.sandbox.base_container_image = "debian:12".into();
        "sandbox.runtime_container_image" => |c| c.sandbox.runtime_container_image = Some("debian:12".into());
        "sandbox.runtime_startup_env_vars" => |c| {
            c.sandbox.runtime_startup_env_vars = [("A".to_owned(), "1".into())].into();
        };
        "sandbox.remote_runtime_resource_factor" => |c| c.sandbox.remote_runtime_resource_factor = 2;
        "sandbox.remote_runtime_init_timeout", asking |r| server(r) => |c| {
            c.sandbox.remote_runtime_init_timeout = Some(180);
        };
        "sandbox.remote_runtime_class" => |c| {
            c.sandbox.remote_runtime_class = Some(RemoteRuntimeClass::Sysbox);
        };
        "sandbox.keep_runtime_alive" => |c| c.sandbox.keep_runtime_alive = true;
        "sandbox.user_id", asking |r| server(r) => |c| c.sandbox.user_id = Some(0);
        "sandbox.use_host_network",
            given |c| c.kubernetes.network = NetworkMode::Open,
            asking |r| privileged(r)
            => |c| c.sandbox.use_host_network = true;
        "sandbox.initialize_plugins", asking |r| server(r) => |c| c.sandbox.initialize_plugins = false;
        "sandbox.browsergym_eval_env", asking |r| server(r) => |c| {
            c.sandbox.browsergym_eval_env = Some("browsergym/miniwob".into());
        };
        "sandbox.vscode_port", asking |r| with_vscode(r) => |c| c.sandbox.vscode_port = Some(60001);
        "sandbox.platform" => |c| c.sandbox.platform = Some("linux/arm64".into());
        "sandbox.enable_gpu" => |c| c.sandbox.enable_gpu = true;
        "sandbox.cuda_visible_devices", given |c| c.sandbox.enable_gpu = true => |c| {
            c.sandbox.cuda_visible_devices = Some("0,1".into());
        };
        "sandbox.volumes" => |c| c.sandbox.volumes = Some("data:/data:ro".into());
        "podbay.start_timeout_seconds", asking |r| server(r) => |c| c.podbay.start_timeout_seconds = 42;
        "podbay.termination_grace_seconds" => |c| c.podbay.termination_grace_seconds = 60;
    }
}

fn storage_and_image() -> Vec<Case> {
    cases! {
        "kubernetes.pvc_storage_size" => |c| c.kubernetes.pvc_storage_size = "5Gi".into();
        "kubernetes.pvc_storage_class" => |c| c.kubernetes.pvc_storage_class = Some("fast".into());
        "kubernetes.pvc_existing_claim" => |c| c.kubernetes.pvc_existing_claim = Some("mine".into());
        "kubernetes.pvc_access_modes" => |c| c.kubernetes.pvc_access_modes = vec!["ReadWriteMany".into()];
        "kubernetes.pvc_snapshot" => |c| c.kubernetes.pvc_snapshot = Some("before".into());
        "kubernetes.workspace_volume" => |c| c.kubernetes.workspace_volume = WorkspaceVolume::Pvc;
        "kubernetes.workspace_size_limit" => |c| c.kubernetes.workspace_size_limit = Some("1Gi".into());
        "kubernetes.workspace_host_path",
            given |c| {
                c.kubernetes.workspace_volume = WorkspaceVolume::HostPath;
                c.kubernetes.workspace_host_path = Some("/srv/a".into());
            },
            asking |r| privileged(r)
            => |c| c.kubernetes.workspace_host_path = Some("/srv/b".into());
        "kubernetes.volumes" => |c| {
            c.kubernetes.volumes = vec![object(&json!({ "name": "a", "emptyDir": {} }))].into();
        };
        "kubernetes.volume_mounts",
            given |c| c.kubernetes.volumes = vec![object(&json!({ "name": "a", "emptyDir": {} }))].into()
            => |c| {
                c.kubernetes.volume_mounts = vec![object(&json!({ "name": "a", "mountPath": "/a" }))].into();
            };
        "kubernetes.cache_claim" => |c| c.kubernetes.cache_claim = Some("cache".into());
        "kubernetes.cache_host_path", asking |r| privileged(r) => |c| {
            c.kubernetes.cache_host_path = Some("/srv/cache".into());
        };
        "kubernetes.cache_mount_path", given |c| c.kubernetes.cache_claim = Some("cache".into()) => |c| {
            c.kubernetes.cache_mount_path = "/var/cache/podbay".into();
        };
        "kubernetes.mount_source",
            given |c| c.kubernetes.source_claim = None
            => |c| { c.kubernetes.mount_source = true; c.kubernetes.source_claim = Some("source".into()); };
        "kubernetes.source_host_path",
            given |c| { c.kubernetes.mount_source = true; c.kubernetes.source_host_path = Some("/srv/a".into()); },
            asking |r| privileged(r)
            => |c| c.kubernetes.source_host_path = Some("/srv/b".into());
        "kubernetes.source_claim",
            given |c| { c.kubernetes.mount_source = true; c.kubernetes.source_claim = Some("a".into()); }
            => |c| c.kubernetes.source_claim = Some("b".into());
        "kubernetes.source_config_map",
            given |c| { c.kubernetes.mount_source = true; c.kubernetes.source_config_map = Some("a".into()); }
            => |c| c.kubernetes.source_config_map = Some("b".into());
        "kubernetes.image_pull_secret" => |c| c.kubernetes.image_pull_secret = Some("regcred".into());
        "kubernetes.image_pull_secrets" => |c| c.kubernetes.image_pull_secrets = vec!["regcred".into()];
        "kubernetes.pull_policy" => |c| c.kubernetes.pull_policy = Some(PullPolicy::Always);
        "kubernetes.runtime_image_repo" => |c| c.kubernetes.runtime_image_repo = Some("ghcr.io/a/runtime".into());
        "kubernetes.runtime_image_tag",
            given |c| c.kubernetes.runtime_image_repo = Some("ghcr.io/a/runtime".into())
            => |c| c.kubernetes.runtime_image_tag = Some("1".into());
        "kubernetes.registry_mirrors" => |c| {
            c.kubernetes.registry_mirrors = [("docker.io".into(), "mirror.example/hub".into())].into();
        };
        "kubernetes.ca_bundle_config_map" => |c| c.kubernetes.ca_bundle_config_map = Some("roots".into());
        "kubernetes.ca_bundle_key", given |c| c.kubernetes.ca_bundle_config_map = Some("roots".into()) => |c| {
            c.kubernetes.ca_bundle_key = "bundle.pem".into();
        };
    }
}

fn resources_and_placement() -> Vec<Case> {
    cases! {
        "kubernetes.resource_cpu_request" => |c| c.kubernetes.resource_cpu_request = "2".into();
        "kubernetes.resource_cpu_limit" => |c| c.kubernetes.resource_cpu_limit = Some("2".into());
        "kubernetes.resource_memory_request" => |c| c.kubernetes.resource_memory_request = "2Gi".into();
        "kubernetes.resource_memory_limit" => |c| c.kubernetes.resource_memory_limit = "4Gi".into();
        "kubernetes.resource_ephemeral_storage_request" => |c| {
            c.kubernetes.resource_ephemeral_storage_request = Some("1Gi".into());
        };
        "kubernetes.resource_ephemeral_storage_limit" => |c| {
            c.kubernetes.resource_ephemeral_storage_limit = Some("1Gi".into());
        };
        "kubernetes.extended_resources" => |c| {
            c.kubernetes.extended_resources = [("example.com/fpga".into(), 1)].into();
        };
        "kubernetes.gpu_resource_name", asking |r| r.gpus = Some(1) => |c| {
            c.kubernetes.gpu_resource_name = "amd.com/gpu".into();
        };
        "kubernetes.node_selector_key",
            given |c| {
                c.kubernetes.node_selector_key = Some("a".into());
                c.kubernetes.node_selector_val = Some("b".into());
            }
            => |c| c.kubernetes.node_selector_key = Some("c".into());
        "kubernetes.node_selector_val",
            given |c| {
                c.kubernetes.node_selector_key = Some("a".into());
                c.kubernetes.node_selector_val = Some("b".into());
            }
            => |c| c.kubernetes.node_selector_val = Some("c".into());
        "kubernetes.node_selector" => |c| c.kubernetes.node_selector = [("a".into(), "b".into())].into();
        "kubernetes.tolerations_yaml" => |c| {
            c.kubernetes.tolerations_yaml =
                vec![Toleration { operator: Some("Exists".into()), ..Toleration::default() }];
        };
        "kubernetes.tolerations" => |c| {
            c.kubernetes.tolerations =
                vec![Toleration { operator: Some("Exists".into()), ..Toleration::default() }];
        };
        "kubernetes.affinity" => |c| c.kubernetes.affinity = Some(object(&json!({ "podAntiAffinity": {} })));
        "kubernetes.topology_spread_constraints" => |c| {
            c.kubernetes.topology_spread_constraints = vec![object(&json!({
                "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
            }))].into();
        };
        "kubernetes.runtime_class" => |c| c.kubernetes.runtime_class = Some("gvisor".into());
        "kubernetes.priority_class" => |c| c.kubernetes.priority_class = Some("low".into());
        "kubernetes.scheduler_name" => |c| c.kubernetes.scheduler_name = Some("volcano".into());
        "kubernetes.host_aliases" => |c| {
            c.kubernetes.host_aliases =
                vec![object(&json!({ "ip": "10.0.0.1", "hostnames": ["git"] }))].into();
        };
    }
}

fn security_and_workload() -> Vec<Case> {
    cases! {
        "kubernetes.profile" => |c| c.kubernetes.profile = Some(ProfileName::Baseline);
        "kubernetes.privileged" => |c| c.kubernetes.privileged = true;
        "kubernetes.run_as_user" => |c| c.kubernetes.run_as_user = Some(1000);
        "kubernetes.run_as_group" => |c| c.kubernetes.run_as_group = Some(1000);
        "kubernetes.fs_group" => |c| c.kubernetes.fs_group = Some(1000);
        "kubernetes.supplemental_groups" => |c| c.kubernetes.supplemental_groups = vec![1000];
        "kubernetes.uid_from_cluster" => |c| c.kubernetes.uid_from_cluster = true;
        "kubernetes.read_only_root_filesystem" => |c| c.kubernetes.read_only_root_filesystem = Some(false);
        "kubernetes.allow_privilege_escalation",
            asking |r| r.profile = Some(Profile::Baseline)
            => |c| c.kubernetes.allow_privilege_escalation = Some(false);
        "kubernetes.capabilities_add" => |c| {
            c.kubernetes.capabilities_add = vec!["NET_BIND_SERVICE".into()];
        };
        "kubernetes.capabilities_drop", asking |r| r.profile = Some(Profile::Baseline) => |c| {
            c.kubernetes.capabilities_drop = vec!["NET_RAW".into()];
        };
        "kubernetes.seccomp_profile" => |c| c.kubernetes.seccomp_profile = Some("Localhost/a.json".into());
        "kubernetes.service_account" => |c| c.kubernetes.service_account = Some("agent".into());
        "kubernetes.automount_service_account_token",
            given |c| c.kubernetes.service_account = Some("agent".into())
            => |c| c.kubernetes.automount_service_account_token = true;
        "kubernetes.workload" => |c| c.kubernetes.workload = WorkloadKind::Job;
        "kubernetes.job_ttl_seconds_after_finished",
            given |c| c.kubernetes.workload = WorkloadKind::Job
            => |c| c.kubernetes.job_ttl_seconds_after_finished = Some(60);
        "kubernetes.active_deadline_seconds" => |c| c.kubernetes.active_deadline_seconds = Some(3600);
        "kubernetes.cleanup_policy" => |c| c.kubernetes.cleanup_policy = CleanupPolicy::KeepOnFailure;
        "kubernetes.annotations" => |c| c.kubernetes.annotations = [("mesh/inject".into(), "no".into())].into();
        "kubernetes.pod_template" => |c| {
            c.kubernetes.pod_template = Some(object(&json!({ "spec": { "hostname": "box" } })));
        };
    }
}

fn agent() -> Vec<Case> {
    cases! {
        "agent.delivery" => |c| c.agent.delivery = AgentDelivery::Upload;
        "agent.image" => |c| c.agent.image = Some("registry.example/podbay-agent:1".into());
        "agent.port", given |c| c.agent.delivery = AgentDelivery::Upload => |c| c.agent.port = 9000;
        "agent.log_level", given |c| c.agent.delivery = AgentDelivery::Upload => |c| {
            c.agent.log_level = podbay_config::AgentLogLevel::Info;
        };
        "agent.spool_size", given |c| c.agent.delivery = AgentDelivery::Upload => |c| {
            c.agent.spool_size = "4Gi".into();
        };
    }
}

fn network_and_exposure() -> Vec<Case> {
    cases! {
        "kubernetes.network" => |c| c.kubernetes.network = NetworkMode::None;
        "kubernetes.network_allow" => |c| c.kubernetes.network_allow = vec!["10.1.2.3:5432".into()];
        "kubernetes.network_deny" => |c| c.kubernetes.network_deny = vec!["203.0.112.0/24".into()];
        "kubernetes.agent_from", given |c| c.agent.delivery = AgentDelivery::Upload => |c| {
            c.kubernetes.agent_from = vec![object(&json!({ "podSelector": {} }))].into();
        };
        "kubernetes.host_network",
            given |c| c.kubernetes.network = NetworkMode::Open,
            asking |r| privileged(r)
            => |c| c.kubernetes.host_network = true;
        "kubernetes.server_port", asking |r| server(r) => |c| c.kubernetes.server_port = 9000;
        "kubernetes.app_ports", asking |r| with_port(r) => |c| c.kubernetes.app_ports = vec![12000];
        "kubernetes.ingress", asking |r| with_port(r) => |c| c.kubernetes.ingress = false;
        "kubernetes.ingress_domain", asking |r| with_port(r) => |c| {
            c.kubernetes.ingress_domain = "sandboxes.example".into();
        };
        "kubernetes.ingress_class", asking |r| with_vscode(r) => |c| {
            c.kubernetes.ingress_class = Some("nginx".into());
        };
        "kubernetes.ingress_annotations", asking |r| with_port(r) => |c| {
            c.kubernetes.ingress_annotations = [("a/b".into(), "c".into())].into();
        };
        "kubernetes.ingress_tls_secret", asking |r| with_port(r) => |c| {
            c.kubernetes.ingress_tls_secret = Some("tls".into());
        };
        "kubernetes.gateway", asking |r| with_port(r) => |c| c.kubernetes.gateway = Some("infra/public/https".into());
        "kubernetes.cluster_domain", given |c| c.kubernetes.ingress = false, asking |r| with_port(r) => |c| {
            c.kubernetes.cluster_domain = "cluster.example".into();
        };
    }
}
