//! The agent in a session's pod: one snapshot for each way it comes there, and what holds for all.

use podbay_config::{AgentDelivery as Setting, ApiObject, Config, ProfileName};
use podbay_protocol::Field;
use serde_json::{Value, json};

use super::{validate, variable};
use crate::agent_delivery::AgentMeans;
use crate::network_policy::NetworkPolicyPlan;
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

/// A peer of the sessions' policy, as the configuration has it.
fn peer(value: &Value) -> ApiObject {
    value.as_object().unwrap().clone().into()
}

fn with_peers(delivery: Setting, peers: &[Value]) -> Config {
    let mut config = config(delivery);
    config.kubernetes.agent_from = peers.iter().map(peer).collect::<Vec<_>>().into();
    config
}

fn policy(spec: &SessionSpec) -> NetworkPolicyPlan {
    let objects = render(spec, &crate::SessionSecrets::default(), SecretValues::Hidden);
    objects.network_policy.unwrap()
}

/// The rules by which something may come in.
fn ingress(spec: &SessionSpec) -> Value {
    json!(policy(spec).policy().spec.as_ref().unwrap().ingress)
}

#[test]
fn the_agents_port_is_open_to_whom_the_configuration_names() {
    let clients = json!({ "podSelector": { "matchLabels": { "app": "podbay" } } });
    let services = json!({
        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "services" } },
        "podSelector": { "matchExpressions": [{ "key": "app", "operator": "Exists" }] },
    });
    let plain = SessionRequest::default;
    let named = [clients.clone(), services.clone()];
    let rule = |ports: &[u16]| {
        let ports: Vec<_> = ports
            .iter()
            .map(|port| json!({ "port": port, "protocol": "TCP" }))
            .collect();
        json!({ "from": [services, clients], "ports": ports })
    };
    for delivery in WAYS {
        assert_eq!(
            ingress(&spec(&with_peers(delivery, &named), plain())),
            json!([rule(&[10022])])
        );
        // Nobody is named: nobody comes in. A list that is empty would be everybody.
        assert_eq!(ingress(&spec(&config(delivery), plain())), Value::Null);
        let mut none = with_peers(delivery, &named);
        none.kubernetes.network = podbay_config::NetworkMode::None;
        assert_eq!(ingress(&spec(&none, plain())), json!([rule(&[10022])]));
    }
    // What is asked for by port is open to all, and the agent is not for that.
    let request = SessionRequest {
        ports: vec![3000],
        ..plain()
    };
    let both = ingress(&spec(&with_peers(Setting::Upload, &named), request));
    assert_eq!(
        both,
        json!([{ "ports": [{ "port": 3000, "protocol": "TCP" }] }, rule(&[10022])])
    );
    // There is nothing to be reached.
    assert_eq!(
        ingress(&spec(&with_peers(Setting::None, &named), plain())),
        Value::Null
    );
    let mut open = with_peers(Setting::Upload, &named);
    open.kubernetes.network = podbay_config::NetworkMode::Open;
    let objects = render(
        &spec(&open, plain()),
        &crate::SessionSecrets::default(),
        SecretValues::Hidden,
    );
    assert!(objects.network_policy.is_none());
}

/// Sessions with an agent and without one, and those of other peers, have policies of their own: each by the hash of its rules.
#[test]
fn sessions_share_a_policy_exactly_where_they_have_the_same_rules() {
    let a = json!({ "podSelector": { "matchLabels": { "app": "a" } } });
    let b = json!({ "podSelector": { "matchLabels": { "app": "b" } } });
    let name = |config: &Config| {
        let plan = policy(&spec(config, SessionRequest::default()));
        assert!(matches!(plan, NetworkPolicyPlan::Shared(_)));
        plan.policy().metadata.name.clone().unwrap()
    };
    let (both, turned) = ([a.clone(), b.clone()], [b.clone(), a.clone(), b]);
    let with = name(&with_peers(Setting::Upload, &both));
    // The order, a repetition, and how the agent comes in make no difference.
    assert_eq!(with, name(&with_peers(Setting::InitContainer, &turned)));
    let without = name(&Config::default());
    assert_eq!(without, name(&with_peers(Setting::None, &both)));
    assert_eq!(without, name(&config(Setting::Upload)));
    assert_ne!(with, without);
    assert_ne!(with, name(&with_peers(Setting::Upload, &[a])));
    let mut other_port = with_peers(Setting::Upload, &both);
    other_port.agent.port = 9000;
    assert_ne!(with, name(&other_port));
    // And its pod has the label by which that policy finds it.
    let spec = spec(&with_peers(Setting::Upload, &both), SessionRequest::default());
    let selector = policy(&spec).policy().spec.clone().unwrap().pod_selector.unwrap();
    let labels = pod(&spec).metadata.labels.unwrap();
    for (key, value) in selector.match_labels.unwrap() {
        assert_eq!(labels.get(&key), Some(&value), "{key}");
    }
}

#[test]
fn a_peer_that_the_api_refuses_is_refused_before_anything_is_made() {
    for (peer, words) in [
        (json!({}), "one of podSelector, namespaceSelector and ipBlock"),
        (
            json!({ "podSelector": { "labels": {} } }),
            "no field podSelector.labels",
        ),
        (
            json!({ "ipBlock": { "cidr": "10.0.0.0/8" }, "podSelector": {} }),
            "can't stand beside a selector",
        ),
        (json!({ "ipBlock": { "cidr": "10.0.0.1/8" } }), "ipBlock.cidr"),
        (
            json!({ "ipBlock": { "cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"] } }),
            "ipBlock.except[0]",
        ),
        (
            json!({ "podSelector": { "matchExpressions": [{ "key": "a", "operator": "In" }] } }),
            "at least one value",
        ),
        (
            json!({ "podSelector": { "matchExpressions": [{ "key": "a", "operator": "Is" }] } }),
            "can't be \"Is\"",
        ),
    ] {
        let errors = validate(&with_peers(Setting::Upload, &[peer]), SessionRequest::default()).unwrap_err();
        let said = errors.to_string();
        assert!(
            said.contains("kubernetes.agent_from") && said.contains(words),
            "{said}"
        );
    }
    for peer in [
        json!({ "podSelector": {} }),
        json!({ "namespaceSelector": {} }),
        json!({ "ipBlock": { "cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"] } }),
        json!({ "podSelector": { "matchExpressions": [{ "key": "a", "operator": "In", "values": ["b"] }] } }),
    ] {
        assert!(validate(&with_peers(Setting::Upload, &[peer]), SessionRequest::default()).is_ok());
    }
}

#[test]
fn the_policy_of_a_session_with_an_agent() {
    let mut config = with_peers(
        Setting::InitContainer,
        &[json!({ "podSelector": { "matchLabels": { "app": "podbay" } } })],
    );
    config.kubernetes.network = podbay_config::NetworkMode::None;
    let policy = json!(policy(&spec(&config, SessionRequest::default())).policy());
    insta::assert_snapshot!("agent_from", serde_saphyr::to_string(&policy).unwrap());
}

/// What a service leads its clients to is open to those who may reach the agent, and to nobody else.
#[test]
fn what_a_service_routes_is_open_to_whom_the_configuration_names() {
    let clients = json!({ "podSelector": { "matchLabels": { "app": "podbay" } } });
    let routed = || SessionRequest {
        routed: vec![60_001, 12_001, 12_000, 10_022],
        ..SessionRequest::default()
    };
    let rule = |ports: &[u16]| {
        let ports = ports
            .iter()
            .map(|port| json!({ "port": port, "protocol": "TCP" }));
        json!([{ "from": [clients], "ports": ports.collect::<Vec<_>>() }])
    };
    let named = [clients.clone()];
    let with_agent = spec(&with_peers(Setting::Upload, &named), routed());
    // The agent's own port once.
    assert_eq!(ingress(&with_agent), rule(&[10_022, 12_000, 12_001, 60_001]));
    let without = spec(&with_peers(Setting::None, &named), routed());
    assert_eq!(ingress(&without), rule(&[10_022, 12_000, 12_001, 60_001]));
    // Nobody is named.
    let nobody = spec(&config(Setting::Upload), routed());
    assert_eq!(ingress(&nobody), Value::Null);
    assert_eq!(nobody, spec(&config(Setting::Upload), SessionRequest::default()));
    // The record keeps it.
    let read: SessionSpec = serde_json::from_value(json!(with_agent)).unwrap();
    assert_eq!(ingress(&read), ingress(&with_agent));
}

#[test]
fn the_policy_of_a_session_that_a_service_routes() {
    let peers = [json!({ "podSelector": { "matchLabels": { "app.kubernetes.io/name": "podbay-serve" } } })];
    let request = SessionRequest {
        actions: Some(60_000),
        routed: vec![12_000, 12_001, 60_001],
        ..SessionRequest::default()
    };
    let spec = spec(&with_peers(Setting::InitContainer, &peers), request);
    let policy = json!(policy(&spec).policy().spec.as_ref().unwrap().ingress);
    insta::assert_snapshot!("routed_from", serde_saphyr::to_string(&policy).unwrap());
}
