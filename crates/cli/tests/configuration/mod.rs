//! `podbay config`, and settings whose effect is seen from outside.

use crate::support::{Finished, Surroundings, finish};

#[test]
fn the_configuration_is_shown_with_its_origins_and_loads_again() {
    let there = Surroundings::new();
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(
        file.path(),
        "[kubernetes]\nnetwork = \"none\"\n[sandbox]\nruntime_startup_env_vars = { TOKEN = \"hunter2\" }\n",
    )
    .unwrap();
    let path = file.path().to_str().unwrap();
    let shown = finish(there.podbay(["config", "show", "--origin", "--config", path, "-n", "agents"]));
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(!shown.out().contains("hunter2"), "{}", shown.out());
    for line in [
        &format!("# {path}:2:11\nnetwork = \"none\""),
        "# --namespace\nnamespace = \"agents\"",
    ] {
        assert!(shown.out().contains(line), "{line}: {}", shown.out());
    }
    // The secret can't come back.
    let values = || {
        let shown = finish(there.podbay(["config", "show", "--config", path]));
        let lines = shown
            .out()
            .lines()
            .filter(|line| !line.contains("runtime_startup_env_vars"));
        lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let plain = values();
    std::fs::write(file.path(), &plain).unwrap();
    assert_eq!(values(), plain);
    let checked = finish(there.podbay(["config", "check", path]));
    assert_eq!(
        (checked.code, checked.out()),
        (Some(0), &*format!("{path}: ok\n")),
        "{}",
        checked.stderr
    );
}

#[test]
fn every_error_of_a_file_is_told_at_once() {
    let there = Surroundings::new();
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    let path = file.path().to_str().unwrap();
    let check = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        let done = finish(there.podbay(["config", "check", path]));
        assert_eq!((done.code, done.out()), (Some(2), ""), "{text}: {}", done.stderr);
        done.stderr
    };
    let said = check("[kubernetes]\nnetwrok = \"none\"\nworkload = \"pods\"\n");
    assert!(
        said.contains(":2:1") && said.contains("kubernetes.network"),
        "{said}"
    );
    assert!(said.contains(":3:12") && said.contains("pod"), "{said}");
    // What the file alone can't tell: quantities, pieces of the Kubernetes API, causes of failures.
    let said = check("[kubernetes]\nresource_memory_limit = \"lots\"\naffinity = { nodeAfinity = {} }\n");
    assert!(
        said.contains("resource_memory_limit") && said.contains("nodeAffinity"),
        "{said}"
    );
    let said = check("[kubernetes]\nstart_retries = { evictions = 1 }\n");
    assert!(said.contains("evicted"), "{said}");
    let missing = finish(there.podbay(["config", "check", "/no/such/file"]));
    assert_eq!(missing.code, Some(2), "{}", missing.stderr);
}

#[test]
fn the_schema_is_json_and_the_example_is_a_right_file() {
    let there = Surroundings::new();
    let schema = finish(there.podbay(["config", "schema"]));
    let schema: serde_json::Value = serde_json::from_str(schema.out()).unwrap();
    assert!(schema["$schema"].is_string());
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(file.path(), finish(there.podbay(["config", "example"])).out()).unwrap();
    let checked = finish(there.podbay(["config", "check", file.path().to_str().unwrap()]));
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

/// What `podbay config check` says of a file with this text, with the file's path left out.
fn check(text: &str) -> (Option<i32>, Vec<String>) {
    let there = Surroundings::new();
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(file.path(), text).unwrap();
    let path = file.path().to_str().unwrap();
    let Finished { code, stderr, .. } = finish(there.podbay(["config", "check", path]));
    (
        code,
        stderr
            .replace(path, "FILE")
            .lines()
            .map(|line| line.trim().to_owned())
            .collect(),
    )
}

#[test]
fn whatever_is_wrong_with_a_file_is_told_by_one_check_in_its_order() {
    let (code, said) = check(
        r#"debug = "maybe"
[kubernetess]
namespace = "a"
[kubernetes]
resource_memory_limit = "lots"
resource_cpu_request = "2x"
gateway = "a/b/c/d"
ingress_annotations = { "bad key" = "a" }
annotations = { "worse key" = "a" }
pvc_storage_size = "large"
gpu_resource_name = "gpu"
affinity = { nodeAfinity = {} }
network_allow = ["10.0.0.0/8", "10.0.0.0/99"]
start_retries = { evictions = 1 }
uid_from_cluster = true
run_as_user = 1
pod_template = { spec = { hostNetwrk = true } }
[[kubernetes.topology_spread_constraints]]
maxSkew = 1
topologyKey = "zone"
whenUnsatisfiable = "Sometimes"
[podbay]
request_burst = 0
"#,
    );
    assert_eq!(code, Some(2), "{said:?}");
    let places: Vec<_> = said
        .iter()
        .filter_map(|line| line.strip_prefix("FILE:")?.split_once(": "))
        .collect();
    let expected = [
        ("1:9", "debug is"),
        ("2:2", "there is no section [kubernetess]"),
        ("5:25", "kubernetes.resource_memory_limit"),
        ("6:24", "kubernetes.resource_cpu_request"),
        ("7:11", "kubernetes.gateway"),
        ("8:37", "kubernetes.ingress_annotations can't have \"bad key\""),
        ("9:31", "kubernetes.annotations can't have \"worse key\""),
        ("10:20", "kubernetes.pvc_storage_size"),
        ("11:21", "kubernetes.gpu_resource_name"),
        (
            "12:28",
            "kubernetes.affinity can't be used: there is no field nodeAfinity",
        ),
        ("13:17", "kubernetes.network_allow"),
        ("14:31", "kubernetes.start_retries can't have"),
        ("16:15", "kubernetes.run_as_user = 1 does not go with"),
        ("17:16", "kubernetes.pod_template"),
        (
            "21:21",
            "kubernetes.topology_spread_constraints (item 1) can't be used: whenUnsatisfiable can't be",
        ),
        ("23:17", "podbay.request_burst is 0"),
    ];
    for ((place, text), (line, words)) in places.iter().zip(expected) {
        assert!(
            *place == line && text.starts_with(words),
            "{place} {text}\nis not\n{line} {words}"
        );
    }
    assert_eq!(places.len(), expected.len(), "{said:#?}");
}

#[test]
fn what_is_used_only_where_it_is_asked_for_is_checked_too() {
    for (text, words) in [
        (
            "[kubernetes]\ningress_domain = \"*.foo\"",
            "FILE:2:18: kubernetes.ingress_domain",
        ),
        (
            "[kubernetes]\ncluster_domain = \"a b\"",
            "FILE:2:18: kubernetes.cluster_domain",
        ),
        (
            "[kubernetes]\nserver_port = 60000\n[sandbox]\nvscode_port = 60000",
            "FILE:2:15: kubernetes.server_port",
        ),
        (
            "[kubernetes]\nworkspace_volume = \"empty_dir\"\npvc_storage_class = \"A b\"",
            "FILE:3:21: kubernetes.pvc_storage_class",
        ),
        (
            "[kubernetes]\nvolumes = [{ name = \"a\", hostPath = { path = \"/a\", type = \"Dir\" } }]\nprofile = \"privileged\"",
            "FILE:2:59: kubernetes.volumes (item 1) can't be used: hostPath.type can't be \"Dir\"",
        ),
        (
            "[kubernetes]\nvolumes = [{ name = \"My_data\", emptyDir = {} }]",
            "FILE:2:21: kubernetes.volumes (item 1) can't be used: name can't be used: \"My_data\" is not a DNS label",
        ),
        (
            "[kubernetes]\nvolumes = [{ name = \"a\", emptyDir = {}, secret = { secretName = \"b\" } }]",
            "kubernetes.volumes (item 1) can't be used: secret can't be used: the volume has the source emptyDir already",
        ),
        (
            "[kubernetes]\nvolumes = [{ name = \"a\" }]\nvolume_mounts = [{ name = \"a\", mountPath = \"/a\", subPath = \"../x\" }]",
            "FILE:3:60: kubernetes.volume_mounts (item 1) can't be used: subPath can't be used: it must be a relative path",
        ),
        (
            "[kubernetes.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution]\nnodeSelectorTerms = []",
            "FILE:2:21: kubernetes.affinity can't be used: nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.\
             nodeSelectorTerms can't be used: it must have at least one term",
        ),
        (
            "[sandbox]\nplatform = \"linux/x86_65\"",
            "FILE:2:12: sandbox.platform can't be \"linux/x86_65\"",
        ),
    ] {
        let (code, said) = check(text);
        assert_eq!(code, Some(2), "{text}: {said:?}");
        let [line] = said.as_slice() else {
            panic!("{text}: {said:#?}")
        };
        assert!(line.contains(words), "{text}: {line}");
    }
    // What only some sessions can't have is no fault of the file's.
    for text in [
        "[kubernetes]\nuid_from_cluster = true",
        "[kubernetes]\nresource_memory_limit = \"512Mi\"",
        "[sandbox]\nplatform = \"linux/x86_64\"",
        "[sandbox]\nvolumes = \"data:/workspace\"",
        "[kubernetes]\nprofile = \"restricted\"\nmax_sessions = 3",
    ] {
        let (code, said) = check(text);
        assert_eq!(code, Some(0), "{text}: {said:?}");
    }
}

/// What hides behind a wrong value shows in the same check.
#[test]
fn a_template_that_the_profile_forbids_is_told_beside_a_wrong_value() {
    let (_, said) = check(
        "[kubernetes]\nresource_cpu_request = \"2x\"\npod_template = { spec = { hostNetwork = true } }\nnetwork = \"open\"",
    );
    let has = |words: &str| said.iter().any(|line| line.contains(words));
    assert!(has("FILE:2:24: kubernetes.resource_cpu_request"), "{said:?}");
    assert!(has("FILE:3:16: kubernetes.pod_template"), "{said:?}");
}

#[test]
fn a_session_that_a_file_keeps_from_being_made_has_its_place() {
    let there = Surroundings::new();
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(file.path(), "[kubernetes]\nresource_cpu_request = \"2x\"\n").unwrap();
    let path = file.path().to_str().unwrap();
    let done = finish(there.podbay(["render", "demo", "--config", path, "--memory", "lots"]));
    assert_eq!(done.code, Some(2));
    let place = format!("{path}:2:24: kubernetes.resource_cpu_request");
    assert!(done.stderr.contains(&place), "{}", done.stderr);
    // A flag is its own place.
    assert!(
        done.stderr.contains(": --memory can't be used"),
        "{}",
        done.stderr
    );
    let mut command = there.podbay(["render", "demo"]);
    command.env("OH_K8S_RESOURCE_CPU_REQUEST", "2x");
    let done = finish(command);
    let place = "environment variable OH_K8S_RESOURCE_CPU_REQUEST: kubernetes.resource_cpu_request";
    assert!(done.stderr.contains(place), "{}", done.stderr);
}

#[test]
fn the_setting_debug_shows_what_goes_on() {
    let there = Surroundings::new();
    // A port that nobody listens on any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let kubeconfig = serde_json::json!({
        "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "users": [{"name": "a", "user": {}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    });
    let path = there.path("work/kubeconfig");
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    let list = |debug: &str| {
        let mut command = there.podbay(["ls", "--kubeconfig", path.to_str().unwrap()]);
        command
            .env("PODBAY_DEBUG", debug)
            .env("PODBAY_REQUEST_TIMEOUT_SECONDS", "1");
        finish(command)
    };
    let (quiet, loud) = (list("false"), list("true"));
    assert_eq!((quiet.code, loud.code), (Some(125), Some(125)), "{}", loud.stderr);
    assert!(!quiet.stderr.contains("DEBUG"), "{}", quiet.stderr);
    assert!(loud.stderr.contains("DEBUG"), "{}", loud.stderr);
}
