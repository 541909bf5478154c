//! What holds for the objects of every session, whatever was asked.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use podbay_config::Config;
use proptest::prelude::*;
use secrecy::SecretString;

use crate::labels::{APP, MANAGED_BY, SESSION, SESSION_ID};
use crate::{
    Owner, Profile, Record, SessionKey, SessionObjects, SessionRequest, SessionSecrets, SessionSpec, claim,
    pod, record, secret,
};

/// In every value of the environment, and nowhere else in what the strategies make.
const CANARY: &str = "hunter2";
const KEY: [u8; 32] = [0xc3; 32];
/// etcd's default limit for a request; an object must fit with its `managedFields`.
const ETCD_LIMIT: usize = 1_572_864;
/// Kubernetes' limit for a ConfigMap's data.
const CONFIG_MAP_LIMIT: usize = 1_048_576;

fn make(spec: &SessionSpec, secrets: &SessionSecrets) -> SessionObjects {
    let owner = Owner {
        name: spec.names().object(),
        uid: "uid-1".into(),
    };
    SessionObjects {
        record: record::record(spec, "nonce"),
        secret: secret::secret(spec, secrets, &SessionKey::from_random(KEY), &owner),
        claim: claim::claim(spec),
        pod: pod::pod(spec, &owner),
    }
}

fn json(object: &impl serde::Serialize) -> String {
    serde_json::to_string(object).unwrap()
}

fn requests() -> impl Strategy<Value = SessionRequest> {
    let words = (
        proptest::option::of(prop_oneof![Just("debian:12"), Just("ghcr.io/a/b:1")]),
        proptest::option::of(prop_oneof![Just("1000"), Just("1000:0"), Just("70000:100")]),
        proptest::option::of(prop_oneof![Just("/w"), Just("/home/sandbox/x")]),
        proptest::option::of("[1-9][0-9]{0,2}m?"),
        proptest::option::of("[1-9][0-9]{0,2}[MG]i"),
    );
    let profile = proptest::option::of(proptest::sample::select(Profile::ALL.to_vec()));
    let env = proptest::collection::btree_map("[A-Z_][A-Za-z0-9_]{0,20}", "\\PC{0,20}", 0..8);
    let labels = proptest::collection::btree_map("x[a-z0-9]{0,20}", "[a-z0-9]{0,20}", 0..4);
    (
        words,
        profile,
        env,
        labels,
        proptest::option::of(any::<bool>()),
        any::<bool>(),
    )
        .prop_map(
            |((image, user, workdir, cpu, memory), profile, env, labels, persistent, server)| {
                SessionRequest {
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
                }
            },
        )
}

fn sessions() -> impl Strategy<Value = (SessionSpec, SessionSecrets)> {
    ("\\PC{1,60}", requests()).prop_map(|(id, request)| {
        SessionSpec::validate(id.parse().unwrap(), "agents", &Config::default(), request).unwrap()
    })
}

fn metadata(objects: &SessionObjects) -> Vec<&ObjectMeta> {
    let SessionObjects {
        record,
        secret,
        claim,
        pod,
    } = objects;
    let claim = claim.as_ref().map(|claim| &claim.metadata);
    [&record.metadata, &secret.metadata, &pod.metadata]
        .into_iter()
        .chain(claim)
        .collect()
}

proptest! {
    #[test]
    fn the_same_session_gives_the_same_bytes((spec, secrets) in sessions()) {
        let bytes = make(&spec, &secrets).to_json_list().to_string();
        prop_assert_eq!(&bytes, &make(&spec.clone(), &secrets.clone()).to_json_list().to_string());
        // Also after a round trip through the record: what was lost is made again as it was.
        let mut stored = record::record(&spec, "nonce");
        stored.metadata.uid = Some("uid-1".into());
        let read = Record::parse(&stored).unwrap();
        prop_assert_eq!(&bytes, &make(&read.spec, &secrets).to_json_list().to_string());
    }

    #[test]
    fn secret_text_is_in_the_secret_only((spec, secrets) in sessions()) {
        let SessionObjects { record, secret, claim, pod } = make(&spec, &secrets);
        let elsewhere = format!(
            "{}{}{}{spec:?}{secrets:?}{}",
            json(&record), json(&claim), json(&pod), json(&spec),
        );
        prop_assert!(!elsewhere.contains(CANARY));
        prop_assert!(!elsewhere.contains(SessionKey::from_random(KEY).expose()));
        // The test could not fail if the canary were nowhere.
        let data = secret.data.unwrap();
        prop_assert_eq!(data.len(), spec.env_names().len() + 1);
        for name in spec.env_names() {
            let value = &data[&format!("env.{name}")].0;
            prop_assert!(value.ends_with(CANARY.as_bytes()));
        }
    }

    #[test]
    fn every_object_is_found_and_owned((spec, secrets) in sessions()) {
        let objects = make(&spec, &secrets);
        let names = spec.names();
        for meta in metadata(&objects) {
            let labels = meta.labels.as_ref().unwrap();
            prop_assert_eq!(&labels[APP], "openhands-runtime");
            prop_assert_eq!(&labels[SESSION], names.label());
            prop_assert_eq!(&labels[MANAGED_BY], "podbay");
            prop_assert_eq!(&meta.annotations.as_ref().unwrap()[SESSION_ID], spec.id().as_str());
            prop_assert_eq!(meta.namespace.as_deref(), Some("agents"));
        }
        let reference = OwnerReference {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            name: names.object(),
            uid: "uid-1".into(),
            block_owner_deletion: None,
            controller: None,
        };
        for owned in [&objects.secret.metadata, &objects.pod.metadata] {
            prop_assert_eq!(owned.owner_references.as_deref(), Some(&[reference.clone()][..]));
        }
        prop_assert!(objects.record.metadata.owner_references.is_none());
        prop_assert!(objects.claim.is_none_or(|claim| claim.metadata.owner_references.is_none()));
    }

    #[test]
    fn the_pod_refers_to_what_exists((spec, secrets) in sessions()) {
        let SessionObjects { secret, claim, pod, .. } = make(&spec, &secrets);
        let pod = pod.spec.unwrap();
        let keys = secret.data.unwrap();
        let container = &pod.containers[0];
        let mut names = std::collections::BTreeSet::new();
        for variable in container.env.iter().flatten() {
            prop_assert!(names.insert(&variable.name), "{} is there twice", variable.name);
            if let Some(from) = &variable.value_from {
                let reference = from.secret_key_ref.as_ref().unwrap();
                prop_assert_eq!(Some(&reference.name), secret.metadata.name.as_ref());
                prop_assert!(keys.contains_key(&reference.key));
            }
        }
        let volumes: BTreeMap<_, _> = pod.volumes.iter().flatten().map(|volume| (&volume.name, volume)).collect();
        let mounts = container.volume_mounts.as_ref().unwrap();
        prop_assert_eq!(volumes.len(), mounts.len());
        prop_assert!(mounts.iter().all(|mount| volumes.contains_key(&mount.name)));
        let claimed = volumes.values().find_map(|volume| volume.persistent_volume_claim.as_ref());
        prop_assert_eq!(
            claimed.map(|source| &source.claim_name),
            claim.as_ref().and_then(|claim| claim.metadata.name.as_ref())
        );
    }

    /// The checks of the `restricted` Pod Security Standard, v1.33, on what we set.
    #[test]
    fn restricted_pods_meet_the_standard((spec, secrets) in sessions()) {
        prop_assume!(spec.profile() == Profile::Restricted);
        let pod = make(&spec, &secrets).pod.spec.unwrap();
        let context = pod.security_context.unwrap();
        prop_assert_eq!(context.run_as_non_root, Some(true));
        prop_assert!(context.run_as_user.is_some_and(|uid| uid > 0));
        prop_assert_eq!(context.seccomp_profile.unwrap().type_, "RuntimeDefault");
        prop_assert!(context.sysctls.is_none() && context.windows_options.is_none());
        prop_assert!(pod.host_network.is_none() && pod.host_pid.is_none() && pod.host_ipc.is_none());
        for volume in pod.volumes.iter().flatten() {
            prop_assert!(volume.empty_dir.is_some() || volume.persistent_volume_claim.is_some());
        }
        prop_assert!(pod.init_containers.is_none() && pod.ephemeral_containers.is_none());
        for container in pod.containers {
            let context = container.security_context.unwrap();
            prop_assert_eq!(context.allow_privilege_escalation, Some(false));
            prop_assert_eq!(context.privileged, Some(false));
            let capabilities = context.capabilities.unwrap();
            prop_assert_eq!(capabilities.drop, Some(vec!["ALL".to_owned()]));
            prop_assert!(capabilities.add.is_none());
            prop_assert!(container.ports.iter().flatten().all(|port| port.host_port.is_none()));
        }
    }
}

#[test]
fn the_largest_session_fits_etcd() {
    // As many of the longest names as are taken, their values up to the total, the most labels, the longest
    // id.
    let env: BTreeMap<_, _> = (0..1024)
        .map(|n| (format!("V{n:0248}"), SecretString::from("v".repeat(760))))
        .collect();
    let labels = (0..64)
        .map(|n| (format!("{}/{n:063}", "p".repeat(253)), "v".repeat(63)))
        .collect();
    let request = SessionRequest {
        env,
        labels,
        server: true,
        ..SessionRequest::default()
    };
    let mut config = Config::default();
    config.workspace_mount_path_in_sandbox = format!("/{}", "w".repeat(4000));
    let id = "\"".repeat(1024).parse().unwrap();
    let (spec, secrets) = SessionSpec::validate(id, "agents", &config, request).unwrap();

    let SessionObjects { record, pod, .. } = make(&spec, &secrets);
    let data: usize = record
        .data
        .as_ref()
        .unwrap()
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    assert!(data < CONFIG_MAP_LIMIT, "{data}");
    assert!(json(&record).len() < CONFIG_MAP_LIMIT, "{}", json(&record).len());
    // `managedFields` name each variable once more, with about 100 bytes beside.
    let managed = 1024 * (249 + 100);
    assert!(json(&pod).len() + managed < ETCD_LIMIT, "{}", json(&pod).len());
}
