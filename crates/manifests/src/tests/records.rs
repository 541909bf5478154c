//! Records: there and back, and what is refused.

use k8s_openapi::api::core::v1::ConfigMap;
use podbay_config::{AgentDelivery, Config, NetworkMode, Toleration, WorkloadKind};
use podbay_protocol::{Cause, PhaseTimes, PodLoss, StartFailure, Verdict};

use super::{default_spec, validate, variable};
use crate::labels;
use crate::launch::Launch;
use crate::profile::Profile;
use crate::record::{
    CreationValues, Record, RecordError, key_hash_patch, last_failure_annotation, last_loss_annotation,
    record,
};
use crate::request::SessionRequest;
use crate::runtime_id::RuntimeId;
use crate::secret::{KeyHash, SessionKey};
use crate::server::ServerKind;
use crate::session_owner::SessionOwner;
use crate::session_spec::SessionSpec;

fn values() -> CreationValues {
    CreationValues {
        nonce: "nonce-1".into(),
        runtime_id: RuntimeId::from_random([0xa5; 16]),
        key: SessionKey::from_random([7; 32]),
    }
}

/// A record as the API server would give it back.
fn stored(spec: &SessionSpec) -> ConfigMap {
    let mut object = record(spec, &values());
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

/// The name of session `demo` of `alice`.
const OWNED_NAME: &str = "openhands-runtime-demo-x627eehtchjfy5o47wlvg";

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
        owner: Some(SessionOwner::of("alice").unwrap()),
        image: Some("debian:12".into()),
        user: Some("0:0".into()),
        profile: Some(Profile::Baseline),
        env: [variable("A", "hunter2")].into(),
        workdir: Some("/w".into()),
        cpu: Some("2".into()),
        memory: Some("1.5Gi".into()),
        persistent: Some(true),
        labels: [("team".into(), "x".into())].into(),
        server: Some(ServerKind::OpenHands),
        ports: vec![3000],
        vscode: true,
        network: Some(NetworkMode::None),
        workload: Some(WorkloadKind::Job),
        gpus: Some(1),
        resource_factor: Some(2),
        actions: Some(60_000),
        launch: Some(Launch::Program(vec!["sleep".into(), "9".into()])),
        routed: vec![12_000],
        pull_policy: Some(podbay_config::PullPolicy::Always),
        fs_group: Some(5),
        runtime_class: Some("gvisor".into()),
    };
    let (spec, _) = validate(&config, request).unwrap();
    let read = Record::parse(&stored(&spec)).unwrap();
    assert_eq!(read.spec, spec);
    // Quantities compare by value; the text must come back too.
    assert_eq!(read.spec.memory().to_string(), "3Gi");
    assert_eq!(
        (read.uid.as_str(), read.resource_version.as_deref()),
        ("uid-1", Some("7"))
    );
    assert_eq!(read.nonce.as_deref(), Some("nonce-1"));
    assert_eq!(read.id().as_str(), "demo");
    assert_eq!(
        (read.owner().name.as_str(), read.owner().uid.as_str()),
        (OWNED_NAME, "uid-1")
    );
    assert_eq!(read.spec.owner(), Some(&SessionOwner::of("alice").unwrap()));
    assert_eq!(read.runtime_id, Some(values().runtime_id));
    assert_eq!(read.key_hash, Some(values().key.hash()));
    assert_eq!((read.last_failure, read.started_again), (None, None));
}

#[test]
fn a_newer_record_is_refused_by_name() {
    let error = refusal(|object| {
        set(object, "schemaVersion", "5");
        set(object, "minReaderVersion", "4");
        set(object, "spec", "{\"unheard\": \"of\"}");
    });
    assert!(matches!(error, RecordError::Newer { found: 5, .. }));
    assert!(
        error
            .to_string()
            .starts_with("session record openhands-runtime-demo has schema version 5"),
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
}

/// A stored record whose specification has a field that nobody knows, at the top and further down.
fn with_unknown_fields(version: &str, change: fn(&str) -> String) -> Result<Record, RecordError> {
    let mut object = stored(&default_spec());
    let spec = change(&object.data.as_ref().unwrap()["spec"]);
    assert!(spec.contains("unknown"));
    set(&mut object, "schemaVersion", version);
    set(&mut object, "spec", &spec);
    Record::parse(&object)
}

#[test]
fn a_field_that_nobody_knows_is_refused_up_to_version_2_and_passed_over_from_3_on() {
    let at_the_top = |spec: &str| spec.replacen('{', "{\"unknown\":1,", 1);
    let further_down = |spec: &str| spec.replace("\"cpu\":{", "\"cpu\":{\"unknown\":{},");
    for change in [at_the_top, further_down] {
        let refused = with_unknown_fields("2", change);
        assert!(
            matches!(&refused, Err(RecordError::Spec { source, .. }) if source.to_string().contains("unknown")),
            "{refused:?}"
        );
        // A later version that still counts on readers of this one is read by what this one knows.
        for version in ["3", "4", "70"] {
            assert_eq!(with_unknown_fields(version, change).unwrap().spec, default_spec());
        }
    }
}

#[test]
fn the_least_version_of_a_reader_decides_whether_a_later_record_is_read() {
    let read = |schema: &str, least: Option<&str>| {
        let mut object = stored(&default_spec());
        set(&mut object, "schemaVersion", schema);
        match least {
            Some(least) => set(&mut object, "minReaderVersion", least),
            None => drop(object.data.as_mut().unwrap().remove("minReaderVersion")),
        }
        Record::parse(&object)
    };
    assert!(read("9", Some("3")).is_ok());
    assert!(matches!(
        read("9", Some("4")),
        Err(RecordError::Newer { found: 9, .. })
    ));
    assert!(matches!(
        read("9", None),
        Err(RecordError::Newer { found: 9, .. })
    ));
    assert!(matches!(
        read("3", None),
        Err(RecordError::Missing {
            part: "minReaderVersion",
            ..
        })
    ));
    assert!(matches!(read("3", Some("x")), Err(RecordError::SchemaVersion { found, .. }) if found == "x"));
    // Earlier versions did not write it.
    assert!(read("2", None).is_ok());
}

#[test]
fn what_podbay_makes_itself_is_read_strictly() {
    let damaged = |error: RecordError| match error {
        RecordError::Damaged { part, .. } => part,
        error => panic!("{error}"),
    };
    let no_id = refusal(|object| {
        object
            .metadata
            .labels
            .as_mut()
            .unwrap()
            .insert(labels::RUNTIME_ID.into(), "A5".into());
    });
    assert_eq!(damaged(no_id), "podbay.dev/runtime-id");
    assert_eq!(
        damaged(refusal(|object| set(object, "sessionKeySha256", "0"))),
        "sessionKeySha256"
    );
}

#[test]
fn a_failure_and_another_key_are_patched_in() {
    let mut object = stored(&default_spec());
    let verdict = Verdict::new(Cause::ImageNotFound, "manifest unknown", "mend the name");
    let failure = StartFailure::new(verdict, PhaseTimes::default(), 1, jiff::Timestamp::UNIX_EPOCH);
    let annotations = object.metadata.annotations.as_mut().unwrap();
    annotations.insert(labels::LAST_FAILURE.into(), last_failure_annotation(&failure));
    let again = jiff::Timestamp::from_nanosecond(1_800_000_000_123_456_789).unwrap();
    annotations.insert(labels::STARTED_AGAIN.into(), again.to_string());
    let other = SessionKey::from_random([8; 32]);
    let patch = key_hash_patch(&default_spec(), other.expose().as_bytes());
    for (key, value) in patch["data"].as_object().unwrap() {
        set(&mut object, key, value.as_str().unwrap());
    }
    let read = Record::parse(&object).unwrap();
    assert_eq!(
        (read.last_failure, read.key_hash),
        (Some(Box::new(failure)), Some(other.hash()))
    );
    assert_eq!(read.vscode_token_hash, None, "no agent tells a token");
    assert_eq!(read.started_again, Some(again));
    let annotations = object.metadata.annotations.as_mut().unwrap();
    annotations.insert(labels::STARTED_AGAIN.into(), "soon".into());
    assert_eq!(Record::parse(&object).unwrap().started_again, None);
}

/// A client that was told the token by the agent presents it to others than the agent.
#[test]
fn the_token_of_vscode_is_known_by_its_hash_where_the_agent_tells_it() {
    let request = SessionRequest {
        actions: Some(60_000),
        ..SessionRequest::default()
    };
    let mut config = Config::default();
    config.agent.delivery = AgentDelivery::Upload;
    let spec = validate(&config, request).unwrap().0;
    let mut object = stored(&spec);
    let of = |key: &SessionKey| Some(KeyHash::of_vscode_token(key.expose().as_bytes()));
    assert_eq!(
        Record::parse(&object).unwrap().vscode_token_hash,
        of(&values().key)
    );
    let other = SessionKey::from_random([8; 32]);
    let patch = key_hash_patch(&spec, other.expose().as_bytes());
    for (key, value) in patch["data"].as_object().unwrap() {
        set(&mut object, key, value.as_str().unwrap());
    }
    let read = Record::parse(&object).unwrap();
    assert_eq!(
        (&read.key_hash, &read.vscode_token_hash),
        (&Some(other.hash()), &of(&other))
    );
    assert!(read.is_of_key(other.expose().as_bytes()));
    assert!(!read.is_of_key(values().key.expose().as_bytes()));
    // An earlier version knows nothing of it, and replaces the key's hash alone.
    let hash = KeyHash::of(b"third");
    set(&mut object, "sessionKeySha256", hash.as_str());
    assert!(!Record::parse(&object).unwrap().is_of_key(b"third"));
    object.data.as_mut().unwrap().remove("vscodeTokenSha256");
    assert!(!Record::parse(&object).unwrap().is_of_key(b"third"));
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
    // The label is what owners are told apart by.
    let alice = SessionOwner::of("alice").unwrap().to_string();
    let owned = refusal(|object| {
        object
            .metadata
            .labels
            .as_mut()
            .unwrap()
            .insert(labels::OWNER.into(), alice);
    });
    assert!(
        matches!(owned, RecordError::Contradiction { part: "owner", .. }),
        "{owned}"
    );
}

/// What the release before schema version 2 wrote, byte for byte.
const SPEC_V1: &str = r#"{"claim":{"size":"5Gi","storageClass":"fast"},"cpu":{"request":"1"},"env":["A_B","TOKEN"],"id":"demo","image":"nikolaik/python-nodejs:python3.12-nodejs22","imagePullSecret":"regcred","labels":{"team":"x"},"memory":{"limit":"2Gi","request":"1Gi"},"namespace":"agents","nodeSelector":{"kubernetes.io/arch":"amd64"},"profile":"baseline","runAs":"1000:100","server":true,"startTimeoutSeconds":42,"terminationGraceSeconds":5,"tolerations":[{"effect":"NoExecute","key":"sandbox","operator":"Equal","tolerationSeconds":60,"value":"yes"},{"operator":"Exists"}],"workdir":"/workspace","workspaceMountPath":"/workspace"}"#;

/// The smallest one.
const SPEC_V1_DEFAULT: &str = r#"{"cpu":{"request":"1"},"env":[],"id":"demo","image":"nikolaik/python-nodejs:python3.12-nodejs22","labels":{},"memory":{"limit":"2Gi","request":"1Gi"},"namespace":"agents","nodeSelector":{},"profile":"restricted","server":false,"startTimeoutSeconds":300,"terminationGraceSeconds":5,"tolerations":[],"workdir":"/workspace","workspaceMountPath":"/workspace"}"#;

fn stored_v1(spec: &str) -> ConfigMap {
    let mut object = stored(&default_spec());
    set(&mut object, "schemaVersion", "1");
    set(&mut object, "spec", spec);
    object
        .metadata
        .labels
        .as_mut()
        .unwrap()
        .remove(labels::RUNTIME_ID);
    for later in ["minReaderVersion", "sessionKeySha256"] {
        object.data.as_mut().unwrap().remove(later);
    }
    object
}

#[test]
fn records_of_version_1_are_read_as_what_they_were() {
    for (name, spec) in [("version_1", SPEC_V1), ("version_1_default", SPEC_V1_DEFAULT)] {
        let read = Record::parse(&stored_v1(spec)).unwrap();
        assert_eq!((&read.runtime_id, &read.key_hash), (&None, &None));
        let pod = crate::pod::pod(&read.spec, &read.owner());
        let claim = crate::claim::claim(&read.spec);
        // Reviewed against the objects of that release: a session keeps what it was made with. Only a server finds
        // its port and two more plain variables in its environment.
        insta::assert_yaml_snapshot!(name, (pod, claim));
        assert!(crate::network_policy::policy(&read.spec, &read.owner()).is_none());
        assert!(crate::service::services(&read.spec, &read.owner()).is_empty());
        // Written again, it is one of this version and says the same.
        assert_eq!(Record::parse(&stored(&read.spec)).unwrap().spec, read.spec);
    }
}

#[test]
fn a_record_of_version_1_knows_no_later_field() {
    let spec = SPEC_V1_DEFAULT.replacen('{', "{\"network\":{},", 1);
    assert!(matches!(
        Record::parse(&stored_v1(&spec)),
        Err(RecordError::Spec { .. })
    ));
}

#[test]
fn a_pod_that_was_lost_is_read_and_one_that_can_not_be_read_is_none() {
    let mut object = stored(&default_spec());
    let verdict = Verdict::new(Cause::Evicted, "low on memory", "elsewhere");
    let loss = PodLoss::new(verdict, 3, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(Record::parse(&object).unwrap().last_loss, None);
    for (text, read) in [(last_loss_annotation(&loss), Some(loss)), ("{}".to_owned(), None)] {
        let annotations = object.metadata.annotations.as_mut().unwrap();
        annotations.insert(labels::LAST_LOSS.into(), text);
        assert_eq!(Record::parse(&object).unwrap().last_loss.map(|loss| *loss), read);
    }
}
