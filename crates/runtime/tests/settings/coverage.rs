//! Every setting of the project has a test that its effect changes.

use std::collections::BTreeSet;

use podbay_config::{Effect, settings};
use podbay_manifests::SETTINGS_READ_ELSEWHERE;

use crate::{agent, cluster, commands, keeping, limits, patience, tries};

/// Of the service: `podbay-exec-proxy` and the command `serve` read them, and `crates/exec-proxy/tests/api/settings.rs` holds that each has
/// an effect.
fn is_of_the_service(key: &str) -> bool {
    key.starts_with("serve.")
}

/// The settings that session objects are made from: `podbay-manifests` tests each of them by the objects it changes.
fn by_objects() -> BTreeSet<&'static str> {
    settings()
        .iter()
        .filter(|setting| setting.effect == Effect::Used)
        .map(|setting| setting.key.as_str())
        .filter(|key| !SETTINGS_READ_ELSEWHERE.contains(key))
        .collect()
}

fn by_behaviour() -> BTreeSet<&'static str> {
    [
        agent::KEYS,
        cluster::KEYS,
        commands::KEYS,
        keeping::KEYS,
        limits::KEYS,
        patience::KEYS,
        tries::KEYS,
    ]
    .concat()
    .into_iter()
    .collect()
}

#[test]
fn every_setting_has_an_effect_that_is_tested() {
    let (objects, behaviour) = (by_objects(), by_behaviour());
    let known: BTreeSet<_> = settings().iter().map(|setting| setting.key.as_str()).collect();
    let unknown: Vec<_> = behaviour.difference(&known).collect();
    assert!(unknown.is_empty(), "no settings: {unknown:?}");
    let mut forgotten = Vec::new();
    let mut ignored = 0;
    for setting in settings() {
        let key = setting.key.as_str();
        let tested = objects.contains(key) || behaviour.contains(key) || is_of_the_service(key);
        match setting.effect {
            Effect::Used if !tested => forgotten.push(key),
            Effect::Used => {}
            Effect::Ignored(_) => {
                assert!(!tested, "{key} is ignored, and has a test of its effect");
                ignored += 1;
            }
        }
    }
    assert!(
        forgotten.is_empty(),
        "without a test of their effect: {forgotten:?}"
    );
    println!(
        "{} settings: {} by rendered objects, {} by behaviour ({} by both), {ignored} ignored with a warning",
        settings().len(),
        objects.len(),
        behaviour.len(),
        objects.intersection(&behaviour).count(),
    );
}

/// The warning is the one effect of a setting that has none.
#[test]
fn every_setting_without_effect_is_warned_of() {
    for setting in settings() {
        let Effect::Ignored(reason) = setting.effect else {
            continue;
        };
        let variable = setting.environment.first().unwrap();
        let config = podbay_config::Config::loader()
            .search(false)
            .environment([(variable.as_str(), "1")])
            .load()
            .unwrap();
        let warned = config
            .warnings()
            .iter()
            .any(|warning| warning.to_string().contains(reason));
        assert!(warned, "{}: {:?}", setting.key, config.warnings());
    }
}
