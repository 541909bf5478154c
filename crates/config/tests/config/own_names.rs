//! Names that are almost ours: variables with our prefix, keys and sections that stand in the wrong place.

use podbay_config::Warning;
use secrecy::ExposeSecret as _;

use crate::support::load;

/// What is said of these variables.
fn warned(variables: &[(&str, &str)]) -> Vec<String> {
    let config = load("", variables).unwrap();
    config.warnings().iter().map(ToString::to_string).collect()
}

#[test]
fn every_unknown_variable_with_our_prefix_is_told_with_what_it_may_mean() {
    for (name, meant) in [
        ("PODBAY_NAMESPACE", Some("PODBAY_KUBERNETES_NAMESPACE")),
        ("PODBAY_START_TIMEOUT", Some("PODBAY_START_TIMEOUT_SECONDS")),
        ("PODBAY_KUBERNETES_NAMESPCE", Some("PODBAY_KUBERNETES_NAMESPACE")),
        ("PODBAY_VOLUMES", Some("PODBAY_KUBERNETES_VOLUMES")),
        ("PODBAY_SANDBOX_ENV_FOO", Some("SANDBOX_ENV_FOO")),
        ("OH_K8S_NAMSPACE", Some("OH_K8S_NAMESPACE")),
        ("OH_K8S_CPU_REQUEST", Some("OH_K8S_RESOURCE_CPU_REQUEST")),
        ("PODBAY_XYZZY", None),
    ] {
        let hint = meant.map_or(String::new(), |meant| format!("; did you mean {meant}?"));
        assert_eq!(
            warned(&[(name, "5")]),
            [format!(
                "environment variable {name} is not known and ignored{hint}"
            )]
        );
    }
}

#[test]
fn variables_of_services_and_of_podbay_itself_are_not_told() {
    let quiet = [
        ("PODBAY_SERVICE_HOST", "10.0.0.7"),
        ("PODBAY_SERVICE_PORT_HTTP", "80"),
        ("PODBAY_PORT", "tcp://10.0.0.7:80"),
        ("PODBAY_PORT_80_TCP_ADDR", "10.0.0.7"),
        ("PODBAY_LOG", "debug"),
        ("PODBAY_CONFIG", ""),
        ("PODBAY_EXEC_ID", "a"),
        ("PODBAY_TEST_KUBECONFIG", "/a"),
        ("PODBAY_NAMESPACE", ""),
    ];
    assert_eq!(warned(&quiet), [""; 0]);
}

#[test]
fn variables_of_the_sandbox_come_one_by_one_as_in_openhands() {
    let file = "[sandbox.runtime_startup_env_vars]\nA = 'file'\nB = 'file'";
    let variables = [
        ("SANDBOX_ENV_B", "variable"),
        ("SANDBOX_ENV_C", "hunter2"),
        ("SANDBOX_ENV_EMPTY", ""),
    ];
    let config = load(file, &variables).unwrap();
    let found: Vec<_> = config
        .sandbox
        .runtime_startup_env_vars
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose_secret()))
        .collect();
    assert_eq!(
        found,
        [("A", "file"), ("B", "variable"), ("C", "hunter2"), ("EMPTY", "")]
    );
    let shown = config.to_toml_with_origins();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(config.place("sandbox.runtime_startup_env_vars").line, Some(1));
    // Without another source, its own is told.
    let config = load("", &variables).unwrap();
    let place = config.place("sandbox.runtime_startup_env_vars").to_string();
    assert_eq!(place, "environment variable SANDBOX_ENV_B");
    for name in ["SANDBOX_ENV_", "SANDBOX_ENV_1A", "SANDBOX_ENV_A.B"] {
        let said = load("", &[(name, "hunter2")]).unwrap_err().to_string();
        assert!(
            said.contains(&format!("environment variable {name}: ")) && !said.contains("hunter2"),
            "{said}"
        );
    }
}

#[test]
fn what_stands_in_core_and_is_none_of_its_settings_is_told() {
    let config = load("[core]\nruntme = 'kubernetes'\nmax_iterations = 5", &[]).unwrap();
    let [warning @ Warning::Unknown { .. }] = config.warnings() else {
        panic!("{:?}", config.warnings())
    };
    let text = warning.to_string();
    assert!(
        text.ends_with("config.toml:2:1: core.runtme is not known and ignored; did you mean runtime?"),
        "{text}"
    );
    for (text, expected) in [
        (
            "[core]\nvolumes = '/a:/b'",
            "config.toml:2:1: there is no setting core.volumes; did you mean kubernetes.volumes or sandbox.volumes?",
        ),
        (
            "[core]\nruntime_startup_env_vars = { A = '1' }",
            "config.toml:2:1: there is no setting core.runtime_startup_env_vars; did you mean \
             sandbox.runtime_startup_env_vars?",
        ),
        (
            "runtime_startup_env_vars = { A = '1' }",
            "config.toml:1:1: there is no setting runtime_startup_env_vars; did you mean \
             sandbox.runtime_startup_env_vars?",
        ),
        (
            "[core.sandbox]\ntimeout = 3",
            "config.toml:1:7: there is no section [core.sandbox]; did you mean [sandbox]?",
        ),
        (
            "[Core]\nruntime = 'kubernetes'",
            "config.toml:1:2: there is no section [Core]; did you mean [core]?",
        ),
        (
            "[k8s]\nnamespace = 'a'",
            "config.toml:1:2: there is no section [k8s]; did you mean [kubernetes]?",
        ),
        (
            "[[sandbx]]\ntimeout = 3",
            "config.toml:1:3: there is no section [sandbx]; did you mean [sandbox]?",
        ),
        ("core = 3", "config.toml:1:1: core must be a table: write [core]"),
        (
            "[[core]]\nruntime = 'a'",
            "config.toml:1:3: core must be a table: write [core]",
        ),
    ] {
        let said = load(text, &[]).unwrap_err().to_string();
        assert!(said.ends_with(expected), "{text}: {said}");
    }
}

#[test]
fn a_setting_of_another_section_is_suggested_by_its_own_name() {
    for (text, expected) in [
        (
            "[sandbox]\nruntime = 'kubernetes'",
            "there is no setting sandbox.runtime; did you mean runtime at the top level of the file?",
        ),
        (
            "[sandbox]\nnamespace = 'a'",
            "there is no setting sandbox.namespace; did you mean kubernetes.namespace?",
        ),
        (
            "[podbay]\ndebug = true",
            "there is no setting podbay.debug; did you mean debug at the top level of the file?",
        ),
    ] {
        let said = load(text, &[]).unwrap_err().to_string();
        assert!(said.ends_with(expected), "{said}");
    }
}

#[test]
fn names_of_others_are_escaped_in_messages() {
    let said = load("[kubernetes]\n\"\\u001b[2Jnamespace\" = 'a'", &[])
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("there is no setting kubernetes.\\u{1b}[2Jnamespace") && !said.contains('\u{1b}'),
        "{said:?}"
    );
    let config = load(
        "\"a\\nb\\u001b\" = 1\n[\"c\\u009bd\"]\n[core]\n\"e\\u0007\" = 1",
        &[],
    )
    .unwrap();
    for warning in config.warnings() {
        let text = warning.to_string();
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
    assert_eq!(config.warnings().len(), 3);
}

#[test]
fn a_byte_order_mark_is_dropped() {
    let config = load("\u{feff}[kubernetes]\nnamespace = 'a'", &[]).unwrap();
    assert_eq!(config.kubernetes.namespace, "a");
    let said = load("\u{feff}[kubernetess]", &[]).unwrap_err().to_string();
    assert!(said.contains("config.toml:1:2: "), "{said}");
}

#[test]
fn yaml_in_a_text_is_read_as_kubectl_reads_it() {
    let volumes = "[kubernetes]\nvolumes = '[{name: a, secret: {secretName: b, defaultMode: 0400}}]'";
    let config = load(volumes, &[]).unwrap();
    let volume = config.kubernetes.volumes.iter().next().unwrap().as_value();
    assert_eq!(volume["secret"]["defaultMode"], 256);
    let said = load(
        "[kubernetes]\naffinity = '''\nnodeAffinity: {}\n---\n{}\n'''",
        &[],
    )
    .unwrap_err()
    .to_string();
    assert!(said.contains("more than one YAML document"), "{said}");
    let said = load(
        "[kubernetes]\ntolerations_yaml = '- {key: y, operator: Exists}'",
        &[],
    )
    .unwrap_err()
    .to_string();
    assert!(
        said.contains("item 1: key must be text, and a bare y, yes, on, n, no, off, true or false is none: put it in quotes"),
        "{said}"
    );
}
