//! The agent in a session's pod: one snapshot for each way it comes there, and what holds for all.

use podbay_config::{AgentDelivery as Setting, ApiObject, Config, ProfileName};
use podbay_protocol::Field;
use serde_json::{Value, json};

use super::{validate, variable};
use crate::agent_delivery::AgentMeans;
use crate::objects::{SecretValues, Workload, render};
use crate::pod_security;
use crate::profile::Profile;
use crate::request::SessionRequest;
use crate::server::ServerKind;
use crate::session_spec::{Reason, SessionSpec, SpecErrors};

const IMAGE: &str = "registry.example/podbay-agent:1";
const WAYS: [Setting; 3] = [Setting::Upload, Setting::InitContainer, Setting::ImageVolume];

fn config(delivery: Setting) -> Config {
    let mut config = Config::default();
    config.agent.delivery = delivery;
    config.agent.image = (delivery != Setting::Upload).then(|| IMAGE.to_owned());
    config
}

fn spec(config: &Config, request: SessionRequest) -> SessionSpec {
    validate(config, request).unwrap().0
}

fn pod(spec: &SessionSpec) -> k8s_openapi::api::core::v1::Pod {
    match render(spec, &crate::SessionSecrets::default(), SecretValues::Hidden).workload {
        Workload::Pod(pod) => *pod,
        Workload::Job(_) => panic!("a Job"),
    }
}

fn snapshot(name: &str, mut config: Config) {
    config.kubernetes.registry_mirrors = [("registry.example".into(), "mirror.example".into())].into();
    let pod = json!(pod(&spec(&config, SessionRequest::default())));
    insta::assert_snapshot!(name, serde_saphyr::to_string(&pod).unwrap());
}

#[test]
fn uploaded() {
    snapshot("agent_upload", config(Setting::Upload));
}

#[test]
fn copied_by_an_init_container() {
    snapshot("agent_init_container", config(Setting::InitContainer));
}

#[test]
fn mounted_as_an_image_volume() {
    let mut config = config(Setting::ImageVolume);
    config.kubernetes.pull_policy = Some(podbay_config::PullPolicy::Always);
    snapshot("agent_image_volume", config);
}

#[test]
fn pods_with_an_agent_pass_the_check_of_their_profile() {
    for delivery in WAYS {
        for profile in ProfileName::ALL {
            let mut config = config(delivery);
            config.kubernetes.profile = Some(*profile);
            let spec = spec(&config, SessionRequest::default());
            assert_eq!(
                pod_security::violations(spec.profile(), &pod(&spec)),
                [],
                "{delivery} {profile}"
            );
        }
    }
}

#[test]
fn auto_takes_the_best_way_that_there_is() {
    let way = |image: bool, upload, image_volumes| {
        let mut config = Config::default();
        config.agent.image = image.then(|| IMAGE.to_owned());
        let means = AgentMeans {
            upload,
            image_volumes,
        };
        let id = "demo".parse().unwrap();
        let made = SessionSpec::validate_with(id, "agents", &config, SessionRequest::default(), means);
        made.unwrap().0.agent().as_str()
    };
    assert_eq!(way(false, false, false), "none");
    assert_eq!(way(false, false, true), "none");
    assert_eq!(way(false, true, true), "upload");
    assert_eq!(way(true, true, false), "init_container");
    assert_eq!(way(true, true, true), "image_volume");
}

#[test]
fn an_image_with_a_server_gets_no_agent() {
    for kind in ServerKind::ALL {
        let request = SessionRequest {
            server: Some(*kind),
            profile: Some(Profile::Baseline),
            ..SessionRequest::default()
        };
        assert!(spec(&config(Setting::Upload), request).agent().is_none());
    }
}

#[test]
fn in_the_network_of_the_node_there_is_no_agent() {
    let on_node = |delivery| {
        let mut config = config(delivery);
        config.kubernetes.privileged = true;
        config.kubernetes.host_network = true;
        config.kubernetes.network = podbay_config::NetworkMode::Open;
        validate(&config, SessionRequest::default())
    };
    assert!(on_node(Setting::Auto).unwrap().0.agent().is_none());
    let errors = on_node(Setting::Upload).unwrap_err();
    let fields = [
        Field::Setting("agent.delivery"),
        Field::Setting("kubernetes.host_network"),
    ];
    assert_eq!(first(&errors).0, fields);
}

fn first(errors: &SpecErrors) -> (Vec<Field>, Reason) {
    let (_, problem) = errors.placed().next().unwrap();
    (problem.fields.clone(), problem.reason.clone())
}

#[test]
fn a_port_is_served_once() {
    let request = SessionRequest {
        ports: vec![10022],
        ..SessionRequest::default()
    };
    assert!(validate(&Config::default(), request.clone()).is_ok());
    let errors = validate(&config(Setting::Upload), request).unwrap_err();
    assert_eq!(first(&errors).0, [Field::Ports, Field::Setting("agent.port")]);
}

#[test]
fn the_variables_that_the_agent_reads_are_its_own() {
    let with = |name| SessionRequest {
        env: [variable(name, "mine")].into(),
        ..SessionRequest::default()
    };
    for name in ["PODBAY_POD_UID", "SESSION_API_KEY"] {
        assert!(validate(&Config::default(), with(name)).is_ok());
        for delivery in WAYS {
            let errors = validate(&config(delivery), with(name)).unwrap_err();
            let (fields, reason) = first(&errors);
            assert_eq!(fields, [Field::Env, Field::Setting("agent.delivery")]);
            assert!(matches!(reason, Reason::Reserved { name: reserved, .. } if reserved == name));
        }
    }
}

fn object(value: &Value) -> ApiObject {
    ApiObject::from(value.as_object().unwrap().clone())
}

/// Refused whether or not this session has an agent: another one of the same configuration may.
#[test]
fn nothing_is_mounted_where_the_agent_is() {
    for path in ["/.podbay", "//.podbay/x/", "/.podbay-spool", "/.podbay-spool/a"] {
        for delivery in [Setting::None, Setting::Upload] {
            let mut config = Config::default();
            config.agent.delivery = delivery;
            config.kubernetes.volumes = vec![object(&json!({ "name": "mine", "emptyDir": {} }))].into();
            let mount = object(&json!({ "name": "mine", "mountPath": path }));
            config.kubernetes.volume_mounts = vec![mount].into();
            let (fields, reason) = first(&validate(&config, SessionRequest::default()).unwrap_err());
            assert_eq!(fields[0], Field::Setting("kubernetes.volume_mounts"), "{path}");
            assert!(matches!(reason, Reason::Reserved { name, .. } if name == path));
        }
    }
    let mut config = Config::default();
    config.workspace_mount_path_in_sandbox = "/.podbay/w".into();
    let (fields, _) = first(&validate(&config, SessionRequest::default()).unwrap_err());
    assert_eq!(fields, [Field::Setting("workspace_mount_path_in_sandbox")]);
    let mut config = Config::default();
    config.kubernetes.cache_claim = Some("cache".into());
    config.kubernetes.cache_mount_path = "/.podbay".into();
    let (fields, _) = first(&validate(&config, SessionRequest::default()).unwrap_err());
    assert_eq!(fields, [Field::Setting("kubernetes.cache_mount_path")]);
    // A name that only begins alike.
    let mut config = Config::default();
    config.workspace_mount_path_in_sandbox = "/.podbayed".into();
    assert!(validate(&config, SessionRequest::default()).is_ok());
}

#[test]
fn a_template_leaves_the_agent_alone() {
    let refused = |delivery, template: Value| {
        let mut config = config(delivery);
        config.kubernetes.pod_template = Some(object(&template));
        validate(&config, SessionRequest::default())
            .map_or_else(|errors| errors.to_string(), |_| String::new())
    };
    let mount = |name: &str, path: &str| json!({ "name": name, "mountPath": path });
    let container = |list: &str, fields: Value| json!({ "spec": { list: [fields] } });
    for delivery in WAYS {
        for template in [
            container(
                "containers",
                json!({ "name": "runtime", "volumeMounts": [mount("workspace-volume", "/.podbay")] }),
            ),
            container(
                "containers",
                json!({ "name": "runtime", "command": ["sleep", "9"] }),
            ),
            container(
                "containers",
                json!({ "name": "other", "image": "a", "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] }
            }, "volumeMounts": [mount("podbay-agent", "/x")] }),
            ),
            container(
                "volumes",
                json!({ "name": "podbay-spool", "emptyDir": { "sizeLimit": "9Gi" } }),
            ),
            container("volumes", json!({ "name": "podbay-agent", "$patch": "delete" })),
        ] {
            let text = refused(delivery, template.clone());
            assert!(text.contains("it changes"), "{delivery} {template}: {text}");
        }
        // What has nothing to do with the agent is taken.
        let other = json!({ "name": "first", "image": "a", "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] }
        } });
        assert_eq!(refused(delivery, container("initContainers", other)), "");
    }
    let template = container(
        "initContainers",
        json!({ "name": "podbay-agent", "image": "evil" }),
    );
    let text = refused(Setting::InitContainer, template);
    assert!(text.contains("spec.initContainers[podbay-agent]"), "{text}");
}
