//! What a configuration holds, shown: it loads to the same again, and never shows a secret.

use crate::samples::{file_with, partners, samples};
use crate::support::{environment, given, load, toml_file, values};
use podbay_config::{Config, Effect, Origin, settings};

#[test]
fn every_value_loads_to_itself() {
    for sample in samples() {
        let config = load(&file_with(sample.key, sample.good), partners(sample.key)).unwrap();
        for shown in [config.to_toml(), config.to_toml_with_origins()] {
            let again = load(&shown, &[]).unwrap_or_else(|error| panic!("{shown}\n{error}"));
            assert_eq!(values(&again), values(&config), "{shown}");
            // That a setting is given can mean something, be it the default's value: a claim's size asks for a claim.
            assert_eq!(given(&again), given(&config), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

#[test]
fn values_that_toml_has_no_plain_form_for() {
    let text = "[kubernetes]\naffinity = '{\"a\": null, \"b\": [1.5, true]}'\n\
                annotations = { 'a.b/c' = \"line\\n\\u0007'''\\\"\" }";
    let config = load(text, &[]).unwrap();
    let again = load(&config.to_toml(), &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(values(&again), values(&config));
    assert!(config.kubernetes.affinity.unwrap().fields()["a"].is_null());
}

#[test]
fn entries_are_all_settings_with_an_effect() {
    let config = Config::default();
    let keys: Vec<_> = config.entries().map(|entry| entry.setting.key.clone()).collect();
    let expected: Vec<_> = settings()
        .iter()
        .filter(|setting| setting.effect == Effect::Used)
        .map(|setting| setting.key.clone())
        .collect();
    assert_eq!(keys, expected);
}

#[test]
fn origins_and_secrets() {
    let (_directory, path) = toml_file("[sandbox.runtime_startup_env_vars]\nTOKEN = 'hunter2'");
    let config = Config::loader()
        .file(&path)
        .environment(environment(&[("OH_K8S_CONTEXT", "other")]))
        .flag("kubernetes.namespace", "--namespace", "mine")
        .load()
        .unwrap();
    let shown = config.to_toml_with_origins();
    let file = path.display();
    for expected in [
        "# --namespace\nnamespace = \"mine\"\n".to_owned(),
        "# environment variable OH_K8S_CONTEXT\ncontext = \"other\"\n".to_owned(),
        "# default\n# kubeconfig is not set\n".to_owned(),
        "# default\n# exec_ping_interval_seconds = 15\n".to_owned(),
        format!("# {file}:1:1\n# runtime_startup_env_vars = *** (secret)\n"),
    ] {
        assert!(shown.contains(&expected), "{expected}\n{shown}");
    }
    let secret = config
        .entries()
        .find(|entry| entry.setting.secret)
        .expect("there is one");
    assert!(secret.hidden && secret.value.is_none());
    assert_eq!(secret.place.origin, Origin::File { path });
    assert!(!format!("{:?}", config.entries().collect::<Vec<_>>()).contains("hunter2"));
}
