//! What holds for the objects of every session, whatever was asked and configured.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use podbay_config::{ApiObject, Config, WorkloadKind};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Value, json};

use self::strategies::sessions;
use crate::labels::{APP, MANAGED_BY, SESSION, SESSION_ID};
use crate::network_policy::NetworkPolicyPlan;
use crate::objects::{SessionObjects, Workload};
use crate::owner::Owner;
use crate::record::{CreationValues, Record};
use crate::request::SessionRequest;
use crate::runtime_id::RuntimeId;
use crate::secret::SessionKey;
use crate::server::ServerKind;
use crate::session_spec::{SessionSecrets, SessionSpec};
use crate::{dns, pod_security, record};

mod strategies;

/// In every value of the environment, and nowhere else in what the strategies make.
const CANARY: &str = "hunter2";
const KEY: [u8; 32] = [0xc3; 32];
/// etcd's default limit for a request; an object must fit with its `managedFields`.
const ETCD_LIMIT: usize = 1_572_864;
/// Kubernetes' limit for a ConfigMap's data.
const CONFIG_MAP_LIMIT: usize = 1_048_576;

fn values() -> CreationValues {
    CreationValues {
        nonce: "nonce".into(),
        runtime_id: RuntimeId::from_random([0xa5; 16]),
        key: SessionKey::from_random(KEY),
    }
}

fn make(spec: &SessionSpec, secrets: &SessionSecrets) -> SessionObjects {
    let owner = Owner {
        name: spec.names().object(),
        uid: "uid-1".into(),
    };
    SessionObjects::new(spec, secrets, &values(), &owner)
}

/// The pod of `objects`, also where a Job makes it.
fn pod(objects: &SessionObjects) -> Pod {
    match &objects.workload {
        Workload::Pod(pod) => (**pod).clone(),
        Workload::Job(job) => {
            let template = job.spec.clone().unwrap().template;
            Pod {
                metadata: template.metadata.unwrap(),
                spec: template.spec,
                status: None,
            }
        }
    }
}

/// Metadata of every object that is the session's alone.
fn metadata(objects: &SessionObjects) -> Vec<ObjectMeta> {
    let SessionObjects {
        record,
        secret,
        claim,
        network_policy,
        workload,
        services,
        ingresses,
        routes,
    } = objects.clone();
    let policy = network_policy.and_then(|plan| match plan {
        NetworkPolicyPlan::Own(policy) => Some(policy.metadata),
        NetworkPolicyPlan::Shared(_) => None,
    });
    let workload = match workload {
        Workload::Pod(pod) => pod.metadata,
        Workload::Job(job) => job.metadata,
    };
    [record.metadata, secret.metadata, workload]
        .into_iter()
        .chain(claim.map(|claim| claim.metadata))
        .chain(policy)
        .chain(services.into_iter().map(|service| service.metadata))
        .chain(ingresses.into_iter().map(|ingress| ingress.metadata))
        .chain(routes.into_iter().map(|route| route.metadata))
        .collect()
}

fn items(objects: &SessionObjects) -> Vec<Value> {
    objects.to_json_list()["items"].as_array().unwrap().clone()
}

proptest! {
    // Each case makes all objects of a session, most of them several times.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_session_gives_the_same_bytes((spec, secrets) in sessions()) {
        let bytes = make(&spec, &secrets).to_json_list().to_string();
        prop_assert_eq!(&bytes, &make(&spec.clone(), &secrets.clone()).to_json_list().to_string());
        // Also after a round trip through the record: what was lost is made again as it was.
        let mut stored = record::record(&spec, &values());
        stored.metadata.uid = Some("uid-1".into());
        let read = Record::parse(&stored).unwrap();
        prop_assert_eq!(&read.spec, &spec);
        prop_assert_eq!(&bytes, &make(&read.spec, &secrets).to_json_list().to_string());
    }

    #[test]
    fn secret_text_is_in_the_secret_only((spec, secrets) in sessions()) {
        let objects = make(&spec, &secrets);
        let (secret, others): (Vec<_>, Vec<_>) =
            items(&objects).into_iter().partition(|item| item["kind"] == "Secret");
        let elsewhere = format!("{}{spec:?}{secrets:?}{}", json!(others), json!(spec));
        prop_assert!(!elsewhere.contains(CANARY));
        prop_assert!(!elsewhere.contains(SessionKey::from_random(KEY).expose()));
        // The test could not fail if the canary were nowhere.
        prop_assert_eq!(secret.len(), 1);
        let data = objects.secret.data.unwrap();
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
        let unowned = [Some(names.object()), Some(names.claim())];
        for item in items(&objects) {
            let meta: ObjectMeta = serde_json::from_value(item["metadata"].clone()).unwrap();
            let shared = matches!(&objects.network_policy, Some(NetworkPolicyPlan::Shared(_)))
                && item["kind"] == "NetworkPolicy";
            let is_record = item["kind"] == "ConfigMap";
            if is_record || shared || item["kind"] == "PersistentVolumeClaim" {
                prop_assert!(meta.owner_references.is_none());
                prop_assert!(shared || unowned.contains(&meta.name));
            } else {
                prop_assert_eq!(meta.owner_references.as_deref(), Some(&[reference.clone()][..]));
            }
        }
    }

    #[test]
    fn names_are_valid_and_distinct_for_their_kinds((spec, secrets) in sessions()) {
        let mut seen = BTreeSet::new();
        for item in items(&make(&spec, &secrets)) {
            let name = item["metadata"]["name"].as_str().unwrap().to_owned();
            let kind = item["kind"].as_str().unwrap().to_owned();
            // The strictest form that any of the kinds has, but for routes, whose name is no host's.
            prop_assert!(dns::is_label(&name) || (kind == "HTTPRoute" && dns::is_subdomain(&name)), "{name}");
            prop_assert!(seen.insert((kind, name)));
        }
        for host in spec.web_hosts().keys() {
            let host = host.split("://").nth(1).unwrap().split(':').next().unwrap();
            prop_assert!(host.split('.').all(dns::is_label), "{host}");
        }
    }

    #[test]
    fn the_pod_refers_to_what_exists((spec, secrets) in sessions()) {
        let objects = make(&spec, &secrets);
        let names = spec.names();
        let keys = objects.secret.data.clone().unwrap();
        let pod = pod(&objects).spec.unwrap();
        let container = &pod.containers[0];
        let mut variables = BTreeSet::new();
        for variable in container.env.iter().flatten() {
            prop_assert!(variables.insert(&variable.name), "{} is there twice", variable.name);
            if let Some(from) = &variable.value_from
                && from.field_ref.is_none()
            {
                let reference = from.secret_key_ref.as_ref().unwrap();
                prop_assert_eq!(&reference.name, &names.secret());
                prop_assert!(keys.contains_key(&reference.key));
            }
        }
        let volumes: BTreeMap<_, _> =
            pod.volumes.iter().flatten().map(|volume| (&volume.name, volume)).collect();
        prop_assert_eq!(volumes.len(), pod.volumes.iter().flatten().count());
        let mut paths = BTreeSet::new();
        for mount in container.volume_mounts.iter().flatten() {
            prop_assert!(volumes.contains_key(&mount.name));
            prop_assert!(paths.insert(&mount.mount_path), "{} is mounted twice", mount.mount_path);
        }
        let workspace = volumes[&"workspace-volume".to_owned()].persistent_volume_claim.as_ref();
        prop_assert_eq!(
            workspace.map(|source| &source.claim_name),
            objects.claim.as_ref().and_then(|claim| claim.metadata.name.as_ref())
        );
    }

    #[test]
    fn what_is_served_leads_to_the_pod((spec, secrets) in sessions()) {
        let objects = make(&spec, &secrets);
        let pod = pod(&objects);
        let labels = pod.metadata.labels.clone().unwrap();
        let ports: Vec<_> = pod.spec.iter().flat_map(|spec| &spec.containers[0].ports).flatten().collect();
        let mut served = BTreeSet::new();
        for service in &objects.services {
            let of_service = service.spec.as_ref().unwrap();
            for (key, value) in of_service.selector.iter().flatten() {
                prop_assert_eq!(labels.get(key), Some(value));
            }
            let mut names = BTreeSet::new();
            for port in of_service.ports.iter().flatten() {
                prop_assert!(names.insert(port.name.clone().unwrap()));
                let target = port.target_port.clone().unwrap();
                let leads = ports.iter().any(|known| {
                    let by_name = known.name.clone().map(IntOrString::String);
                    let targets = [Some(IntOrString::Int(known.container_port)), by_name];
                    known.container_port == port.port && targets.contains(&Some(target.clone()))
                });
                prop_assert!(leads, "{:?}", port);
                served.insert((service.metadata.name.clone().unwrap(), port.port));
            }
        }
        for route in &objects.routes {
            let backend = &route.spec.rules[0].backend_refs[0];
            prop_assert!(served.contains(&(backend.name.clone(), i32::from(backend.port))));
        }
        for ingress in &objects.ingresses {
            for rule in ingress.spec.iter().flat_map(|spec| &spec.rules).flatten() {
                let service = rule.http.as_ref().unwrap().paths[0].backend.service.clone().unwrap();
                let number = service.port.unwrap().number.unwrap();
                prop_assert!(served.contains(&(service.name, number)));
            }
        }
        let asked = spec.exposure.is_some();
        prop_assert!(asked || (objects.services.is_empty() && objects.ingresses.is_empty()));
        prop_assert!(objects.ingresses.is_empty() || objects.routes.is_empty());
    }

    #[test]
    fn a_policy_selects_the_pod_it_is_for((spec, secrets) in sessions()) {
        let objects = make(&spec, &secrets);
        let labels = pod(&objects).metadata.labels.unwrap();
        let Some(plan) = &objects.network_policy else {
            return Ok(());
        };
        let selector = plan.policy().spec.clone().unwrap().pod_selector.unwrap();
        let wanted = selector.match_labels.unwrap();
        prop_assert!(!wanted.is_empty());
        for (key, value) in &wanted {
            prop_assert_eq!(labels.get(key), Some(value));
        }
        prop_assert_eq!(wanted.contains_key(SESSION), matches!(plan, NetworkPolicyPlan::Own(_)));
    }

    #[test]
    fn pods_pass_the_check_of_their_profile((spec, secrets) in sessions()) {
        let pod = pod(&make(&spec, &secrets));
        prop_assert_eq!(pod_security::violations(spec.profile(), &pod), []);
        let grounds = pod.spec.unwrap();
        prop_assert_eq!(grounds.restart_policy.as_deref(), Some("Never"));
        prop_assert_eq!(grounds.automount_service_account_token, Some(false));
    }

    #[test]
    fn a_job_has_the_pod_as_its_template(
        (spec, secrets) in sessions().prop_filter("it is no Job", |(spec, _)| spec.workload() == WorkloadKind::Job),
    ) {
        let objects = make(&spec, &secrets);
        let Workload::Job(job) = &objects.workload else {
            return Err(TestCaseError::fail("no Job"));
        };
        let of_job = job.spec.as_ref().unwrap();
        prop_assert_eq!(of_job.backoff_limit, Some(0));
        prop_assert_eq!(of_job.pod_replacement_policy.as_deref(), Some("Failed"));
        let owner = Owner { name: "x".into(), uid: "x".into() };
        let alone = crate::pod::pod(&spec, &owner);
        prop_assert_eq!(&of_job.template.spec, &alone.spec);
        let template = of_job.template.metadata.clone().unwrap();
        prop_assert_eq!(&template.labels, &alone.metadata.labels);
        prop_assert_eq!(&template.annotations, &alone.metadata.annotations);
        prop_assert!(template.name.is_none() && template.owner_references.is_none());
    }

    #[test]
    fn a_template_of_nothing_changes_nothing((mut spec, secrets) in sessions()) {
        spec.pod_template = None;
        let without = pod(&make(&spec, &secrets));
        for empty in [json!({}), json!({ "metadata": {} }), json!({ "spec": {} }), json!({ "spec": { "containers": [] } })] {
            let template = crate::PodTemplate::new(empty).unwrap();
            prop_assert_eq!(template.check(&without, &spec).unwrap(), without.clone());
        }
        // Neither does one that says what is there already.
        let mut itself = json!(without);
        for field in ["apiVersion", "kind"] {
            itself.as_object_mut().unwrap().remove(field);
        }
        let template = crate::PodTemplate::new(itself).unwrap();
        prop_assert_eq!(template.check(&without, &spec).unwrap(), without);
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
        server: Some(ServerKind::AgentServer),
        ports: (1..=90).collect(),
        ..SessionRequest::default()
    };
    let mut config = Config::default();
    config.workspace_mount_path_in_sandbox = format!("/{}", "w".repeat(4000));
    let id = "\"".repeat(1024).parse().unwrap();
    let (spec, secrets) = SessionSpec::validate(id, "agents", &config, request).unwrap();

    let objects = make(&spec, &secrets);
    let record = json!(objects.record).to_string();
    assert!(record.len() < CONFIG_MAP_LIMIT, "{}", record.len());
    // `managedFields` name each variable once more, with about 100 bytes beside.
    let managed = 1024 * (249 + 100);
    let pod = json!(pod(&objects)).to_string();
    assert!(pod.len() + managed < ETCD_LIMIT, "{}", pod.len());
    for item in items(&objects) {
        assert!(item.to_string().len() < ETCD_LIMIT);
    }
}

#[test]
fn settings_that_the_record_cannot_hold_are_refused() {
    let mut config = Config::default();
    // Quotes double in the record's text.
    let long = json!({ "metadata": { "annotations": { "a": "\"".repeat(300 * 1024) } } });
    let fields = long.as_object().unwrap().clone();
    config.kubernetes.pod_template = Some(ApiObject::from(fields));
    let Err(error) = super::validate(&config, SessionRequest::default()) else {
        panic!("the record would have more than 1 MiB");
    };
    assert!(error.to_string().contains("bytes"), "{error}");
}
