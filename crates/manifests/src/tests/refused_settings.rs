//! Settings that contradict one another, that a profile forbids, or that Kubernetes would not take.

use podbay_config::{ApiObject, Config, NetworkMode, ProfileName, WorkspaceVolume};
use serde_json::json;

use super::validate;
use crate::profile::Profile;
use crate::request::SessionRequest;
use crate::server::ServerKind;

/// The messages for `request` under a changed configuration.
fn refusal(request: SessionRequest, change: impl FnOnce(&mut Config)) -> String {
    let mut config = Config::default();
    change(&mut config);
    match validate(&config, request) {
        Ok(_) => "nothing is wrong".into(),
        Err(errors) => errors.to_string(),
    }
}

fn configured(change: impl FnOnce(&mut Config)) -> String {
    refusal(SessionRequest::default(), change)
}

fn object(value: &serde_json::Value) -> ApiObject {
    ApiObject::from(value.as_object().unwrap().clone())
}

/// Each change with its message. The message may be just a part of the line.
macro_rules! refused {
    ($(|$config:ident| $change:expr => $message:expr;)+) => {
        $(
            let message = configured(|$config| { $change; });
            assert!(message.contains($message), "{message}\nhas no\n{}", $message);
            assert_eq!(message.lines().count(), 1, "{message}");
        )+
    };
}

#[test]
fn what_the_profile_forbids_names_the_setting_and_the_profile_needed() {
    let host = || vec![object(&json!({ "name": "a", "hostPath": { "path": "/a" } }))].into();
    refused! {
        |c| c.kubernetes.volumes = host() =>
            "kubernetes.volumes a is what the profile restricted forbids: it needs the profile privileged";
        |c| c.kubernetes.volumes = vec![object(&json!({ "name": "a", "nfs": { "server": "b", "path": "/" } }))].into() =>
            "kubernetes.volumes a is what the profile restricted forbids: it needs the profile baseline";
        |c| {
            c.kubernetes.workspace_volume = WorkspaceVolume::HostPath;
            c.kubernetes.workspace_host_path = Some("/a".into());
        } => "kubernetes.workspace_host_path /a is what the profile restricted forbids: it needs the profile privileged";
        |c| c.kubernetes.cache_host_path = Some("/a".into()) => "kubernetes.cache_host_path /a is what the profile";
        |c| { c.kubernetes.mount_source = true; c.kubernetes.source_host_path = Some("/a".into()); } =>
            "kubernetes.source_host_path /a is what the profile";
        |c| c.sandbox.volumes = Some("/a:/b".into()) => "sandbox.volumes /a is what the profile";
        |c| c.kubernetes.capabilities_add = vec!["CAP_CHOWN".into()] =>
            "kubernetes.capabilities_add CHOWN is what the profile restricted forbids: it needs the profile baseline";
        |c| {
            c.kubernetes.profile = Some(ProfileName::Baseline);
            c.kubernetes.capabilities_add = vec!["SYS_ADMIN".into()];
        } => "kubernetes.capabilities_add SYS_ADMIN is what the profile baseline forbids: it needs the profile privileged";
        |c| c.kubernetes.seccomp_profile = Some("Unconfined".into()) =>
            "kubernetes.seccomp_profile Unconfined is what the profile";
        |c| c.kubernetes.allow_privilege_escalation = Some(true) =>
            "kubernetes.allow_privilege_escalation true is what the profile restricted forbids: it needs the profile \
             baseline";
        |c| { c.kubernetes.network = NetworkMode::Open; c.kubernetes.host_network = true; } =>
            "kubernetes.host_network true is what the profile";
        |c| c.kubernetes.run_as_user = Some(0) => "kubernetes.run_as_user 0 is root, which the profile restricted forbids";
        |c| c.sandbox.user_id = Some(0) => "sandbox.user_id 0 is root, which the profile restricted forbids";
    }
}

#[test]
fn contradictions_name_both_settings() {
    refused! {
        |c| { c.kubernetes.privileged = true; c.kubernetes.profile = Some(ProfileName::Baseline); } =>
            "kubernetes.profile baseline contradicts kubernetes.privileged = true: drop one of them";
        |c| { c.kubernetes.uid_from_cluster = true; c.kubernetes.run_as_user = Some(7); } =>
            "kubernetes.uid_from_cluster and kubernetes.run_as_user contradict each other";
        |c| { c.kubernetes.uid_from_cluster = true; c.kubernetes.run_as_group = Some(7); } =>
            "kubernetes.uid_from_cluster and kubernetes.run_as_group contradict each other";
        |c| { c.kubernetes.uid_from_cluster = true; c.kubernetes.fs_group = Some(7); } =>
            "kubernetes.uid_from_cluster and kubernetes.fs_group contradict each other";
        |c| { c.kubernetes.privileged = true; c.kubernetes.allow_privilege_escalation = Some(false); } =>
            "kubernetes.allow_privilege_escalation and the profile privileged contradict each other";
        |c| { c.kubernetes.privileged = true; c.sandbox.use_host_network = true; } =>
            "sandbox.use_host_network and kubernetes.network contradict each other";
        |c| { c.kubernetes.privileged = true; c.kubernetes.cache_claim = Some("a".into()); c.kubernetes.cache_host_path = Some("/a".into()); } =>
            "kubernetes.cache_claim and kubernetes.cache_host_path contradict each other";
        |c| {
            c.kubernetes.mount_source = true;
            c.kubernetes.source_claim = Some("a".into());
            c.kubernetes.source_config_map = Some("b".into());
        } => "kubernetes.source_claim and kubernetes.source_config_map contradict each other";
        |c| {
            c.sandbox.platform = Some("linux/arm64".into());
            c.kubernetes.node_selector = [("kubernetes.io/arch".into(), "amd64".into())].into();
        } => "kubernetes.node_selector and sandbox.platform contradict each other";
        |c| { c.sandbox.volumes = Some("a:/workspace".into()); c.kubernetes.workspace_volume = WorkspaceVolume::Pvc; } =>
            "sandbox.volumes and kubernetes.workspace_volume contradict each other";
    }
}

#[test]
fn what_says_nothing_alone_names_what_is_missing() {
    refused! {
        |c| c.kubernetes.automount_service_account_token = true =>
            "kubernetes.automount_service_account_token needs kubernetes.service_account";
        |c| c.kubernetes.runtime_image_tag = Some("1".into()) =>
            "kubernetes.runtime_image_tag needs kubernetes.runtime_image_repo";
        |c| c.kubernetes.workspace_host_path = Some("/a".into()) =>
            "kubernetes.workspace_host_path needs kubernetes.workspace_volume = \"host_path\"";
        |c| c.kubernetes.workspace_volume = WorkspaceVolume::HostPath =>
            "kubernetes.workspace_volume = \"host_path\" needs kubernetes.workspace_host_path";
        |c| c.kubernetes.source_claim = Some("a".into()) => "kubernetes.source_claim needs kubernetes.mount_source = true";
        |c| c.kubernetes.mount_source = true =>
            "kubernetes.mount_source = true needs one of kubernetes.source_host_path, kubernetes.source_claim \
             and kubernetes.source_config_map";
        |c| c.kubernetes.volume_mounts = vec![object(&json!({ "name": "a", "mountPath": "/a" }))].into() =>
            "kubernetes.volume_mounts mounts \"a\", which is not among kubernetes.volumes";
    }
}

#[test]
fn volumes_stand_beside_each_other() {
    refused! {
        |c| c.kubernetes.volumes = vec![object(&json!({ "name": "home", "emptyDir": {} }))].into() =>
            "kubernetes.volumes can't have a volume home: there is another of this name";
        |c| c.sandbox.volumes = Some("a:/b,c:/b/".into()) =>
            "two volumes are mounted at /b: sandbox-volume-0 and sandbox-volume-1";
        |c| { c.kubernetes.cache_claim = Some("a".into()); c.kubernetes.cache_mount_path = "/workspace".into(); } =>
            "two volumes are mounted at /workspace: workspace-volume and cache";
        |c| c.sandbox.volumes = Some("a:/workspace:ro".into()) => "sandbox.volumes mounts the workspace read-only";
        |c| c.sandbox.volumes = Some("a:/b:overlay".into()) => "sandbox.volumes can't have \"a:/b:overlay\"";
        |c| c.sandbox.volumes = Some("a".into()) => "sandbox.volumes can't have \"a\"";
        |c| c.sandbox.volumes = Some("A_b:/b".into()) => "sandbox.volumes can't be used: \"A_b\" is not a DNS subdomain";
        |c| c.sandbox.volumes = Some("a:/".into()) => "sandbox.volumes can't be \"/\"";
    }
}

#[test]
fn what_kubernetes_would_not_take() {
    refused! {
        |c| c.kubernetes.run_as_user = Some(1 << 31) => "kubernetes.run_as_user can't be 2147483648";
        |c| c.kubernetes.supplemental_groups = vec![1 << 40] => "kubernetes.supplemental_groups can't be";
        |c| c.kubernetes.capabilities_drop = vec!["NET RAW".into()] => "kubernetes.capabilities_drop can't have \"NET RAW\"";
        |c| c.kubernetes.seccomp_profile = Some("Localhost/../a".into()) => "kubernetes.seccomp_profile can't be";
        |c| c.kubernetes.pvc_access_modes = vec!["ReadWrite".into()] => "kubernetes.pvc_access_modes can't have \"ReadWrite\"";
        |c| c.kubernetes.pvc_access_modes = vec![] => "kubernetes.pvc_access_modes must name at least one mode";
        |c| {
            c.kubernetes.ca_bundle_config_map = Some("a".into());
            c.kubernetes.ca_bundle_key = "a/b".into();
        } => "kubernetes.ca_bundle_key can't be \"a/b\"";
        |c| c.sandbox.platform = Some("linux".into()) => "sandbox.platform can't be \"linux\"";
        |c| c.sandbox.platform = Some("linux/amd46".into()) =>
            "sandbox.platform can't be \"linux/amd46\": an operating system and an architecture, as linux/amd64, of which \
             nodes have linux and windows, and amd64, arm64,";
        |c| c.kubernetes.volumes = vec![object(&json!({ "name": "My_data", "emptyDir": {} }))].into() =>
            "kubernetes.volumes (item 1) can't be used: name can't be used: \"My_data\" is not a DNS label";
        |c| c.kubernetes.volumes = vec![object(&json!({ "name": "a", "emptyDir": {}, "configMap": { "name": "b" } }))].into() =>
            "kubernetes.volumes (item 1) can't be used: emptyDir can't be used: the volume has the source configMap already";
        |c| {
            c.kubernetes.volumes = vec![object(&json!({ "name": "a", "emptyDir": {} }))].into();
            c.kubernetes.volume_mounts = vec![object(&json!({ "name": "a", "mountPath": "/a", "subPath": "../x" }))].into();
        } => "kubernetes.volume_mounts (item 1) can't be used: subPath can't be used: it must be a relative path";
        |c| c.kubernetes.affinity = Some(object(&json!({ "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [] }
        } }))) => "nodeSelectorTerms can't be used: it must have at least one term";
        |c| c.kubernetes.pod_template = Some(object(&json!({ "spec": { "volumes": [{ "name": "A_b", "emptyDir": {} }] } }))) =>
            "kubernetes.pod_template can't be used: spec.volumes[";
        |c| c.kubernetes.annotations = [("a b".into(), "c".into())].into() => "kubernetes.annotations can't have \"a b\"";
        |c| c.kubernetes.annotations = [("podbay.dev/a".into(), "c".into())].into() =>
            "kubernetes.annotations can't have podbay.dev/a: podbay.dev/* are set by Podbay";
        |c| c.kubernetes.extended_resources = [("gpu".into(), 1)].into() =>
            "kubernetes.extended_resources can't have \"gpu\"";
        |c| c.kubernetes.extended_resources = [("kubernetes.io/gpu".into(), 1)].into() =>
            "kubernetes.extended_resources can't have";
        |c| c.kubernetes.network_allow = vec!["10.0.0.1/8".into()] =>
            "kubernetes.network_allow can't be used: \"10.0.0.1/8\" has address bits behind its prefix";
        |c| c.kubernetes.network_deny = vec!["example.com".into()] => "kubernetes.network_deny can't be used";
        |c| c.kubernetes.host_aliases = vec![object(&json!({ "ip": "git" }))].into() =>
            "kubernetes.host_aliases can't have \"git\": each address is IPv4 or IPv6";
        |c| c.kubernetes.registry_mirrors = [("docker.io".into(), "https://a".into())].into() =>
            "kubernetes.registry_mirrors can't be used: image \"https://a/nikolaik/python-nodejs:python3.12-nodejs22\" must \
             not start with a URL scheme";
        |c| c.sandbox.remote_runtime_resource_factor = 3 =>
            "sandbox.remote_runtime_resource_factor can't be 3: 1, 2, 4 or 8";
        |c| {
            c.kubernetes.resource_cpu_request = "2".into();
            c.kubernetes.resource_cpu_limit = Some("500m".into());
        } => "kubernetes.resource_cpu_request 2 is more than kubernetes.resource_cpu_limit 500m";
        |c| {
            c.kubernetes.resource_memory_request = "4Gi".into();
            c.kubernetes.resource_memory_limit = "3Gi".into();
        } => "kubernetes.resource_memory_request 4Gi is more than kubernetes.resource_memory_limit 3Gi";
        |c| {
            c.kubernetes.resource_ephemeral_storage_request = Some("7Ei".into());
            c.sandbox.remote_runtime_resource_factor = 8;
        } => "kubernetes.resource_ephemeral_storage_request 7Ei, 8 times, is more than";
        |c| c.kubernetes.affinity = Some(object(&json!({ "podAffinitee": {} }))) =>
            "kubernetes.affinity can't be used: there is no field podAffinitee in the API's Affinity; did you mean \
             podAffinity?";
        |c| c.kubernetes.volumes = vec![object(&json!({ "name": "a" })), object(&json!({ "name": 3 }))].into() =>
            "kubernetes.volumes (item 2) can't be used: name can't be used: invalid type";
    }
}

#[test]
fn requests() {
    let port = |port| SessionRequest {
        ports: vec![port],
        ..SessionRequest::default()
    };
    assert_eq!(refusal(port(0), |_| {}), "ports can't be 0: 1 to 65535");
    let many = SessionRequest {
        ports: (1..=101).collect(),
        ..SessionRequest::default()
    };
    assert_eq!(
        refusal(many, |_| {}),
        "101 ports are too many: a session may have 100"
    );
    let message = refusal(port(3000), |c| c.kubernetes.gateway = Some("a/b/c/d".into()));
    assert!(
        message.starts_with("kubernetes.gateway can't be \"a/b/c/d\""),
        "{message}"
    );
    let message = refusal(port(3000), |c| c.kubernetes.ingress_domain = "a_b".into());
    assert!(
        message.contains("kubernetes.ingress_domain can't be used"),
        "{message}"
    );
    let vscode = |server| SessionRequest {
        vscode: true,
        server,
        profile: Some(Profile::Baseline),
        ..SessionRequest::default()
    };
    assert_eq!(
        refusal(vscode(None), |_| {}),
        "vscode needs an image with a server, which starts it: add server"
    );
    assert_eq!(
        refusal(vscode(Some(ServerKind::OpenHands)), |c| c
            .kubernetes
            .server_port = 8081),
        "kubernetes.server_port and sandbox.vscode_port are both 8081: choose two"
    );
    let key = SessionRequest {
        env: [("OH_SESSION_API_KEYS_0".to_owned(), "x".into())].into(),
        ..vscode(Some(ServerKind::AgentServer))
    };
    let message = refusal(key, |_| {});
    assert!(
        message.starts_with("env can't have OH_SESSION_API_KEYS_0: Podbay sets it"),
        "{message}"
    );
    let factor = SessionRequest {
        resource_factor: Some(0),
        ..SessionRequest::default()
    };
    assert!(refusal(factor, |_| {}).starts_with("resource_factor can't be 0: 1, 2, 4 or 8"));
    let user = SessionRequest {
        user: Some("7".into()),
        ..SessionRequest::default()
    };
    let message = refusal(user, |c| c.kubernetes.uid_from_cluster = true);
    assert!(
        message.starts_with("kubernetes.uid_from_cluster and user contradict"),
        "{message}"
    );
}
