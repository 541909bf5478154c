//! Every error: all at once, each with its place, value, what is allowed, and the nearest name.

use crate::support::{environment, load, toml_file};
use podbay_config::{Config, Fault};

/// The only fault of a file, without the path of its directory.
#[expect(clippy::expect_used, reason = "a file that loads fails the test")]
fn fault_of_file(text: &str) -> String {
    let error = load(text, &[]).expect_err(text);
    assert_eq!(error.faults().len(), 1, "{error}");
    let message = error.faults()[0].to_string();
    let after = message.find("config.toml").expect("names the file");
    message[after..].to_owned()
}

#[expect(clippy::expect_used, reason = "a variable that loads fails the test")]
fn fault_of_variable(name: &str, value: &str) -> String {
    let error = load("", &[(name, value)]).expect_err(name);
    assert_eq!(error.faults().len(), 1, "{error}");
    error.faults()[0].to_string()
}

#[test]
fn faults_of_files() {
    let seconds = "allowed is a whole number from 1 to 31536000 (a year)";
    let zero_too = "allowed is a whole number from 0 to 31536000 (a year)";
    for (text, expected) in [
        ("[kubernetes]\nnamepsace = 'a'", "config.toml:2:1: there is no setting kubernetes.namepsace; did you mean kubernetes.namespace?".to_owned()),
        ("[kubernetes]\nzzz = 'a'", "config.toml:2:1: there is no setting kubernetes.zzz".to_owned()),
        ("\n[podbay]\nstart_timeout = 3", "config.toml:3:1: there is no setting podbay.start_timeout; did you mean podbay.start_timeout_seconds?".to_owned()),
        ("[sandbox]\nbase_image = 'a'", "config.toml:2:1: there is no setting sandbox.base_image; did you mean sandbox.base_container_image?".to_owned()),
        ("[kubernetess]\nnamespace = 'a'", "config.toml:1:2: there is no section [kubernetess]; did you mean [kubernetes]?".to_owned()),
        ("[Podbay]", "config.toml:1:2: there is no section [Podbay]; did you mean [podbay]?".to_owned()),
        ("sandbx.timeout = 3", "config.toml:1:1: there is no section [sandbx]; did you mean [sandbox]?".to_owned()),
        ("kubernetes = 3", "config.toml:1:1: kubernetes must be a table: write [kubernetes]".to_owned()),
        ("[[podbay]]", "config.toml:1:3: podbay must be a table: write [podbay]".to_owned()),
        ("[kubernetes]\nnamespace = ''", "config.toml:2:13: kubernetes.namespace is \"\"; allowed is text that is not empty".to_owned()),
        ("[kubernetes]\nimage_pull_secret = ' '", "config.toml:2:21: kubernetes.image_pull_secret is \" \"; allowed is text; empty is the same as not set".to_owned()),
        ("[kubernetes]\nnamespace = 3", "config.toml:2:13: kubernetes.namespace is 3; allowed is text that is not empty".to_owned()),
        ("[kubernetes]\nkubeconfig = ['a']", "config.toml:2:14: kubernetes.kubeconfig is an array; allowed is a path; empty is the same as not set".to_owned()),
        ("[kubernetes]\nprivileged = 'maybe'", "config.toml:2:14: kubernetes.privileged is \"maybe\"; allowed is true or false".to_owned()),
        ("[kubernetes]\nprivileged = 1", "config.toml:2:14: kubernetes.privileged is 1; allowed is true or false".to_owned()),
        ("[kubernetes]\nresource_cpu_request = 1", "config.toml:2:24: kubernetes.resource_cpu_request is 1; allowed is a Kubernetes quantity in quotes, such as \"500m\" or \"2Gi\"".to_owned()),
        ("[kubernetes]\nresource_memory_limit = ''", "config.toml:2:25: kubernetes.resource_memory_limit is \"\"; allowed is a Kubernetes quantity in quotes, such as \"500m\" or \"2Gi\"".to_owned()),
        ("[kubernetes]\nnode_selector_key = 'a'", "config.toml:2:21: kubernetes.node_selector_key is set without kubernetes.node_selector_val; set both or neither".to_owned()),
        ("[kubernetes]\nnode_selector_val = 'a'", "config.toml:2:21: kubernetes.node_selector_val is set without kubernetes.node_selector_key; set both or neither".to_owned()),
        ("[kubernetes]\ntolerations_yaml = '- {keyy: a}'", "config.toml:2:20: kubernetes.tolerations_yaml is \"- {keyy: a}\": item 1: there is no field \"keyy\"; did you mean key?; allowed is a YAML list of Kubernetes tolerations".to_owned()),
        ("[podbay]\nstart_timeout_seconds = 0", format!("config.toml:2:25: podbay.start_timeout_seconds is 0; {seconds}")),
        ("[podbay]\nstart_timeout_seconds = 31_536_001", format!("config.toml:2:25: podbay.start_timeout_seconds is 31536001; {seconds}")),
        ("[podbay]\nrequest_timeout_seconds = 1.5", format!("config.toml:2:27: podbay.request_timeout_seconds is 1.5; {seconds}")),
        ("[podbay]\nclaim_grace_seconds = -1", format!("config.toml:2:23: podbay.claim_grace_seconds is -1; {zero_too}")),
        ("[podbay]\nclaim_grace_seconds = 'soon'", format!("config.toml:2:23: podbay.claim_grace_seconds is \"soon\"; {zero_too}")),
        ("[podbay]\nclaim_grace_seconds = 1979-05-27", format!("config.toml:2:23: podbay.claim_grace_seconds is \"1979-05-27\"; {zero_too}")),
        ("[podbay]\nrequest_burst = 0", "config.toml:2:17: podbay.request_burst is 0; allowed is a whole number from 1 to 1000000".to_owned()),
        ("[podbay]\nrequest_burst = 4294967296", "config.toml:2:17: podbay.request_burst is 4294967296; allowed is a whole number from 1 to 1000000".to_owned()),
        ("kubernetes.namespace = 3", "config.toml:1:24: kubernetes.namespace is 3; allowed is text that is not empty".to_owned()),
        ("[kubernetes]\nimage_pull_secrets = ['a', '']", "config.toml:2:28: kubernetes.image_pull_secrets is an array: item 2: \"\"; allowed is texts that are not empty: an array in the file, a comma separated list in a text".to_owned()),
        ("[kubernetes]\napp_ports = [80, 'http']", "config.toml:2:18: kubernetes.app_ports is an array: item 2: \"http\" is not such a whole number; allowed is ports from 1 to 65535: an array in the file, a comma separated list in a text".to_owned()),
        ("[kubernetes.start_retries]\nnode_lost = 1\neviction = -1", "config.toml:3:12: kubernetes.start_retries is a table: the value of \"eviction\", -1, is not such a whole number; allowed is causes of a failure, each with a whole number from 0 to 100: a table in the file, a JSON object or Python dict in a text".to_owned()),
        ("[[kubernetes.tolerations]]\nkey = 'a'\n\n[[kubernetes.tolerations]]\nkey = 'b'\neffect = 'Never'", "config.toml:6:10: kubernetes.tolerations is an array: item 2: effect is \"Never\"; allowed is NoSchedule, PreferNoSchedule, NoExecute; allowed is Kubernetes tolerations: an array of tables in the file, YAML in a text".to_owned()),
        ("[kubernetes]\nvolumes = [{ name = 'a' },\n  'b']", "config.toml:3:3: kubernetes.volumes is an array: item 2: \"b\" is not a table; allowed is tables with the fields of the Kubernetes API, or the same as a YAML list in a text".to_owned()),
        ("[kubernetes]\naffinity = '{'", "config.toml:2:12: kubernetes.affinity is \"{\": not YAML: ".to_owned()),
        ("[kubernetes]\nprofile = 'restrictd'", "config.toml:2:11: kubernetes.profile is \"restrictd\": there is no such word; did you mean restricted?; allowed is restricted, baseline or privileged; empty is the same as not set".to_owned()),
        ("[sandbox]\nruntime_startup_env_vars = 3", "config.toml:2:28: sandbox.runtime_startup_env_vars is not valid (its value is secret and not shown); allowed is names of printable ASCII characters without \"=\", each with a text value without NUL: a table in the file, a JSON object or Python dict in a variable".to_owned()),
    ] {
        let fault = fault_of_file(text);
        // What the YAML parser says is its own.
        if expected.ends_with("not YAML: ") {
            assert!(fault.starts_with(&expected), "{fault}");
        } else {
            assert_eq!(fault, expected, "{text}");
        }
    }
}

#[test]
fn mount_paths() {
    for path in ["", "workspace", "/", "//", "/a:b", "/a/../b", "/a\\n"] {
        let text = format!("workspace_mount_path_in_sandbox = \"{path}\"");
        assert!(
            fault_of_file(&text).contains("allowed is an absolute path other than \"/\""),
            "{path}"
        );
    }
    for path in ["/workspace", "/a..b/c/"] {
        let config = load(
            &format!("[core]\nworkspace_mount_path_in_sandbox = \"{path}\""),
            &[],
        )
        .unwrap();
        assert_eq!(config.workspace_mount_path_in_sandbox, path);
    }
}

#[test]
fn faults_of_variables_and_flags() {
    assert_eq!(
        fault_of_variable("OH_K8S_PRIVILEGED", "yes please"),
        "environment variable OH_K8S_PRIVILEGED: kubernetes.privileged is \"yes please\"; allowed is true or false"
    );
    assert_eq!(
        fault_of_variable("KUBERNETES_NODE_SELECTOR_KEY", "a"),
        "environment variable KUBERNETES_NODE_SELECTOR_KEY: kubernetes.node_selector_key is set without \
         kubernetes.node_selector_val; set both or neither"
    );
    assert_eq!(
        fault_of_variable("PODBAY_EXEC_PING_TIMEOUT_SECONDS", "15"),
        "podbay.exec_ping_timeout_seconds = 15 (environment variable PODBAY_EXEC_PING_TIMEOUT_SECONDS) must be \
         more than podbay.exec_ping_interval_seconds = 15 (default)"
    );
    let error = Config::loader()
        .search(false)
        .environment(environment(&[]))
        .flag("kubernetes.privileged", "--privileged", "x")
        .flag("kubernetes.namespce", "--namespace", "x")
        .load()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid configuration (2 errors):\n  --namespace: there is no setting kubernetes.namespce; did you mean \
         kubernetes.namespace?\n  --privileged: kubernetes.privileged is \"x\"; allowed is true or false"
    );
}

#[cfg(unix)]
#[test]
fn text_that_is_not_utf8_is_refused() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let bytes = || OsString::from_vec(b"a\xff".to_vec());
    let error = Config::loader()
        .search(false)
        .environment(std::collections::BTreeMap::from([
            ("KUBERNETES_CONTEXT".to_owned(), bytes()),
            // Its partner is there, so half a selector is not reported as well.
            ("KUBERNETES_NODE_SELECTOR_KEY".to_owned(), bytes()),
            ("KUBERNETES_NODE_SELECTOR_VAL".to_owned(), "a".into()),
        ]))
        .flag("kubernetes.kubeconfig", "--kubeconfig", bytes())
        .load()
        .unwrap_err();
    assert_eq!(error.faults().len(), 3, "{error}");
    let error = error.to_string();
    assert!(
        error.contains("KUBERNETES_CONTEXT: kubernetes.context is \"a\u{fffd}\": not UTF-8"),
        "{error}"
    );
    assert!(
        error.contains("--kubeconfig: kubernetes.kubeconfig is \"a\u{fffd}\": not UTF-8"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let error = Config::loader()
        .file("/nowhere/a.toml")
        .environment(environment(&[]))
        .load()
        .unwrap_err();
    assert_eq!(error.code(), "config_invalid");
    assert!(matches!(error.faults(), [Fault::UnreadableFile { .. }]));
    let text = error.to_string();
    assert!(
        text.starts_with("invalid configuration: cannot read the configuration file /nowhere/a.toml: "),
        "{text}"
    );

    let variables = environment(&[("PODBAY_CONFIG", "/nowhere/b.toml")]);
    let text = Config::loader()
        .environment(variables)
        .load()
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("file /nowhere/b.toml (named by PODBAY_CONFIG): "),
        "{text}"
    );
}

#[test]
fn syntax_errors_have_line_and_column_and_no_text() {
    for (text, line, column) in [
        ("[kubernetes]\nnamespace = SECRET", 2, 13),
        ("[kubernetes\n", 1, 12),
        ("a = 1\na = 'SECRET'", 2, 1),
        ("é = 1", 1, 1),
    ] {
        let error = load(text, &[]).unwrap_err();
        let [
            Fault::Syntax {
                line: at_line,
                column: at_column,
                message,
                ..
            },
        ] = error.faults()
        else {
            panic!("{text}: {error}")
        };
        assert_eq!((*at_line, *at_column), (line, column), "{text}: {error}");
        assert!(
            !message.is_empty() && !error.to_string().contains("SECRET"),
            "{error}"
        );
    }
}

#[test]
fn all_errors_are_told_at_once() {
    let (_directory, path) =
        toml_file("[kubernetes]\nnope = 1\nprivileged = 'x'\n[podbay]\nrequest_burst = 0");
    let error = Config::loader()
        .file(path)
        .environment(environment(&[("OH_K8S_NAMESPACE", " ")]))
        .flag("podbay.start_timeout_seconds", "--start-timeout", 0_u64)
        .load()
        .unwrap_err();
    assert_eq!(error.faults().len(), 5, "{error}");
    assert_eq!(error.to_string().lines().count(), 6, "{error}");
}

#[test]
fn errors_are_in_the_order_of_the_file_and_others_come_after() {
    let (_directory, path) = toml_file(
        "[podbay]\nrequest_burst = 0\n[kubernetes]\nrun_as_user = 1\nuid_from_cluster = true\nnope = 1\n[sandbx]\n\
         [sandbox]\ntimeout = -1\n",
    );
    let error = Config::loader()
        .file(path)
        .environment(environment(&[("OH_K8S_PRIVILEGED", "x")]))
        .load()
        .unwrap_err();
    let lines: Vec<_> = error
        .faults()
        .iter()
        .map(|fault| fault.place().and_then(|place| place.line))
        .collect();
    assert_eq!(
        lines,
        [Some(2), Some(4), Some(6), Some(7), Some(9), None],
        "{error}"
    );
}

#[test]
fn a_lenient_load_has_the_right_values_and_tells_of_the_wrong_ones() {
    let (_directory, path) = toml_file("[podbay]\nrequest_burst = 0\n[kubernetes]\nnamespace = 'mine'");
    let (config, faults) = Config::loader()
        .file(path)
        .environment(environment(&[]))
        .load_leniently();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].keys(), ["podbay.request_burst"]);
    assert_eq!(
        config.podbay.request_burst,
        Config::default().podbay.request_burst
    );
    assert_eq!(config.kubernetes.namespace, "mine");
}

#[test]
fn places_are_as_near_as_the_source_tells() {
    let text = "[kubernetes]\nannotations = { 'a/b.c' = 'd' }\nhost_aliases = [\n  { ip = 'x' },\n  { ip = 'y' },\n]\n\
                affinity = '{}'\n";
    let mut config = load(text, &[]).unwrap();
    for (key, inside, expected) in [
        ("kubernetes.annotations", ".a/b.c", Some((2, 27))),
        ("kubernetes.annotations", ".other", Some((2, 15))),
        ("kubernetes.host_aliases", "[1].ip", Some((5, 10))),
        ("kubernetes.host_aliases", "[1].hostnames[0]", Some((5, 3))),
        ("kubernetes.affinity", ".nodeAffinity", Some((7, 12))),
        ("kubernetes.namespace", "", None),
    ] {
        assert_eq!(
            config.place_inside(key, inside).position(),
            expected,
            "{key}{inside}"
        );
    }
    config.reset("kubernetes.host_aliases");
    assert!(config.kubernetes.host_aliases.is_empty());
    assert_eq!(config.place("kubernetes.host_aliases").position(), None);
    assert!(config.kubernetes.affinity.is_some());
}
