//! Kubeconfigs that can't be used, and what is told of them.

use podbay_k8s_client::live::CallLimits;
use podbay_k8s_client::remote_command::DriverOptions;
use podbay_k8s_client::{Cluster, ErrorKind, LiveClient};

const TWO: &str = "contexts: [{name: here, context: {cluster: a, user: u}}, {name: there, context: {cluster: b, \
                   user: u}}], clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}], users: [{name: u, \
                   user: {token: t}}]";

/// What is told of a kubeconfig with this text, the context `context` asked for.
async fn told(text: &str, context: Option<&str>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, text).unwrap();
    let cluster = Cluster::Kubeconfig {
        path: Some(path.clone()),
        context: context.map(str::to_owned),
    };
    let connected = LiveClient::connect(&cluster, CallLimits::default(), DriverOptions::default()).await;
    let error = connected.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Configuration);
    let told = error.to_string();
    assert!(told.contains(path.to_str().unwrap()), "the file is named: {told}");
    told
}

#[tokio::test]
async fn an_empty_kubeconfig_is_told_as_empty() {
    for text in ["", "apiVersion: v1\nkind: Config\n"] {
        let told = told(text, None).await;
        assert!(told.contains("it is empty"), "{told}");
    }
}

#[tokio::test]
async fn without_a_current_context_those_that_can_be_chosen_are_told() {
    let told = told(&format!("{{apiVersion: v1, kind: Config, {TWO}}}"), None).await;
    assert!(
        told.contains("--context") && told.contains("it has here, there"),
        "{told}"
    );
}

#[tokio::test]
async fn a_context_or_cluster_that_is_not_there_is_told_with_those_that_are() {
    let text = format!("{{apiVersion: v1, kind: Config, current-context: here, {TWO}}}");
    let missing = told(&text, Some("nowhere")).await;
    assert!(
        missing.contains("\"nowhere\"") && missing.contains("it has here, there"),
        "{missing}"
    );
    let missing = told(&text, Some("there")).await;
    assert!(
        missing.contains("no cluster \"b\"") && missing.contains("it has a"),
        "{missing}"
    );
}
