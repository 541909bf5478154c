//! Sessions of all kinds.

use podbay_config::{AgentDelivery, ApiObject, Config, NetworkMode, PullPolicy, WorkloadKind};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::{collection, option};
use secrecy::SecretString;
use serde_json::json;

use super::CANARY;
use crate::profile::Profile;
use crate::request::SessionRequest;
use crate::server::ServerKind;
use crate::session_owner::SessionOwner;
use crate::session_spec::{SessionSecrets, SessionSpec};

/// Changes of the configuration that fit one another and every request.
const CHANGES: [fn(&mut Config); 26] = [
    |c| c.debug = true,
    |c| c.agent.delivery = AgentDelivery::Upload,
    |c| {
        c.agent.delivery = AgentDelivery::Auto;
        c.agent.image = Some("registry.example/podbay-agent:1".into());
    },
    |c| c.kubernetes.pvc_storage_class = Some("fast".into()),
    |c| c.kubernetes.pvc_snapshot = Some("before".into()),
    |c| c.kubernetes.cache_claim = Some("cache".into()),
    |c| c.kubernetes.ca_bundle_config_map = Some("roots".into()),
    |c| {
        c.kubernetes.mount_source = true;
        c.kubernetes.source_config_map = Some("source".into());
    },
    |c| c.kubernetes.network_allow = vec!["10.0.0.0/8:443".into()],
    |c| c.kubernetes.network_deny = vec!["1.1.1.0/24".into()],
    |c| c.kubernetes.network = NetworkMode::Open,
    |c| c.kubernetes.ingress = false,
    |c| c.kubernetes.gateway = Some("infra/public".into()),
    |c| c.kubernetes.ingress_tls_secret = Some("tls".into()),
    |c| c.kubernetes.ingress_annotations = [("podbay.dev/session-id".into(), "forged".into())].into(),
    |c| c.kubernetes.registry_mirrors = [("docker.io".into(), "mirror.example".into())].into(),
    |c| c.kubernetes.supplemental_groups = vec![7],
    |c| c.kubernetes.read_only_root_filesystem = Some(true),
    |c| c.kubernetes.capabilities_add = vec!["net_bind_service".into()],
    |c| c.kubernetes.resource_ephemeral_storage_limit = Some("1Gi".into()),
    |c| c.kubernetes.node_selector = [("a".into(), "b".into())].into(),
    |c| c.kubernetes.annotations = [("mesh/inject".into(), "no".into())].into(),
    |c| c.sandbox.volumes = Some("data:/data:ro,more:/more".into()),
    |c| c.sandbox.platform = Some("linux/arm64".into()),
    |c| c.kubernetes.app_ports = vec![],
    |c| {
        let template = json!({
            "metadata": { "labels": { "overlaid": "yes" } },
            "spec": { "containers": [{ "name": "runtime", "tty": true }], "hostname": "box" },
        });
        let template = template.as_object().unwrap().clone();
        c.kubernetes.pod_template = Some(ApiObject::from(template));
    },
];

pub(super) fn configs() -> impl Strategy<Value = Config> {
    subsequence(CHANGES.to_vec(), 0..=CHANGES.len()).prop_map(|changes| {
        let mut config = Config::default();
        for change in changes {
            change(&mut config);
        }
        config
    })
}

fn requests() -> impl Strategy<Value = SessionRequest> {
    let words = (
        option::of(prop_oneof![Just("debian:12"), Just("ghcr.io/a/b:1")]),
        option::of(prop_oneof![Just("1000"), Just("1000:0"), Just("70000:100")]),
        option::of(prop_oneof![Just("/w"), Just("/home/sandbox/x")]),
        option::of("[1-9][0-9]{0,2}m?"),
        option::of("[1-9][0-9]{0,2}[MG]i"),
    );
    let owner = option::of(prop_oneof![Just("alice"), Just("bob@example.org")]);
    let maps = (
        proptest::collection::btree_map("[A-Z_][A-Za-z0-9_]{0,20}", "\\PC{0,20}", 0..8),
        proptest::collection::btree_map("x[a-z0-9]{0,20}", "[a-z0-9]{0,20}", 0..4),
    );
    let kinds = (
        option::of(select(Profile::ALL.to_vec())),
        option::of(any::<bool>()),
        option::of(select(ServerKind::ALL.to_vec())),
        option::of(select(NetworkMode::ALL.to_vec())),
        option::of(select(WorkloadKind::ALL.to_vec())),
    );
    let served = (
        proptest::collection::vec(1_u16..=u16::MAX, 0..4),
        any::<bool>(),
        option::of(0_u32..9),
        option::of(select(vec![1_u32, 2, 4, 8])),
        option::of(1_u16..=u16::MAX),
    );
    let of_pod = (
        option::of(select(PullPolicy::ALL.to_vec())),
        option::of(0_u64..=2_147_483_647),
        option::of("[a-z][a-z0-9]{0,9}"),
        collection::vec(1_u16..=u16::MAX, 0..4),
    );
    (owner, words, maps, kinds, served, of_pod).prop_map(|(owner, words, maps, kinds, served, of_pod)| {
        let (image, user, workdir, cpu, memory) = words;
        let (env, labels) = maps;
        let (profile, persistent, server, network, workload) = kinds;
        let (pull_policy, fs_group, runtime_class, routed) = of_pod;
        let (ports, vscode, gpus, resource_factor, actions) = served;
        SessionRequest {
            owner: owner.map(|name| SessionOwner::of(name).unwrap()),
            image: image.map(Into::into),
            user: user.map(Into::into),
            profile,
            env: env
                .into_iter()
                .map(|(name, value)| (name, SecretString::from(format!("{value}{CANARY}"))))
                .collect(),
            workdir: workdir.map(Into::into),
            cpu,
            memory,
            persistent,
            labels,
            server,
            ports,
            vscode: vscode && server.is_some(),
            network,
            workload,
            gpus,
            resource_factor,
            actions,
            pull_policy,
            fs_group,
            runtime_class,
            launch: None,
            routed,
        }
    })
}

pub(super) fn sessions() -> impl Strategy<Value = (SessionSpec, SessionSecrets)> {
    ("\\PC{1,60}", configs(), requests()).prop_map(|(id, config, request)| {
        SessionSpec::validate(id.parse().unwrap(), "agents", &config, request).unwrap()
    })
}
