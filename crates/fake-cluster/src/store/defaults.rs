//! What the API server fills in that was left out (`SetDefaults_*` of the API groups), as far as anything here
//! or in a client's code depends on it.

use k8s_openapi::ByteString;
use k8s_openapi::api::batch::v1::{JobSpec, JobStatus};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaimStatus, PodSpec, PodStatus, Secret, ServiceSpec, ServiceStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use podbay_k8s_client::Object;

/// Keeps a claim while a pod uses it (admission plugin StorageObjectInUseProtection).
pub(crate) const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";

/// `terminationGracePeriodSeconds` of a pod that names none.
pub(crate) const GRACE_SECONDS: i64 = 30;

/// Fills a new object in; a status that came with it is dropped, as the API does.
pub(crate) fn fill(object: &mut Object) {
    match object {
        Object::Secret(secret) => {
            merge_string_data(secret);
            secret.type_.get_or_insert_with(|| "Opaque".to_owned());
        }
        Object::Pod(pod) => {
            fill_pod(pod.spec.get_or_insert_default());
            pod.status = Some(PodStatus {
                phase: Some("Pending".to_owned()),
                ..PodStatus::default()
            });
        }
        Object::PersistentVolumeClaim(claim) => {
            let finalizers = claim.metadata.finalizers.get_or_insert_default();
            if !finalizers.iter().any(|finalizer| finalizer == CLAIM_PROTECTION) {
                finalizers.push(CLAIM_PROTECTION.to_owned());
            }
            let spec = claim.spec.get_or_insert_default();
            spec.volume_mode.get_or_insert_with(|| "Filesystem".to_owned());
            claim.status = Some(PersistentVolumeClaimStatus {
                phase: Some("Pending".to_owned()),
                ..PersistentVolumeClaimStatus::default()
            });
        }
        Object::Job(job) => {
            let spec = job.spec.get_or_insert_default();
            spec.parallelism.get_or_insert(1);
            spec.completions.get_or_insert(1);
            spec.backoff_limit.get_or_insert(6);
            spec.suspend.get_or_insert(false);
            spec.completion_mode
                .get_or_insert_with(|| "NonIndexed".to_owned());
            if spec.pod_failure_policy.is_none() {
                spec.pod_replacement_policy
                    .get_or_insert_with(|| "TerminatingOrFailed".to_owned());
            }
            if let Some(pod) = &mut spec.template.spec {
                fill_pod(pod);
            }
            select_own_pods(&job.metadata, spec);
            job.metadata.generation = Some(1);
            job.status = Some(JobStatus::default());
        }
        Object::Service(service) => {
            let uid = service.metadata.uid.clone().unwrap_or_default();
            fill_service(service.spec.get_or_insert_default(), &uid);
            service.status = Some(ServiceStatus::default());
        }
        Object::Ingress(ingress) => {
            ingress.metadata.generation = Some(1);
            ingress.status = None;
        }
        Object::NetworkPolicy(policy) => {
            policy.metadata.generation = Some(1);
            let spec = policy.spec.get_or_insert_default();
            fill_policy_types(spec);
            fill_policy_ports(spec);
        }
        Object::HttpRoute(route) => route.metadata.generation = Some(1),
        Object::ConfigMap(_) => {}
    }
}

/// `stringData` is write-only in the API: it is merged into `data` and never read back.
pub(crate) fn merge_string_data(secret: &mut Secret) {
    let strings = secret.string_data.take().unwrap_or_default();
    if !strings.is_empty() {
        let data = secret.data.get_or_insert_default();
        data.extend(
            strings
                .into_iter()
                .map(|(key, value)| (key, ByteString(value.into_bytes()))),
        );
    }
}

fn fill_pod(spec: &mut PodSpec) {
    spec.restart_policy.get_or_insert_with(|| "Always".to_owned());
    spec.dns_policy.get_or_insert_with(|| "ClusterFirst".to_owned());
    spec.scheduler_name
        .get_or_insert_with(|| "default-scheduler".to_owned());
    spec.termination_grace_period_seconds.get_or_insert(GRACE_SECONDS);
    let init = spec.init_containers.iter_mut().flatten();
    for container in spec.containers.iter_mut().chain(init) {
        // A limit stands for a request that is not given.
        if let Some(resources) = &mut container.resources
            && let Some(limits) = resources.limits.clone()
        {
            let requests = resources.requests.get_or_insert_default();
            for (name, limit) in limits {
                requests.entry(name).or_insert(limit);
            }
        }
    }
}

/// A Job finds its pods by its UID, which it puts on them (`jobStrategy.generateSelector`).
fn select_own_pods(job: &ObjectMeta, spec: &mut JobSpec) {
    if spec.manual_selector == Some(true) {
        return;
    }
    let uid = job.uid.clone().unwrap_or_default();
    let name = job.name.clone().unwrap_or_default();
    let template = spec.template.metadata.get_or_insert_default();
    let labels = template.labels.get_or_insert_default();
    for prefix in ["", "batch.kubernetes.io/"] {
        labels.insert(format!("{prefix}controller-uid"), uid.clone());
        labels.insert(format!("{prefix}job-name"), name.clone());
    }
    spec.selector = Some(LabelSelector {
        match_labels: Some([("batch.kubernetes.io/controller-uid".to_owned(), uid)].into()),
        ..LabelSelector::default()
    });
}

fn fill_service(spec: &mut ServiceSpec, uid: &str) {
    spec.type_.get_or_insert_with(|| "ClusterIP".to_owned());
    spec.session_affinity.get_or_insert_with(|| "None".to_owned());
    for port in spec.ports.iter_mut().flatten() {
        port.protocol.get_or_insert_with(|| "TCP".to_owned());
        port.target_port.get_or_insert(IntOrString::Int(port.port));
    }
    if spec.type_.as_deref() != Some("ExternalName") {
        let address = spec.cluster_ip.get_or_insert_with(|| service_address(uid));
        spec.cluster_ips = Some(vec![address.clone()]);
    }
}

/// One of 2^16 addresses of 10.96.0.0/16, out of the UID: nothing here listens there, and the same run gives the same.
fn service_address(uid: &str) -> String {
    let digits = uid.get(..4).unwrap_or_default();
    let [high, low] = u16::from_str_radix(digits, 16).unwrap_or_default().to_be_bytes();
    format!("10.96.{high}.{low}")
}

fn fill_policy_ports(spec: &mut k8s_openapi::api::networking::v1::NetworkPolicySpec) {
    let egress = spec.egress.iter_mut().flatten().map(|rule| &mut rule.ports);
    let ingress = spec.ingress.iter_mut().flatten().map(|rule| &mut rule.ports);
    for port in egress.chain(ingress).flatten().flatten() {
        port.protocol.get_or_insert_with(|| "TCP".to_owned());
    }
}

fn fill_policy_types(spec: &mut k8s_openapi::api::networking::v1::NetworkPolicySpec) {
    if spec.policy_types.is_none() {
        let mut types = vec!["Ingress".to_owned()];
        if spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()) {
            types.push("Egress".to_owned());
        }
        spec.policy_types = Some(types);
    }
}
