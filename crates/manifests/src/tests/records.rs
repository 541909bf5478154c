//! Records: there and back, and what is refused.

use k8s_openapi::api::core::v1::ConfigMap;
use podbay_config::{Config, Toleration};

use super::{default_spec, validate, variable};
use crate::record::record;
use crate::{Profile, Record, RecordError, SessionRequest, SessionSpec};

/// A record as the API server would give it back.
fn stored(spec: &SessionSpec) -> ConfigMap {
    let mut object = record(spec, "nonce-1");
    object.metadata.uid = Some("uid-1".into());
    object.metadata.resource_version = Some("7".into());
    object
}

/// The refusal of a stored record after `change`.
fn refusal(change: impl FnOnce(&mut ConfigMap)) -> RecordError {
    let mut object = stored(&default_spec());
    change(&mut object);
    Record::parse(&object).unwrap_err()
}

fn set(object: &mut ConfigMap, key: &str, value: &str) {
    object.data.as_mut().unwrap().insert(key.into(), value.into());
}

#[test]
fn a_record_comes_back_whole() {
    let mut config = Config::default();
    config.kubernetes.pvc_storage_class = Some("fast".into());
    config.kubernetes.image_pull_secret = Some("regcred".into());
    config.kubernetes.node_selector_key = Some("a".into());
    config.kubernetes.node_selector_val = Some("b".into());
    config.kubernetes.tolerations_yaml = vec![Toleration {
        operator: Some("Exists".into()),
        toleration_seconds: None,
        ..Toleration::default()
    }];
    let request = SessionRequest {
        image: Some("debian:12".into()),
        user: Some("0:0".into()),
        profile: Some(Profile::Baseline),
        env: [variable("A", "hunter2")].into(),
        workdir: Some("/w".into()),
        cpu: Some("2".into()),
        memory: Some("1.5Gi".into()),
        persistent: Some(true),
        labels: [("team".into(), "x".into())].into(),
        server: true,
    };
    let (spec, _) = validate(&config, request).unwrap();
    let read = Record::parse(&stored(&spec)).unwrap();
    assert_eq!(read.spec, spec);
    // Quantities compare by value; the text must come back too.
    assert_eq!(read.spec.memory().to_string(), "1.5Gi");
    assert_eq!(
        (read.uid.as_str(), read.resource_version.as_deref()),
        ("uid-1", Some("7"))
    );
    assert_eq!(read.nonce.as_deref(), Some("nonce-1"));
    assert_eq!(read.id().as_str(), "demo");
    assert_eq!(
        (read.owner().name.as_str(), read.owner().uid.as_str()),
        ("openhands-runtime-demo", "uid-1")
    );
}

#[test]
fn a_newer_record_is_refused_by_name() {
    let error = refusal(|object| {
        set(object, "schemaVersion", "2");
        set(object, "spec", "{\"unheard\": \"of\"}");
    });
    assert!(matches!(error, RecordError::Newer { found: 2, .. }));
    assert!(
        error
            .to_string()
            .starts_with("session record openhands-runtime-demo has schema version 2"),
        "{error}"
    );
}

#[test]
fn other_schema_versions_are_refused() {
    for version in ["0", "", "one", "-1"] {
        let error = refusal(|object| set(object, "schemaVersion", version));
        assert!(
            matches!(&error, RecordError::SchemaVersion { found, .. } if found == version),
            "{error}"
        );
    }
}

#[test]
fn what_lacks_a_part_is_no_record() {
    for part in ["id", "schemaVersion", "spec"] {
        let error = refusal(|object| {
            object.data.as_mut().unwrap().remove(part);
        });
        assert!(
            matches!(&error, RecordError::Missing { part: missing, .. } if *missing == part),
            "{error}"
        );
    }
    assert!(matches!(
        refusal(|object| object.data = None),
        RecordError::Missing { .. }
    ));
    assert!(matches!(
        refusal(|object| object.metadata.uid = None),
        RecordError::Missing { part: "uid", .. }
    ));
}

#[test]
fn a_specification_that_cannot_be_read_is_refused() {
    for spec in ["", "{}", "[]"] {
        assert!(
            matches!(
                refusal(|object| set(object, "spec", spec)),
                RecordError::Spec { .. }
            ),
            "{spec}"
        );
    }
    // Nothing that a validated specification can't hold comes in by the record.
    for (from, to) in [
        ("python3.12", "a b"),
        ("restricted", "none"),
        ("\"agents\"", "\"A\""),
    ] {
        let error = refusal(|object| {
            let spec = object.data.as_ref().unwrap()["spec"].clone();
            assert!(spec.contains(from));
            set(object, "spec", &spec.replace(from, to));
        });
        assert!(matches!(error, RecordError::Spec { .. }), "{from}: {error}");
    }
    let error = refusal(|object| {
        let spec = object.data.as_ref().unwrap()["spec"].replacen('{', "{\"unknown\":1,", 1);
        set(object, "spec", &spec);
    });
    assert!(matches!(error, RecordError::Spec { .. }));
}

#[test]
fn a_record_that_contradicts_itself_is_refused() {
    let contradiction = |change: fn(&mut ConfigMap)| match refusal(change) {
        RecordError::Contradiction { part, .. } => part,
        error => panic!("{error}"),
    };
    assert_eq!(contradiction(|object| set(object, "id", "other")), "id");
    assert_eq!(
        contradiction(|object| object.metadata.name = Some("openhands-runtime-other".into())),
        "name"
    );
    assert_eq!(
        contradiction(|object| object.metadata.namespace = Some("other".into())),
        "namespace"
    );
}
