//! The container: image, command, ports, resources.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerPort, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::{CONTAINER, SERVER_PORT_NAME, VSCODE_PORT_NAME, agent, environment, probes, security, volumes};
use crate::empty::{non_empty, non_empty_list};
use crate::keep_alive;
use crate::session_spec::{ResourceBounds, SessionSpec};

pub(super) fn container(spec: &SessionSpec) -> Container {
    let plain = Container {
        name: CONTAINER.into(),
        image: Some(spec.pull.mirrored.as_ref().unwrap_or(&spec.image).to_string()),
        image_pull_policy: spec.pull.policy.map(|policy| policy.0.as_str().into()),
        working_dir: spec.container_workdir().map(ToOwned::to_owned),
        ports: non_empty_list(ports(spec)),
        env: non_empty_list(environment::environment(spec)),
        resources: Some(resources(spec)),
        security_context: Some(security::container(&spec.security)),
        volume_mounts: Some(volumes::mounts(spec)),
        ..Container::default()
    };
    match &spec.server {
        Some(server) => Container {
            command: server.command.clone(),
            startup_probe: Some(probes::startup(server)),
            readiness_probe: Some(probes::readiness(server)),
            ..plain
        },
        None if spec.runs_image() => plain,
        None => Container {
            command: Some(agent::command(spec).unwrap_or_else(keep_alive::command)),
            ..plain
        },
    }
}

/// The init container, if there is one.
pub(super) fn init(spec: &SessionSpec) -> Option<Container> {
    // Devices are for the session alone.
    agent::init_container(spec, amounts_of(spec, &BTreeMap::new()))
}

fn ports(spec: &SessionSpec) -> Vec<ContainerPort> {
    let port = |name: Option<&str>, port: u16| ContainerPort {
        name: name.map(Into::into),
        container_port: port.into(),
        ..ContainerPort::default()
    };
    let mut ports = Vec::new();
    if let Some(server) = &spec.server {
        ports.push(port(Some(SERVER_PORT_NAME), server.port));
        ports.extend(
            server
                .vscode
                .then(|| port(Some(VSCODE_PORT_NAME), server.vscode_port)),
        );
    }
    let asked = spec.exposure.iter().flat_map(|exposure| &exposure.ports);
    ports.extend(asked.map(|number| port(None, *number)));
    ports
}

fn resources(spec: &SessionSpec) -> ResourceRequirements {
    amounts_of(spec, &spec.resources.extended)
}

fn amounts_of(spec: &SessionSpec, extended: &BTreeMap<String, u32>) -> ResourceRequirements {
    let resources = &spec.resources;
    let pairs = [
        ("cpu", Some(&resources.cpu)),
        ("memory", Some(&resources.memory)),
        ("ephemeral-storage", resources.ephemeral_storage.as_ref()),
    ];
    // The API takes extended resources only with equal requests and limits.
    let extended = extended
        .iter()
        .map(|(name, count)| (name.clone(), ApiQuantity(count.to_string())));
    let amounts = |of: fn(&ResourceBounds) -> Option<ApiQuantity>| {
        let amounts = pairs
            .into_iter()
            .filter_map(|(name, bounds)| Some((name.to_owned(), of(bounds?)?)));
        non_empty(amounts.chain(extended.clone()).collect::<BTreeMap<_, _>>())
    };
    ResourceRequirements {
        requests: amounts(|bounds| Some((&bounds.request).into())),
        limits: amounts(|bounds| bounds.limit.as_ref().map(Into::into)),
        claims: None,
    }
}
