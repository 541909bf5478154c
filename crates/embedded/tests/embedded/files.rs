//! What a command finds around it: directory and environment.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, SecretKeySelector};
use podbay_embedded::EmbeddedCluster;
use podbay_fake_cluster::testing::object;
use podbay_k8s_client::{ClusterClient as _, Kind};
use serde_json::json;

use crate::harness::{NAMESPACE, POD, cluster, container, pod, request, run, shell};

#[tokio::test]
async fn the_directory_is_private_and_everything_is_in_it() {
    let cluster = cluster().await;
    let directory = cluster.pod_directory(NAMESPACE, POD).unwrap();
    for path in [directory.as_path(), directory.parent().unwrap()] {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", path.display());
    }
    let ran = run(
        &cluster,
        shell("pwd -P; echo $HOME; echo $TMPDIR; cd && touch x; mktemp"),
    )
    .await;
    let directory = directory.canonicalize().unwrap();
    let lines: Vec<_> = ran.text().lines().map(Path::new).collect();
    assert_eq!(lines[0], directory.join("files/workspace"));
    for line in &lines[1..] {
        assert!(
            line.canonicalize().unwrap().starts_with(&directory),
            "{}",
            line.display()
        );
    }
    assert_eq!(lines.len(), 4);
}

#[tokio::test]
async fn the_environment_holds_nothing_of_the_hosts_but_what_is_harmless() {
    let cluster = cluster().await;
    let is_harmless =
        |name: &str| ["PATH", "LANG", "TZ", "USER", "LOGNAME"].contains(&name) || name.starts_with("LC_");
    // There is something to leave out: what cargo or a shell sets.
    assert!(std::env::vars().any(|(name, _)| name != "HOME" && !is_harmless(&name)));
    let ran = run(&cluster, request(["env", "-0"])).await;
    for entry in ran.text().split_terminator('\0') {
        let (name, value) = entry.split_once('=').unwrap();
        let ours = ["HOME", "TMPDIR", "PODBAY_EMBEDDED_PROCESS"].contains(&name);
        let harmless = is_harmless(name);
        assert!(ours || harmless, "{entry}");
        if harmless && name != "PATH" {
            assert_eq!(std::env::var(name).as_deref(), Ok(value));
        }
    }
}

#[tokio::test]
async fn the_environment_of_the_container_is_there_with_its_secrets() {
    let cluster = EmbeddedCluster::new().unwrap();
    let data = json!({"key": ByteString(b"hidden \xff".to_vec())});
    let secret = object(
        Kind::Secret,
        NAMESPACE,
        json!({"metadata": {"name": "s"}, "data": data}),
    );
    cluster.create(secret).await.unwrap();
    let selector = SecretKeySelector {
        name: "s".to_owned(),
        key: "key".to_owned(),
        optional: None,
    };
    let source = EnvVarSource {
        secret_key_ref: Some(selector),
        ..EnvVarSource::default()
    };
    let mut container = container();
    container.env = Some(vec![
        EnvVar {
            name: "PLAIN".to_owned(),
            value: Some("1".to_owned()),
            value_from: None,
        },
        EnvVar {
            name: "LANG".to_owned(),
            value: Some("xx".to_owned()),
            value_from: None,
        },
        EnvVar {
            name: "TOKEN".to_owned(),
            value: None,
            value_from: Some(source),
        },
    ]);
    cluster.create(pod(&container)).await.unwrap();
    let ran = run(&cluster, shell("printf %s \"$PLAIN $LANG $TOKEN\"")).await;
    assert_eq!(ran.stdout, b"1 xx hidden \xff");
}
