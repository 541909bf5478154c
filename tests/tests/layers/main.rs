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
        let metadata = metadata();
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

/// What cargo knows of the workspace, with all features switched on and for every system: that needs packages which a build for
/// this system alone has not brought. Where they are not there, what a build of all of it uses here.
fn metadata() -> Value {
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.output().unwrap()
    };
    let told = |which: &[&str]| {
        cargo(
            &[
                &["metadata", "--format-version=1", "--locked", "--offline"],
                which,
            ]
            .concat(),
        )
    };
    let mut output = told(&["--all-features"]);
    if String::from_utf8_lossy(&output.stderr).contains("--offline was specified") {
        let version = String::from_utf8(cargo(&["-vV"]).stdout).unwrap();
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        output = told(&["--filter-platform", host.unwrap()]);
    }
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
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
    for package in [
        "podbay-agent",
        "podbay-archive",
        "podbay-local",
        "podbay-process",
        "podbay-protocol",
    ] {
        let reached = graph.reached(package);
        for other in ["podbay-k8s-client", "podbay-runtime", "k8s-openapi", "kube"] {
            assert!(!reached.contains(other), "{package} reaches {other}");
        }
        // The agent is a server.
        assert!(
            package == "podbay-agent" || !reached.contains("hyper"),
            "{package} reaches hyper"
        );
    }
}

#[test]
fn what_is_pure_reaches_no_client() {
    let graph = Graph::load();
    for package in ["podbay-config", "podbay-manifests", "podbay-protocol"] {
        let reached = graph.reached(package);
        for other in ["podbay-k8s-client", "podbay-runtime", "kube", "hyper", "tokio"] {
            assert!(!reached.contains(other), "{package} reaches {other}");
        }
    }
}

/// The arrows of the map in docs/architecture.md. A crate that is new there gets a row here.
#[test]
fn each_crate_names_those_below_it_and_no_others() {
    let graph = Graph::load();
    let below: [(&str, &[&str]); 12] = [
        ("podbay-archive", &[]),
        ("podbay-config", &[]),
        ("podbay-protocol", &[]),
        ("podbay-process", &["podbay-protocol"]),
        (
            "podbay-agent",
            &["podbay-archive", "podbay-process", "podbay-protocol"],
        ),
        ("podbay-local", &["podbay-process", "podbay-protocol"]),
        ("podbay-manifests", &["podbay-config", "podbay-protocol"]),
        ("podbay-k8s-client", &["podbay-protocol"]),
        ("podbay-fake-cluster", &["podbay-k8s-client"]),
        (
            "podbay-runtime",
            &[
                "podbay-archive",
                "podbay-config",
                "podbay-k8s-client",
                "podbay-local",
                "podbay-manifests",
                "podbay-process",
                "podbay-protocol",
            ],
        ),
        (
            "podbay-exec-proxy",
            &[
                "podbay-config",
                "podbay-manifests",
                "podbay-protocol",
                "podbay-runtime",
            ],
        ),
        (
            "podbay",
            &[
                "podbay-config",
                "podbay-exec-proxy",
                "podbay-manifests",
                "podbay-process",
                "podbay-protocol",
                "podbay-runtime",
            ],
        ),
    ];
    let below = BTreeMap::from(below);
    for (name, direct) in &graph.0 {
        if !name.starts_with("podbay") || name == "podbay-tests" {
            continue;
        }
        let allowed = below
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} has no row here"));
        let named: BTreeSet<&str> = direct.iter().map(String::as_str).collect();
        let ours = named.into_iter().filter(|other| other.starts_with("podbay"));
        assert_eq!(ours.collect::<Vec<_>>(), *allowed, "{name}");
    }
}

/// `k8s-openapi` builds with exactly one API version switched on, which is the program's to choose.
#[test]
fn no_library_chooses_an_api_version_of_kubernetes() {
    let metadata = metadata();
    let mut named_by = 0;
    for package in array(&metadata["packages"]) {
        let name = text(&package["name"]);
        if !name.starts_with("podbay") || matches!(name, "podbay" | "podbay-tests") {
            continue;
        }
        let names_it =
            |dependency: &&Value| dependency["name"] == "k8s-openapi" && dependency["kind"].is_null();
        let Some(dependency) = array(&package["dependencies"]).iter().find(names_it) else {
            continue;
        };
        named_by += 1;
        assert_eq!(dependency["features"], serde_json::json!([]), "{name}");
        let features = &package["features"];
        assert_eq!(
            features["k8s-v1_33"],
            serde_json::json!(["k8s-openapi/v1_33"]),
            "{name}"
        );
        let default = features["default"].as_array();
        assert!(
            default.is_none_or(|default| !default.contains(&"k8s-v1_33".into())),
            "{name}"
        );
    }
    assert!(named_by > 0);
}

/// Whoever wants the trait alone is not given kube, hyper, TLS and WebSockets.
#[test]
fn the_client_over_an_api_server_is_optional() {
    let metadata = metadata();
    let client = array(&metadata["packages"])
        .iter()
        .find(|package| package["name"] == "podbay-k8s-client")
        .unwrap();
    for dependency in array(&client["dependencies"]) {
        let name = text(&dependency["name"]);
        if [
            "kube",
            "hyper",
            "hyper-util",
            "rustls",
            "tokio-tungstenite",
            "tower",
        ]
        .contains(&name)
        {
            let is_for_tests = dependency["kind"] == "dev";
            assert!(is_for_tests || dependency["optional"] == true, "{name}");
        }
    }
    assert!(client["features"]["default"].is_null());
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
fn the_cluster_for_tests_ships_in_nothing() {
    assert_eq!(Graph::load().named_by("podbay-fake-cluster"), ["podbay-tests"]);
}
