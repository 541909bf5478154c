//! Which crates may reach which: the map in docs/architecture.md, held by cargo's own view of the workspace. Needs no
//! cluster.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What is reached by normal dependencies: name by name, through any number of steps.
struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    /// The workspace's graph with the features that a build of all of it switches on, so that no feature hides an edge.
    fn load() -> Self {
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--format-version=1",
                "--locked",
                "--offline",
                "--all-features",
            ])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let names: BTreeMap<&str, &str> = array(&metadata["packages"])
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in array(&metadata["resolve"]["nodes"]) {
            let normal = array(&node["deps"])
                .iter()
                .filter(|dependency| {
                    array(&dependency["dep_kinds"])
                        .iter()
                        .any(|kind| kind["kind"].is_null())
                })
                .map(|dependency| names[text(&dependency["pkg"])].to_owned());
            graph
                .entry(names[text(&node["id"])].to_owned())
                .or_default()
                .extend(normal);
        }
        Self(graph)
    }

    /// Everything that `package` reaches.
    fn reached<'a>(&'a self, package: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut todo = vec![package];
        while let Some(next) = todo.pop() {
            let direct = self
                .0
                .get(next)
                .unwrap_or_else(|| panic!("there is no package {next}"));
            todo.extend(
                direct
                    .iter()
                    .map(String::as_str)
                    .filter(|name| reached.insert(*name)),
            );
        }
        reached
    }

    /// Our own packages that name `package` among their normal dependencies.
    fn named_by(&self, package: &str) -> Vec<&str> {
        let names = |direct: &BTreeSet<String>| direct.contains(package);
        self.0
            .iter()
            .filter(|(name, direct)| name.starts_with("podbay") && names(direct))
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn crates_for_the_pod_reach_neither_kubernetes_nor_sessions() {
    let graph = Graph::load();
    for package in ["podbay-archive", "podbay-process", "podbay-protocol"] {
        let reached = graph.reached(package);
        for other in [
            "podbay-k8s-client",
            "podbay-runtime",
            "k8s-openapi",
            "kube",
            "hyper",
        ] {
            assert!(!reached.contains(other), "{package} reaches {other}");
        }
    }
}

#[test]
fn only_the_client_names_kube() {
    // The suites ask a real cluster in kube's own words.
    assert_eq!(
        Graph::load().named_by("kube"),
        ["podbay-k8s-client", "podbay-tests"]
    );
}

#[test]
fn the_cluster_for_tests_ships_in_nothing_but_the_embedded_backend() {
    assert_eq!(
        Graph::load().named_by("podbay-fake-cluster"),
        ["podbay-embedded", "podbay-tests"]
    );
}
