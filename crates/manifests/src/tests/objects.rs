//! One snapshot for each setting and each field of a request: every object, as `podbay render` shows it.

use podbay_config::{Config, NetworkMode, Toleration, WorkloadKind};

use super::{validate, variable};
use crate::objects::{SecretValues, render};
use crate::profile::Profile;
use crate::request::SessionRequest;
use crate::server::ServerKind;

/// The objects of `request` under `config` as YAML.
fn yaml(config: &Config, request: SessionRequest) -> String {
    let (spec, secrets) = validate(config, request).unwrap();
    render(&spec, &secrets, SecretValues::Hidden).to_yaml().unwrap()
}

/// One snapshot for a request under the default configuration.
macro_rules! request_snapshot {
    ($name:ident, { $($field:ident: $value:expr),* $(,)? }) => {
        #[test]
        fn $name() {
            let request = SessionRequest { $($field: $value,)* ..SessionRequest::default() };
            insta::assert_snapshot!(stringify!($name), yaml(&Config::default(), request));
        }
    };
}

/// One snapshot for a setting, with the request that it needs to show.
macro_rules! config_snapshot {
    ($name:ident, $config:ident => $change:block $(, { $($field:ident: $value:expr),* })?) => {
        #[test]
        fn $name() {
            let mut $config = Config::default();
            $change
            let request = SessionRequest { $($($field: $value,)*)? ..SessionRequest::default() };
            insta::assert_snapshot!(stringify!($name), yaml(&$config, request));
        }
    };
}

request_snapshot!(request_default, {});
request_snapshot!(request_image, { image: Some("debian:12".into()) });
request_snapshot!(request_user_restricted, { user: Some("1000".into()) });
request_snapshot!(request_user_and_group_restricted, { user: Some("1000:100".into()) });
request_snapshot!(request_profile_baseline, { profile: Some(Profile::Baseline) });
request_snapshot!(request_profile_privileged, { profile: Some(Profile::Privileged) });
request_snapshot!(request_root_baseline, { user: Some("root".into()), profile: Some(Profile::Baseline) });
request_snapshot!(request_user_baseline_persistent, {
    user: Some("1000:100".into()),
    profile: Some(Profile::Baseline),
    persistent: Some(true),
});
request_snapshot!(request_env, { env: [variable("TOKEN", "hunter2"), variable("A_B", "")].into() });
request_snapshot!(request_env_home, { env: [variable("HOME", "/workspace")].into() });
request_snapshot!(request_workdir, { workdir: Some("/opt//app/".into()) });
request_snapshot!(request_cpu, { cpu: Some("1500m".into()) });
request_snapshot!(request_memory, { memory: Some("4Gi".into()) });
request_snapshot!(request_persistent, { persistent: Some(true) });
request_snapshot!(request_labels, { labels: [("team".into(), "x".into())].into() });
request_snapshot!(request_server, { server: Some(ServerKind::Image), profile: Some(Profile::Baseline) });

request_snapshot!(request_openhands, {
    server: Some(ServerKind::OpenHands),
    profile: Some(Profile::Baseline),
});
request_snapshot!(request_agent_server, {
    server: Some(ServerKind::AgentServer),
    profile: Some(Profile::Baseline),
});
request_snapshot!(request_ports, { ports: vec![3000, 5000, 3000] });
request_snapshot!(request_vscode, {
    server: Some(ServerKind::OpenHands),
    profile: Some(Profile::Baseline),
    vscode: true,
});
request_snapshot!(request_network_none, { network: Some(NetworkMode::None) });
request_snapshot!(request_network_open, { network: Some(NetworkMode::Open) });
request_snapshot!(request_job, { workload: Some(WorkloadKind::Job), ports: vec![3000] });
request_snapshot!(request_gpus, { gpus: Some(2) });
request_snapshot!(request_resource_factor, { resource_factor: Some(4) });

config_snapshot!(config_workspace_mount_path, config => {
    config.workspace_mount_path_in_sandbox = "/work/".into();
});
config_snapshot!(config_workspace_at_home, config => {
    config.workspace_mount_path_in_sandbox = "/home/sandbox".into();
});
config_snapshot!(config_runtime_container_image, config => {
    config.sandbox.runtime_container_image = Some("ghcr.io/a/runtime:1".into());
});
config_snapshot!(config_base_container_image, config => {
    config.sandbox.base_container_image = "debian:12".into();
});
config_snapshot!(config_startup_env, config => {
    config.sandbox.runtime_startup_env_vars = [variable("TOKEN", "from the file"), variable("B", "b")].into();
}, { env: [variable("TOKEN", "from the flag")].into() });
config_snapshot!(config_pvc, config => {
    config.kubernetes.pvc_storage_size = "5Gi".into();
    config.kubernetes.pvc_storage_class = Some("fast".into());
}, { persistent: Some(true) });
config_snapshot!(config_resources, config => {
    config.kubernetes.resource_cpu_request = "250m".into();
    config.kubernetes.resource_memory_request = "512Mi".into();
    config.kubernetes.resource_memory_limit = "512Mi".into();
});
config_snapshot!(config_image_pull_secret, config => {
    config.kubernetes.image_pull_secret = Some("regcred".into());
});
config_snapshot!(config_node_selector, config => {
    config.kubernetes.node_selector_key = Some("kubernetes.io/arch".into());
    config.kubernetes.node_selector_val = Some("amd64".into());
});
config_snapshot!(config_tolerations, config => {
    config.kubernetes.tolerations_yaml = vec![
        Toleration {
            key: Some("sandbox".into()),
            operator: Some("Equal".into()),
            value: Some("yes".into()),
            effect: Some("NoExecute".into()),
            toleration_seconds: Some(60),
        },
        Toleration { operator: Some("Exists".into()), ..Toleration::default() },
    ];
});
config_snapshot!(config_privileged, config => { config.kubernetes.privileged = true; });
config_snapshot!(config_termination_grace, config => { config.podbay.termination_grace_seconds = 60; });
config_snapshot!(config_start_timeout, config => { config.podbay.start_timeout_seconds = 42; }, {
    server: Some(ServerKind::Image)
});

#[test]
fn any_id_and_namespace() {
    let id = "SWE-bench/Django 11099".parse().unwrap();
    let (spec, secrets) =
        crate::SessionSpec::validate(id, "team-a", &Config::default(), SessionRequest::default()).unwrap();
    let text = render(&spec, &secrets, SecretValues::Hidden).to_yaml().unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn secret_values_are_shown_when_asked() {
    let request = SessionRequest {
        env: [variable("TOKEN", "hunter2")].into(),
        ..SessionRequest::default()
    };
    let (spec, secrets) = validate(&Config::default(), request).unwrap();
    let token = |values| {
        let data = render(&spec, &secrets, values).secret.data.unwrap();
        String::from_utf8(data["env.TOKEN"].0.clone()).unwrap()
    };
    assert_eq!(token(SecretValues::Shown), "hunter2");
    assert_eq!(token(SecretValues::Hidden), "hidden");
}

#[test]
fn yaml_and_json_list_say_the_same_in_apply_order() {
    let request = SessionRequest {
        image: Some("debian:12".into()),
        persistent: Some(true),
        labels: [
            ("looks-like-a-number".into(), "12".into()),
            ("looks-like-a-bool".into(), "true".into()),
        ]
        .into(),
        ..SessionRequest::default()
    };
    let (spec, secrets) = validate(&Config::default(), request).unwrap();
    let objects = render(&spec, &secrets, SecretValues::Hidden);
    let yaml = objects.to_yaml().unwrap();
    let documents: Vec<serde_json::Value> = yaml
        .split("---\n")
        .skip(1)
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect();
    let list = objects.to_json_list();
    assert_eq!(list["items"], serde_json::Value::Array(documents.clone()));
    let kinds: Vec<_> = documents
        .iter()
        .map(|document| document["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "ConfigMap",
            "Secret",
            "PersistentVolumeClaim",
            "NetworkPolicy",
            "Pod"
        ]
    );
}
