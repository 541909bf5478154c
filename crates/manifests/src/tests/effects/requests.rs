//! The same for what a client asks: each field changes what is made.

use podbay_config::{ApiObject, Config, NetworkMode, PullPolicy, WorkloadKind};

use serde_json::json;

use super::seen;
use crate::launch::Launch;
use crate::profile::Profile;
use crate::request::SessionRequest;
use crate::server::ServerKind;
use crate::session_owner::SessionOwner;

/// Requests that ask for one thing each; a field that is not in here does not compile.
fn one_by_one() -> Vec<(&'static str, SessionRequest)> {
    let full = SessionRequest {
        image: Some("debian:12".into()),
        pull_policy: Some(PullPolicy::Always),
        user: Some("1000".into()),
        fs_group: Some(5),
        profile: Some(Profile::Baseline),
        env: [("A".to_owned(), "1".into())].into(),
        workdir: Some("/w".into()),
        cpu: Some("2".into()),
        memory: Some("4Gi".into()),
        persistent: Some(true),
        labels: [("team".into(), "x".into())].into(),
        server: Some(ServerKind::OpenHands),
        ports: vec![3000],
        vscode: true,
        network: Some(NetworkMode::None),
        workload: Some(WorkloadKind::Job),
        runtime_class: Some("gvisor".into()),
        gpus: Some(1),
        resource_factor: Some(2),
        actions: Some(60_000),
        launch: Some(Launch::Image),
        routed: vec![12_000],
        owner: Some(SessionOwner::of("alice").unwrap()),
    };
    macro_rules! alone {
        ($($field:ident),+) => {{
            // Names every field, so that none is forgotten.
            let SessionRequest { $($field),+ } = full;
            vec![$((
                stringify!($field),
                SessionRequest { $field, ..SessionRequest::default() },
            )),+]
        }};
    }
    alone![
        image,
        pull_policy,
        user,
        fs_group,
        profile,
        env,
        workdir,
        cpu,
        memory,
        persistent,
        labels,
        server,
        ports,
        vscode,
        network,
        workload,
        runtime_class,
        gpus,
        resource_factor,
        actions,
        launch,
        routed,
        owner
    ]
}

/// All pods of the namespace.
fn peers() -> ApiObject {
    json!({ "podSelector": {} }).as_object().unwrap().clone().into()
}

#[test]
fn every_field_of_a_request_changes_what_is_made() {
    for (field, mut request) in one_by_one() {
        let mut without = SessionRequest::default();
        if field == "vscode" {
            // Which needs a server to start it.
            request.server = Some(ServerKind::Image);
            without.server = Some(ServerKind::Image);
        }
        let mut config = Config::default();
        if field == "routed" {
            // By those who are named.
            config.kubernetes.agent_from = vec![peers()].into();
        }
        if field == "actions" {
            // Which are an agent's port.
            config.agent.image = Some("podbay/agent:1".into());
        }
        assert_ne!(
            seen(&config, without),
            seen(&config, request),
            "{field} changes nothing"
        );
    }
}
