//! What the API server would refuse of an object (`pkg/apis/*/validation`), as far as a manifest can get it wrong
//! in practice: names, labels, pods, sizes, ports, hosts, and what may not change. Each problem reads
//! `field.path: what is wrong`, in the server's words.

mod change;
mod container;
mod data;
mod metadata;
mod network;
mod pod;
mod problems;
mod text;

use podbay_k8s_client::Object;

use problems::Problems;

/// What is wrong with an object about to be created; empty if nothing is.
pub(crate) fn of_new(object: &Object) -> Vec<String> {
    let mut problems = Problems::default();
    metadata::validate(object, &mut problems);
    content(object, &mut problems);
    problems.into_vec()
}

/// What is wrong with what an update makes of an object.
pub(crate) fn of_change(before: &Object, after: &Object) -> Vec<String> {
    let mut problems = Problems::default();
    metadata::validate(after, &mut problems);
    content(after, &mut problems);
    change::validate(before, after, &mut problems);
    problems.into_vec()
}

fn content(object: &Object, problems: &mut Problems) {
    match object {
        Object::ConfigMap(map) => data::validate_config_map(map, problems),
        Object::Secret(secret) => data::validate_secret(secret, problems),
        Object::Pod(pod) => match &pod.spec {
            Some(spec) => pod::validate(spec, "spec", problems),
            None => problems.required("spec.containers", ""),
        },
        Object::Job(job) => pod::validate_job(job, problems),
        Object::PersistentVolumeClaim(claim) => data::validate_claim(claim, problems),
        Object::Service(service) => network::validate_service(service, problems),
        Object::Ingress(ingress) => network::validate_ingress(ingress, problems),
        Object::NetworkPolicy(policy) => network::validate_policy(policy, problems),
        Object::HttpRoute(route) => network::validate_route(route, problems),
    }
}

#[cfg(test)]
mod tests;
