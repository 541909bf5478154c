//! The Services of a session: stable names for its server, its ports and VS Code.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::labels::selector_map;
use crate::metadata::metadata;
use crate::owner::Owner;
use crate::pod::{SERVER_PORT_NAME, VSCODE_PORT_NAME};
use crate::session_spec::SessionSpec;

/// Names of the Services' ports, as OpenHands has them.
const SERVER: &str = "execution-server";
const CODE: &str = "code";

/// The Services of the session `spec`; none where it asks for neither a port nor VS Code.
pub fn services(spec: &SessionSpec, owner: &Owner) -> Vec<Service> {
    let Some(exposure) = &spec.exposure else {
        return Vec::new();
    };
    let names = spec.names();
    let server = spec.server.iter().map(|server| {
        // By the port's name, so that it is the container that says where its server listens.
        port(
            SERVER.into(),
            server.port,
            IntOrString::String(SERVER_PORT_NAME.into()),
        )
    });
    let asked = exposure
        .ports
        .iter()
        .map(|number| port(port_name(*number), *number, IntOrString::Int((*number).into())));
    let ports: Vec<_> = server.chain(asked).collect();
    let mut services = Vec::new();
    if !ports.is_empty() {
        services.push(service(spec, owner, names.service(), ports));
    }
    if let Some(server) = spec.server.as_ref().filter(|server| server.vscode) {
        let target = IntOrString::String(VSCODE_PORT_NAME.into());
        let code = port(CODE.into(), server.vscode_port, target);
        services.push(service(spec, owner, names.code_service(), vec![code]));
    }
    services
}

/// Name of a port that was asked for, in its Service.
fn port_name(port: u16) -> String {
    format!("port-{port}")
}

fn service(spec: &SessionSpec, owner: &Owner, name: String, ports: Vec<ServicePort>) -> Service {
    Service {
        metadata: metadata(spec, name, Some(owner)),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            selector: Some(selector_map(&spec.names())),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn port(name: String, port: u16, target: IntOrString) -> ServicePort {
    ServicePort {
        name: Some(name),
        port: port.into(),
        protocol: Some("TCP".into()),
        target_port: Some(target),
        ..ServicePort::default()
    }
}
