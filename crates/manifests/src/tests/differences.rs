//! What attaching to an existing session warns of.

use podbay_config::{Config, NetworkMode, PullPolicy, WorkloadKind};

use super::{default_spec, validate, variable};
use crate::launch::Launch;
use crate::profile::Profile;
use crate::request::SessionRequest;
use crate::server::ServerKind;

/// A request that names every field.
fn full() -> SessionRequest {
    SessionRequest {
        image: Some("debian:12".into()),
        pull_policy: Some(PullPolicy::Always),
        user: Some("1000".into()),
        fs_group: Some(5),
        profile: Some(Profile::Baseline),
        env: [variable("A", "1")].into(),
        workdir: Some("/w".into()),
        cpu: Some("2".into()),
        memory: Some("4Gi".into()),
        persistent: Some(true),
        labels: [("team".into(), "x".into())].into(),
        server: Some(ServerKind::OpenHands),
        ports: vec![3000, 8080],
        vscode: true,
        network: Some(NetworkMode::None),
        workload: Some(WorkloadKind::Job),
        runtime_class: Some("gvisor".into()),
        gpus: Some(1),
        resource_factor: Some(2),
        actions: Some(60_000),
        launch: Some(Launch::Program(vec!["sleep".into(), "9".into()])),
        routed: vec![12_000],
        owner: None,
    }
}

#[test]
fn nothing_asked_nothing_different() {
    let (spec, _) = validate(&Config::default(), full()).unwrap();
    assert_eq!(SessionRequest::default().differences(&spec), []);
}

#[test]
fn the_same_asked_in_other_words_is_no_difference() {
    let (spec, _) = validate(&Config::default(), full()).unwrap();
    let request = SessionRequest {
        cpu: Some("2000m".into()),
        memory: Some("4096Mi".into()),
        workdir: Some("//w/".into()),
        user: Some("01000".into()),
        env: [variable("A", "another value")].into(),
        ..full()
    };
    assert_eq!(request.differences(&spec), []);
}

#[test]
fn every_field_is_compared() {
    let lines: Vec<_> = full()
        .differences(&default_spec())
        .iter()
        .map(ToString::to_string)
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_limit_the_session_lacks_is_a_difference() {
    // The default session has a CPU request of 1 and no limit; `cpu 1` sets both.
    let request = SessionRequest {
        cpu: Some("1".into()),
        ..SessionRequest::default()
    };
    let differences = request.differences(&default_spec());
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].existing.as_deref(), Some("1, no limit"));
}

#[test]
fn what_can_never_be_valid_is_a_difference() {
    let request = SessionRequest {
        image: Some("a b".into()),
        cpu: Some("?".into()),
        ..SessionRequest::default()
    };
    assert_eq!(request.differences(&default_spec()).len(), 2);
}
