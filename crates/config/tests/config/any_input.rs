//! Loading never panics, whatever the sources hold, and what it accepts keeps its promises.

use crate::samples::{as_text, samples};
use crate::support::{given, load, values};
use podbay_config::{Fault, Origin, Place, settings};
use proptest::prelude::*;

/// Something that stands for a value in a file: proper TOML of every type, or nothing of the kind.
fn toml_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        any::<bool>().prop_map(|value| value.to_string()),
        "[ -~]{0,30}".prop_map(|text| format!("{text:?}")),
        "(- )?\\{?[a-zA-Z_: \\[\\]{}'\",-]{0,40}"
            .prop_map(|yaml| format!("'''{}'''", yaml.replace('\'', "\""))),
        Just("[1, 'a', {b = 2}]".to_owned()),
        Just("{A = 'x', B = 3}".to_owned()),
        Just("[{ key = 'a', value = 1 }, 3, { volumes = [[{}]] }]".to_owned()),
        "\\[('[a-z0-9./:]{0,12}', ){0,3}[0-9]{0,6}\\]",
        "\\{ ('[a-z./]{0,8}' = [0-9]{1,3}, ){0,3}a = '[a-z]{0,3}' \\}",
        proptest::sample::select(
            samples()
                .flat_map(|sample| [sample.good, sample.bad])
                .collect::<Vec<_>>()
        )
        .prop_map(str::to_owned),
        Just("1979-05-27T07:32:00Z".to_owned()),
        Just("0xffffffffffffffffffffffffffffffffffffff".to_owned()),
        "\\PC{0,20}",
    ]
}

fn setting_name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => proptest::sample::select(settings()).prop_map(|setting| setting.name.to_owned()),
        1 => "[a-z_.\"]{0,12}",
    ]
}

fn file() -> impl Strategy<Value = String> {
    let section = proptest::sample::select(vec![
        "[kubernetes]",
        "[sandbox]",
        "[podbay]",
        "[core]",
        "[[podbay]]",
        "",
    ]);
    let line = prop_oneof![
        4 => (setting_name(), toml_value()).prop_map(|(name, value)| format!("{name} = {value}")),
        1 => section.prop_map(str::to_owned),
        1 => "\\PC{0,20}",
    ];
    prop_oneof![
        proptest::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n")),
        // One value in the right place, so that its decoding is always reached.
        (proptest::sample::select(settings()), toml_value()).prop_map(|(setting, value)| {
            let header = setting
                .section
                .name()
                .map(|name| format!("[{name}]\n"))
                .unwrap_or_default();
            format!("{header}{} = {value}", setting.name)
        }),
        "\\PC{0,80}",
    ]
}

fn variables() -> impl Strategy<Value = Vec<(String, String)>> {
    let names = settings()
        .iter()
        .flat_map(|setting| setting.environment.clone())
        .collect::<Vec<_>>();
    let value = prop_oneof![
        "\\PC{0,40}",
        "[0-9]{0,25}",
        "[\\[{][ {}\\[\\]'\":,a-zA-Z0-9\\\\]{0,40}",
        "[\\[({]('[a-z./]{0,8}'(: ?)?|[-+0-9.]{1,4}|None|True|, ?|[\\[({})\\]]){0,8}",
        proptest::sample::select(
            samples()
                .flat_map(|sample| [sample.good, sample.bad])
                .filter(|value| !value.is_empty())
                .map(as_text)
                .collect::<Vec<_>>()
        ),
        "\\{'[A-Z]{1,3}' ?: ?'(\\PC|\\\\[nxuU'0-9a-f]){0,10}',? ?\\}",
    ];
    let name = prop_oneof![8 => proptest::sample::select(names), 1 => "PODBAY_[A-Z_]{0,20}"];
    proptest::collection::vec((name, value), 0..6)
}

proptest! {
    #[test]
    fn loading_never_panics(file in file(), variables in variables()) {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        match load(&file, &variables) {
            Ok(config) => {
                prop_assert!(!config.kubernetes.namespace.trim().is_empty());
                prop_assert!(config.workspace_mount_path_in_sandbox.starts_with('/'));
                prop_assert!(config.podbay.exec_ping_timeout_seconds > config.podbay.exec_ping_interval_seconds);
                prop_assert!((1..=31_536_000).contains(&config.podbay.start_timeout_seconds));
                let shown = config.to_toml_with_origins();
                let again = load(&shown, &[]);
                prop_assert!(again.is_ok(), "{}\n{:?}", shown, again.err());
                let again = again.unwrap();
                prop_assert_eq!(values(&again), values(&config), "{}", shown);
                prop_assert_eq!(given(&again), given(&config), "{}", shown);
                for warning in config.warnings() {
                    prop_assert!(!warning.to_string().is_empty());
                }
                prop_assert_eq!(
                    config.kubernetes.node_selector_key.is_some(),
                    config.kubernetes.node_selector_val.is_some()
                );
            }
            Err(error) => {
                prop_assert!(!error.faults().is_empty());
                prop_assert!(!error.to_string().is_empty());
                for fault in error.faults() {
                    prop_assert!(has_place(fault), "{fault}");
                }
            }
        }
    }
}

/// Whether a fault tells where a person has to look: a variable, or a file with line and column.
fn has_place(fault: &Fault) -> bool {
    let known = |place: &Place| match &place.origin {
        Origin::Default => false,
        Origin::File { .. } => place.line.is_some() && place.column.is_some(),
        Origin::Environment { .. } | Origin::Flag { .. } => true,
    };
    match fault {
        Fault::UnreadableFile { .. } | Fault::Syntax { .. } => true,
        Fault::NotASection { place, .. }
        | Fault::UnknownKey { place, .. }
        | Fault::InvalidValue { place, .. }
        | Fault::Alone { place, .. } => known(place),
        Fault::Contradiction {
            place, other_place, ..
        } => known(place) || known(other_place),
        Fault::NotMore {
            place, least_place, ..
        } => known(place) || known(least_place),
        _ => false,
    }
}
