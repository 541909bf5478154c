//! Where sessions are reached.

use podbay_config::Config;

use super::validate;
use crate::profile::Profile;
use crate::request::SessionRequest;
use crate::server::ServerKind;
use crate::session_spec::SessionSpec;

fn served(change: impl FnOnce(&mut Config)) -> SessionSpec {
    let mut config = Config::default();
    change(&mut config);
    let request = SessionRequest {
        server: Some(ServerKind::OpenHands),
        profile: Some(Profile::Baseline),
        ports: vec![3000],
        vscode: true,
        ..SessionRequest::default()
    };
    validate(&config, request).unwrap().0
}

fn hosts(spec: &SessionSpec) -> Vec<(String, u16)> {
    spec.web_hosts().into_iter().collect()
}

#[test]
fn by_ingress() {
    let spec = served(|config| config.kubernetes.app_ports = vec![]);
    assert_eq!(hosts(&spec), [("http://demo-3000.localhost".into(), 3000)]);
    assert_eq!(
        spec.vscode_url(Some("a&b")).as_deref(),
        Some("http://demo.localhost/?tkn=a%26b&folder=/workspace")
    );
    let spec = served(|config| {
        config.kubernetes.ingress_tls_secret = Some("tls".into());
        config.kubernetes.ingress_domain = "sandboxes.example".into();
        config.kubernetes.app_ports = vec![];
    });
    assert_eq!(
        hosts(&spec),
        [("https://demo-3000.sandboxes.example".into(), 3000)]
    );
    assert_eq!(
        spec.vscode_url(None).as_deref(),
        Some("https://demo.sandboxes.example/?folder=/workspace")
    );
}

#[test]
fn inside_the_cluster() {
    let spec = served(|config| {
        config.kubernetes.ingress = false;
        config.kubernetes.cluster_domain = "cluster.example".into();
    });
    assert_eq!(
        hosts(&spec)[0],
        (
            "http://openhands-runtime-demo-svc.agents.svc.cluster.example:3000".into(),
            3000
        )
    );
    assert_eq!(hosts(&spec).len(), 3);
    assert_eq!(
        spec.vscode_url(None).as_deref(),
        Some("http://openhands-runtime-demo-svc-code.agents.svc.cluster.example:8081/?folder=/workspace")
    );
}

#[test]
fn nowhere_unless_asked() {
    let (spec, _) = validate(&Config::default(), SessionRequest::default()).unwrap();
    assert_eq!(hosts(&spec), []);
    assert_eq!(spec.vscode_url(Some("x")), None);
    let request = SessionRequest {
        ports: vec![3000],
        ..SessionRequest::default()
    };
    let (spec, _) = validate(&Config::default(), request).unwrap();
    // Nobody starts applications in an image without a server, so its ports are those that were asked for.
    assert_eq!(hosts(&spec).len(), 1);
    assert_eq!(spec.vscode_url(None), None);
}
