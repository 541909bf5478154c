//! Which source wins, and that it is told.

use crate::support::{environment, load, toml_file};
use podbay_config::{Config, Origin, Runtime, Warning, settings};

fn variable(name: &str) -> Origin {
    Origin::Environment {
        name: name.to_owned(),
    }
}

#[test]
fn defaults_are_those_of_the_declarations() {
    let config = load("", &[]).unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    assert_eq!(config.workspace_mount_path_in_sandbox, "/workspace");
    assert_eq!(config.kubernetes.namespace, "default");
    assert_eq!(config.kubernetes.ingress_domain, "localhost");
    assert_eq!(config.kubernetes.pvc_storage_size, "2Gi");
    assert_eq!(config.kubernetes.resource_cpu_request, "1");
    assert_eq!(config.kubernetes.resource_memory_request, "1Gi");
    assert_eq!(config.kubernetes.resource_memory_limit, "2Gi");
    assert_eq!(config.kubernetes.tolerations_yaml, []);
    assert!(!config.kubernetes.privileged);
    assert_eq!(
        config.sandbox.base_container_image,
        "nikolaik/python-nodejs:python3.12-nodejs22"
    );
    assert_eq!(config.podbay.start_timeout_seconds, 300);
    assert_eq!(config.podbay.requests_per_second, 50);
    assert!(config.warnings().is_empty());
    for setting in settings() {
        assert_eq!(config.origin(&setting.key), Origin::Default, "{}", setting.key);
    }
}

/// Adds one source after another, weakest first; each must take over.
#[test]
fn each_source_wins_over_the_weaker_ones() {
    let (_directory, path) = toml_file("[kubernetes]\nnamespace = \"file\"");
    let mut variables = Vec::new();
    let config = Config::loader()
        .file(&path)
        .environment(environment(&[]))
        .load()
        .unwrap();
    assert_eq!(config.kubernetes.namespace, "file");
    assert_eq!(
        config.origin("kubernetes.namespace"),
        Origin::File { path: path.clone() }
    );

    for name in [
        "KUBERNETES_NAMESPACE",
        "OH_K8S_NAMESPACE",
        "PODBAY_KUBERNETES_NAMESPACE",
    ] {
        variables.push((name, name));
        let config = Config::loader()
            .file(&path)
            .environment(environment(&variables))
            .load()
            .unwrap();
        assert_eq!(config.kubernetes.namespace, name);
        assert_eq!(config.origin("kubernetes.namespace"), variable(name));
        assert_eq!(
            config.warnings().len(),
            variables.len() - 1,
            "each ignored name is told"
        );
    }

    let config = Config::loader()
        .file(&path)
        .environment(environment(&variables))
        .flag("kubernetes.namespace", "--namespace", "first")
        .flag("kubernetes.namespace", "-n", "last")
        .load()
        .unwrap();
    assert_eq!(config.kubernetes.namespace, "last");
    assert_eq!(
        config.origin("kubernetes.namespace"),
        Origin::Flag {
            name: "-n".to_owned()
        }
    );
}

#[test]
fn names_are_exact_and_empty_values_are_none() {
    let config = load(
        "",
        &[
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("KUBERNETES_PORT", "tcp://10.0.0.1:443"),
            ("KUBERNETES_PORT_443_TCP_ADDR", "10.0.0.1"),
            ("PODBAY_SERVICE_HOST", "10.0.0.2"),
            ("KUBERNETES_PRIVILEGED", ""),
            ("PODBAY_KUBERNETES_NAMESPACE", ""),
            ("OH_K8S_NAMESPACE", "b"),
            ("kubernetes_ingress_domain", "c"),
            ("KUBECONFIG", "/elsewhere"),
        ],
    )
    .unwrap();
    assert_eq!(config.kubernetes.namespace, "b");
    assert_eq!(config.kubernetes.ingress_domain, "localhost");
    assert_eq!(config.kubernetes.kubeconfig, None);
    assert!(!config.kubernetes.privileged);
    assert_eq!(config.warnings(), []);
}

/// Kubernetes sets `{SERVICE}_SERVICE_HOST`, `{SERVICE}_SERVICE_PORT*` and `{SERVICE}_PORT*` for each Service, whose
/// name may well be "kubernetes", "podbay" or "sandbox"; and two settings must not share a variable.
#[test]
fn no_variable_can_be_taken_for_another() {
    let mut seen = std::collections::BTreeSet::from(["PODBAY_CONFIG".to_owned()]);
    for name in settings().iter().flat_map(|setting| &setting.environment) {
        assert!(seen.insert(name.clone()), "{name} has two meanings");
        for prefix in [
            "KUBERNETES_",
            "PODBAY_",
            "PODBAY_KUBERNETES_",
            "OH_K8S_",
            "SANDBOX_",
        ] {
            let rest = name.strip_prefix(prefix).unwrap_or_default();
            assert!(
                rest != "SERVICE_HOST"
                    && !rest.starts_with("SERVICE_PORT")
                    && rest != "PORT"
                    && !rest.starts_with("PORT_"),
                "{name}"
            );
        }
    }
}

#[test]
fn what_kubernetes_sets_for_a_service_is_no_value() {
    let link = "tcp://10.0.0.7:80";
    let config = load(
        "",
        &[
            ("SANDBOX_VSCODE_PORT", link),
            ("KUBERNETES_SERVER_PORT", link),
            ("OH_K8S_SERVER_PORT", "3000"),
        ],
    )
    .unwrap();
    assert_eq!(config.sandbox.vscode_port, None);
    assert_eq!(config.kubernetes.server_port, 3000);
    assert_eq!(config.warnings(), []);
    let error = load("", &[("KUBERNETES_SERVER_PORT", "http")]).unwrap_err();
    assert_eq!(error.faults().len(), 1, "{error}");
}

#[test]
fn the_runtime_has_three_names() {
    let mut variables = Vec::new();
    for (name, value, runtime) in [
        ("RUNTIME", "docker", Runtime::Auto),
        ("OH_RUNTIME", "k8s", Runtime::Kubernetes),
        ("PODBAY_RUNTIME", "process", Runtime::Local),
    ] {
        variables.push((name, value));
        let config = load("runtime = 'auto'", &variables).unwrap();
        assert_eq!(config.runtime, runtime, "{name}");
        assert_eq!(config.origin("runtime"), variable(name));
        // The first for the value, the others for the names that do not hold.
        assert_eq!(config.warnings().len(), (variables.len() - 1).max(1), "{name}");
    }
}

#[test]
fn runtimes_of_openhands_are_read_as_auto() {
    for word in [
        "docker",
        "EventStream",
        "remote",
        "cli",
        "my_package.runtimes.MyRuntime",
    ] {
        let config = load(&format!("[core]\nruntime = '{word}'"), &[]).unwrap();
        assert_eq!(config.runtime, Runtime::Auto);
        let [warning @ Warning::Remark { .. }] = config.warnings() else {
            panic!("{:?}", config.warnings())
        };
        let text = warning.to_string();
        assert!(
            text.ends_with(&format!(
                "config.toml:2:11: runtime is \"{word}\": Podbay runs sandboxes on Kubernetes; it is read as \"auto\""
            )),
            "{text}"
        );
    }
    for word in ["dockr", "a..b", ".", "my package.Runtime"] {
        let error = load(&format!("runtime = '{word}'"), &[]).expect_err(word);
        assert_eq!(error.faults().len(), 1, "{error}");
    }
}

/// `DEBUG=express:*` is common, and none of our business.
#[test]
fn a_variable_without_prefix_may_be_meant_for_another_program() {
    let config = load("debug = true", &[("DEBUG", "express:*"), ("RUNTIME", "jvm")]).unwrap();
    assert!(config.debug, "the weaker source holds");
    assert_eq!(config.runtime, Runtime::Auto);
    let told: Vec<_> = config.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "environment variable RUNTIME is ignored: runtime cannot be \"jvm\"; allowed is auto, kubernetes (or \
             k8s), local (or process, embedded); docker, eventstream, remote, cli and class paths of OpenHands are \
             read as auto",
            "environment variable DEBUG is ignored: debug cannot be \"express:*\"; allowed is true or false",
        ]
    );
    let config = load("", &[("DEBUG", "1")]).unwrap();
    assert!(config.debug);
    let error = load("", &[("PODBAY_DEBUG", "express:*")]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("environment variable PODBAY_DEBUG: debug is \"express:*\""),
        "{error}"
    );
}

#[test]
fn two_names_with_different_values_warn_and_equal_ones_do_not() {
    let same = load("", &[("OH_K8S_NAMESPACE", "a"), ("KUBERNETES_NAMESPACE", "a")]).unwrap();
    assert_eq!(same.warnings(), []);

    let config = load(
        "",
        &[
            ("PODBAY_SANDBOX_RUNTIME_STARTUP_ENV_VARS", "{'A':'hidden-1'}"),
            ("SANDBOX_RUNTIME_STARTUP_ENV_VARS", "{'A':'hidden-2'}"),
        ],
    )
    .unwrap();
    let [warning @ Warning::Conflict { .. }] = config.warnings() else {
        panic!("{:?}", config.warnings())
    };
    assert_eq!(
        warning.to_string(),
        "sandbox.runtime_startup_env_vars has two values: environment variable \
         PODBAY_SANDBOX_RUNTIME_STARTUP_ENV_VARS is used, environment variable \
         SANDBOX_RUNTIME_STARTUP_ENV_VARS is ignored"
    );
}

#[test]
fn a_misspelt_variable_is_told() {
    let config = load(
        "",
        &[("PODBAY_KUBERNETES_NAMESPCE", "a"), ("PODBAY_LOG", "debug")],
    )
    .unwrap();
    let [warning] = config.warnings() else {
        panic!("{:?}", config.warnings())
    };
    assert!(
        warning
            .to_string()
            .ends_with("did you mean PODBAY_KUBERNETES_NAMESPACE?"),
        "{warning}"
    );
}

#[test]
fn a_stronger_map_replaces_the_whole_weaker_one() {
    let file = "[sandbox.runtime_startup_env_vars]\nA = \"1\"\nB = \"2\"";
    let config = load(file, &[("SANDBOX_RUNTIME_STARTUP_ENV_VARS", r#"{"C": "3"}"#)]).unwrap();
    assert_eq!(
        config.sandbox.runtime_startup_env_vars.keys().collect::<Vec<_>>(),
        ["C"]
    );
}

#[test]
fn a_flag_repairs_a_wrong_value_in_the_file() {
    let (_directory, path) = toml_file("[kubernetes]\nprivileged = \"maybe\"");
    let config = Config::loader()
        .file(path)
        .environment(environment(&[]))
        .flag("kubernetes.privileged", "--privileged", true)
        .flag("podbay.start_timeout_seconds", "--start-timeout", 5_u64)
        .flag(
            "kubernetes.kubeconfig",
            "--kubeconfig",
            std::path::Path::new("/k"),
        )
        .load()
        .unwrap();
    assert!(config.kubernetes.privileged);
    assert_eq!(config.podbay.start_timeout_seconds, 5);
    assert_eq!(config.kubernetes.kubeconfig.as_deref(), Some("/k".as_ref()));
}

#[test]
fn the_default_search() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("podbay");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("config.toml");
    std::fs::write(&path, "[kubernetes]\nnamespace = \"found\"").unwrap();
    let variables = [("XDG_CONFIG_HOME", home.path().to_str().unwrap())];

    let config = Config::loader()
        .environment(environment(&variables))
        .load()
        .unwrap();
    assert_eq!(config.kubernetes.namespace, "found");
    assert_eq!(config.origin("kubernetes.namespace"), Origin::File { path });

    let config = Config::loader()
        .search(false)
        .environment(environment(&variables))
        .load()
        .unwrap();
    assert_eq!(config.kubernetes.namespace, "default");

    let (_directory, named) = toml_file("[kubernetes]\nnamespace = \"named\"");
    let variables = [variables[0], ("PODBAY_CONFIG", named.to_str().unwrap())];
    let config = Config::loader()
        .environment(environment(&variables))
        .load()
        .unwrap();
    assert_eq!(config.kubernetes.namespace, "named");
}

#[test]
fn a_searched_file_may_be_missing_but_not_unreadable() {
    let (directory, file) = toml_file("");
    for missing in [file.to_str().unwrap(), "/nowhere"] {
        let variables = environment(&[("XDG_CONFIG_HOME", missing)]);
        let config = Config::loader().environment(variables).load().unwrap();
        assert_eq!(config.kubernetes.namespace, "default");
    }
    std::fs::create_dir_all(directory.path().join("podbay/config.toml")).unwrap();
    let variables = environment(&[("XDG_CONFIG_HOME", directory.path().to_str().unwrap())]);
    let error = Config::loader().environment(variables).load().unwrap_err();
    assert!(
        matches!(error.faults(), [podbay_config::Fault::UnreadableFile { .. }]),
        "{error}"
    );
}

#[test]
fn a_port_alone_is_an_address_to_listen_on() {
    for (text, is_taken) in [
        ("8002", true),
        ("0.0.0.0:80", true),
        (":8002", false),
        ("70000", false),
    ] {
        assert_eq!(
            load(&format!("serve.listen = '{text}'"), &[]).is_ok(),
            is_taken,
            "{text}"
        );
    }
}

#[test]
fn the_runtime_is_named_as_the_flag_names_it() {
    for (word, runtime) in [
        ("auto", Runtime::Auto),
        ("cluster", Runtime::Kubernetes),
        ("local", Runtime::Local),
    ] {
        assert_eq!(load("", &[("PODBAY_RUNTIME", word)]).unwrap().runtime, runtime);
    }
}
