//! Every setting by itself: its default, its names, what it takes and what it does not, from the file and from each
//! variable.

use std::collections::BTreeSet;

use crate::samples::{Sample, as_text, file_with, partners, samples};
use crate::support::load;
use podbay_config::{Config, Effect, Entry, Fault, Origin, Setting, Warning, settings};

fn sampled() -> impl Iterator<Item = (&'static Setting, Sample)> {
    let samples: Vec<_> = samples().collect();
    settings().iter().map(move |setting| {
        let sample = samples.iter().find(|sample| sample.key == setting.key);
        (
            setting,
            *sample.unwrap_or_else(|| panic!("{} has no sample", setting.key)),
        )
    })
}

fn entry(config: &Config, key: &str) -> Option<Entry> {
    config.entries().find(|entry| entry.setting.key == key)
}

/// What a setting has, as far as it can be seen.
fn seen(config: &Config, key: &str) -> (Option<String>, bool) {
    entry(config, key).map_or((None, false), |entry| (entry.value, entry.hidden))
}

#[test]
fn every_setting_has_a_sample_and_no_other() {
    let keys: BTreeSet<_> = settings().iter().map(|setting| setting.key.as_str()).collect();
    let sampled: BTreeSet<_> = samples().map(|sample| sample.key).collect();
    assert_eq!(keys, sampled);
    assert_eq!(samples().count(), sampled.len(), "a setting is sampled twice");
}

#[test]
fn defaults() {
    let config = Config::default();
    for (setting, sample) in sampled() {
        assert_eq!(
            setting.default.as_deref().unwrap_or_default(),
            sample.default,
            "{}",
            setting.key
        );
        if setting.effect == Effect::Used {
            assert_eq!(seen(&config, &setting.key), (setting.default.clone(), false));
        }
    }
}

#[test]
fn good_values_are_taken_from_the_file_and_from_every_variable() {
    for (setting, sample) in sampled() {
        let key = setting.key.as_str();
        let partners = partners(key);
        let without = load("", partners).unwrap_or_else(|_| Config::default());
        let file = load(&file_with(key, sample.good), partners).unwrap_or_else(|error| panic!("{error}"));
        if let Effect::Ignored(reason) = setting.effect {
            assert!(
                matches!(file.warnings(), [Warning::NoEffect { key: warned, reason: why, .. }]
                    if warned == key && *why == reason),
                "{key}: {:?}",
                file.warnings()
            );
        } else {
            assert_eq!(file.warnings(), [], "{key}");
            let place = file.place(key);
            assert!(matches!(place.origin, Origin::File { .. }), "{key}");
            assert_eq!(
                (place.line, place.column),
                (Some(2), Some(setting.name.len() + " = ".len() + 1)),
                "{key}"
            );
            assert_ne!(seen(&file, key), seen(&without, key), "{key} has a new value");
        }
        for name in &setting.environment {
            let good = as_text(sample.good);
            let variables = [partners, &[(name.as_str(), good.as_str())]].concat();
            let config = load("", &variables).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(seen(&config, key), seen(&file, key), "{name}");
            match setting.effect {
                Effect::Used => {
                    assert_eq!(config.warnings(), [], "{name}");
                    assert_eq!(config.origin(key), Origin::Environment { name: name.clone() });
                }
                Effect::Ignored(_) => {
                    let told = config.warnings()[0].to_string();
                    assert!(
                        told.contains(name.as_str()) && !told.contains("hunter2"),
                        "{told}"
                    );
                }
            }
        }
    }
}

#[test]
fn bad_values_are_faults_with_place_value_and_what_is_allowed() {
    for (setting, sample) in sampled().filter(|(_, sample)| !sample.bad.is_empty()) {
        let key = setting.key.as_str();
        let partners = partners(key);
        let error = load(&file_with(key, sample.bad), partners).expect_err(key);
        let [
            fault @ Fault::InvalidValue {
                place,
                key: named,
                value,
                allowed,
                ..
            },
        ] = error.faults()
        else {
            panic!("{key}: {error}")
        };
        assert_eq!(named, key);
        assert_eq!(*allowed, setting.allowed);
        assert_eq!(value.is_none(), setting.secret, "{key}");
        assert_eq!(place.line, Some(2), "{key}");
        // Of the value, or of the item in it that is wrong.
        assert!(
            place.column >= Some(setting.name.len() + " = ".len() + 1),
            "{key}"
        );
        assert!(!fault.to_string().contains("hunter2"), "{fault}");

        for name in &setting.environment {
            let bad = as_text(sample.bad);
            // Any text is a path.
            if setting.allowed.starts_with("a path") {
                continue;
            }
            let variables = [partners, &[(name.as_str(), bad.as_str())]].concat();
            let loaded = load("", &variables);
            if name.eq_ignore_ascii_case(setting.name) {
                let config = loaded.unwrap_or_else(|error| panic!("{error}"));
                let [warning @ Warning::UnreadableVariable { .. }] = config.warnings() else {
                    panic!("{name}: {:?}", config.warnings())
                };
                assert!(warning.to_string().contains(name.as_str()), "{warning}");
                assert_eq!(config.origin(key), Origin::Default, "{name}");
                continue;
            }
            let error = loaded.expect_err(name);
            let [fault @ Fault::InvalidValue { .. }] = error.faults() else {
                panic!("{name}: {error}")
            };
            let text = fault.to_string();
            assert!(
                text.starts_with(&format!("environment variable {name}: {key} "))
                    && text.ends_with(setting.allowed)
                    && !text.contains("hunter2"),
                "{text}"
            );
        }
    }
}

#[test]
fn empty_is_not_set() {
    for (setting, sample) in sampled() {
        if sample.default.is_empty() && setting.effect == Effect::Used {
            let config = load(&file_with(&setting.key, "''"), &[]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(seen(&config, &setting.key), (None, false), "{}", setting.key);
        }
        for name in &setting.environment {
            let config = load("", &[(name, "")]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(config.origin(&setting.key), Origin::Default, "{name}");
            assert_eq!(config.warnings(), [], "{name}");
        }
    }
}

/// A word that a choice takes stands in what the documentation allows.
#[test]
fn words_are_documented() {
    for (key, words) in [
        (
            "runtime",
            podbay_config::Runtime::ALL
                .iter()
                .map(|word| word.as_str())
                .collect::<Vec<_>>(),
        ),
        (
            "kubernetes.cleanup_policy",
            podbay_config::CleanupPolicy::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        ),
        (
            "kubernetes.pull_policy",
            podbay_config::PullPolicy::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        ),
        (
            "kubernetes.profile",
            podbay_config::ProfileName::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        ),
        (
            "agent.delivery",
            podbay_config::AgentDelivery::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        ),
        (
            "agent.dial",
            podbay_config::AgentDial::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        ),
        (
            "kubernetes.workload",
            podbay_config::WorkloadKind::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        ),
        (
            "kubernetes.workspace_volume",
            podbay_config::WorkspaceVolume::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        ),
        (
            "kubernetes.network",
            podbay_config::NetworkMode::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        ),
        (
            "sandbox.remote_runtime_class",
            podbay_config::RemoteRuntimeClass::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        ),
    ] {
        let (setting, _) = sampled().find(|(setting, _)| setting.key == key).expect(key);
        for word in words {
            assert!(setting.allowed.contains(word), "{key}: {word}");
            let text = file_with(key, &format!("'{}'", word.to_uppercase()));
            let partners: &[_] = match word {
                "host_path" => &[("PODBAY_KUBERNETES_WORKSPACE_HOST_PATH", "/a")],
                "init_container" | "image_volume" => &[("PODBAY_AGENT_IMAGE", "a")],
                _ => &[],
            };
            let config = load(&text, partners).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(seen(&config, key).0, Some(format!("\"{word}\"")));
        }
    }
}

/// A list in one text has three forms, and addresses in brackets are none of them.
#[test]
fn lists_in_a_text() {
    for (text, expected) in [
        ("a, b", &["a", "b"][..]),
        ("['a', \"b\"]", &["a", "b"]),
        ("('a', 'b',)", &["a", "b"]),
        ("[\"a\"]", &["a"]),
        (" a ", &["a"]),
        ("[]", &[]),
        (" ", &[]),
        (
            "[2001:db8::/32]:443, 10.1.2.0/24",
            &["[2001:db8::/32]:443", "10.1.2.0/24"],
        ),
        ("10.1.2.0/24,[fd00::/8]", &["10.1.2.0/24", "[fd00::/8]"]),
    ] {
        let config = load("", &[("KUBERNETES_NETWORK_ALLOW", text)]).unwrap();
        assert_eq!(config.kubernetes.network_allow, expected, "{text}");
    }
    for text in ["['a'", "['a', b]", "a,,b", "[1]", "('a'"] {
        let error = load("", &[("KUBERNETES_NETWORK_ALLOW", text)]).expect_err(text);
        assert_eq!(error.faults().len(), 1, "{error}");
    }
}
