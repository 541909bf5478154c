//! A setting that nothing reads is a bug: every setting that this crate answers for changes what is made.

use std::collections::BTreeSet;

use podbay_config::{Config, Effect, settings};
use serde_json::{Value, json};

use super::validate;
use crate::objects::{SecretValues, render};
use crate::request::SessionRequest;
use crate::settings::SETTINGS_READ_ELSEWHERE;

mod requests;
mod table;

/// A setting and a change of it that shows.
struct Case {
    /// The setting's key.
    key: &'static str,
    /// What else must be configured for it to mean something.
    base: fn(&mut Config),
    /// What must be asked for it to mean something.
    request: fn(&mut SessionRequest),
    /// The change, of this setting alone.
    change: fn(&mut Config),
}

/// All that one sees of a session: its objects, without the record, which repeats the settings, and what the
/// runtime asks the specification for.
fn seen(config: &Config, request: SessionRequest) -> Value {
    let (spec, secrets) = validate(config, request).unwrap();
    let mut objects = render(&spec, &secrets, SecretValues::Shown).to_json_list();
    let items = objects["items"].as_array_mut().unwrap();
    assert_eq!(items.remove(0)["kind"], "ConfigMap");
    json!({
        "objects": items,
        "cleanup": spec.cleanup_policy().as_str(),
        "vscode": spec.vscode_url(Some("token")),
        "hosts": spec.web_hosts(),
    })
}

/// What is seen of a case with its change or another.
fn view(case: &Case, change: fn(&mut Config)) -> Value {
    let mut config = Config::default();
    (case.base)(&mut config);
    change(&mut config);
    let mut request = SessionRequest::default();
    (case.request)(&mut request);
    seen(&config, request)
}

#[test]
fn every_setting_of_ours_changes_what_is_made() {
    for case in table::cases() {
        assert_ne!(
            view(&case, |_| {}),
            view(&case, case.change),
            "{} changes nothing",
            case.key
        );
    }
}

/// One snapshot a setting: every object, as `podbay render` shows it.
#[test]
fn every_setting_of_ours_as_objects() {
    for case in table::cases() {
        let mut config = Config::default();
        (case.base)(&mut config);
        (case.change)(&mut config);
        let mut request = SessionRequest::default();
        (case.request)(&mut request);
        let (spec, secrets) = validate(&config, request).unwrap();
        let yaml = render(&spec, &secrets, SecretValues::Hidden).to_yaml().unwrap();
        insta::with_settings!({ snapshot_path => "snapshots/settings", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(case.key, yaml);
        });
    }
}

#[test]
fn every_case_changes_the_setting_it_names_and_no_other() {
    for case in table::cases() {
        let mut config = Config::default();
        (case.base)(&mut config);
        let before: Vec<_> = config.entries().map(|entry| entry.value).collect();
        (case.change)(&mut config);
        let changed: Vec<_> = config
            .entries()
            .zip(before)
            .filter(|(entry, before)| !entry.setting.secret && entry.value != *before)
            .map(|(entry, _)| entry.setting.key.as_str())
            .collect();
        let secret = settings()
            .iter()
            .any(|setting| setting.key == case.key && setting.secret);
        // A source is refused without this, and this without a source: the two can only come together.
        let together = ["kubernetes.mount_source", "kubernetes.source_claim"];
        assert!(
            changed == [case.key] || secret || (case.key == together[0] && changed == together),
            "{}: {changed:?}",
            case.key
        );
    }
}

#[test]
fn every_setting_is_covered_or_another_crates() {
    let ours: BTreeSet<_> = table::cases().iter().map(|case| case.key).collect();
    let others: BTreeSet<_> = SETTINGS_READ_ELSEWHERE.iter().copied().collect();
    assert_eq!(
        ours.intersection(&others).collect::<Vec<_>>(),
        Vec::<&&str>::new()
    );
    let known: BTreeSet<_> = ours.union(&others).copied().collect();
    let used: BTreeSet<_> = settings()
        .iter()
        .filter(|setting| setting.effect == Effect::Used)
        .map(|setting| setting.key.as_str())
        .collect();
    assert_eq!(
        used.difference(&known).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "in neither list"
    );
    assert_eq!(
        known.difference(&used).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "no settings"
    );
}
