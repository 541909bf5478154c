//! What a template does to a pod, and what it may not do.

use podbay_config::{ApiObject, Config, NetworkMode};
use serde_json::json;

use super::*;
use crate::profile::Profile;
use crate::request::SessionRequest;
use crate::session_spec::SpecErrors;

fn validate(template: Value, request: SessionRequest) -> Result<SessionSpec, SpecErrors> {
    let mut config = Config::default();
    let Value::Object(fields) = template else {
        panic!("a template is an object");
    };
    config.kubernetes.pod_template = Some(ApiObject::from(fields));
    SessionSpec::validate("demo".parse().unwrap(), "agents", &config, request).map(|(spec, _)| spec)
}

/// The pod of a default session with the template over it.
fn pod(template: Value) -> Value {
    let spec = validate(template, SessionRequest::default()).unwrap();
    json!(crate::pod::of_job(&spec))
}

fn refusal(template: Value) -> String {
    validate(template, SessionRequest::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn lists_merge_by_the_keys_of_the_api() {
    let pod = pod(json!({
        "metadata": { "labels": { "x": "y" } },
        "spec": {
            "containers": [{
                "name": "runtime",
                "tty": true,
                "env": [{ "name": "HOME", "value": "/h" }, { "name": "B", "value": "b" }],
                "volumeMounts": [{ "mountPath": "/home/sandbox", "name": "home", "subPath": "s" }],
            }],
            "volumes": [{ "name": "home", "emptyDir": { "medium": "Memory" } }, { "name": "new", "emptyDir": {} }],
            "hostAliases": [{ "ip": "10.0.0.1", "hostnames": ["a"] }],
        },
    }));
    assert_eq!(pod["metadata"]["labels"]["x"], "y");
    assert_eq!(pod["metadata"]["labels"]["session"], "demo");
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["tty"], true);
    assert_eq!(container["command"][0], "/bin/sh");
    assert_eq!(
        container["env"],
        json!([{ "name": "HOME", "value": "/h" }, { "name": "B", "value": "b" }])
    );
    let home = json!({ "mountPath": "/home/sandbox", "name": "home", "subPath": "s" });
    assert!(container["volumeMounts"].as_array().unwrap().contains(&home));
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    assert!(volumes.contains(&json!({ "name": "home", "emptyDir": { "medium": "Memory" } })));
    assert_eq!(volumes.last().unwrap()["name"], "new");
    assert_eq!(volumes[0]["name"], "workspace-volume");
}

#[test]
fn directives_delete_replace_and_retain() {
    let pod = pod(json!({
        "spec": {
            "terminationGracePeriodSeconds": null,
            "containers": [{
                "name": "runtime",
                "env": [{ "$patch": "delete", "name": "HOME" }],
                "resources": { "$patch": "replace", "limits": { "cpu": 1 } },
            }],
            "volumes": [{ "name": "workspace-volume", "$retainKeys": ["name", "ephemeral"], "ephemeral": {} }],
        },
    }));
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], Value::Null);
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["env"], json!([]));
    assert_eq!(container["resources"], json!({ "limits": { "cpu": "1" } }));
    assert_eq!(
        pod["spec"]["volumes"][0],
        json!({ "name": "workspace-volume", "ephemeral": {} })
    );
    let pod = super::tests::pod(json!({
        "spec": { "tolerations": [{ "operator": "Exists" }], "volumes": [
            { "$patch": "replace" }, { "name": "workspace-volume", "emptyDir": {} },
        ] },
    }));
    assert_eq!(pod["spec"]["tolerations"], json!([{ "operator": "Exists" }]));
    assert_eq!(pod["spec"]["volumes"].as_array().unwrap().len(), 1);
}

#[test]
fn lists_without_a_key_are_replaced() {
    let mut config = Config::default();
    config.kubernetes.tolerations = vec![podbay_config::Toleration {
        key: Some("a".into()),
        operator: Some("Exists".into()),
        ..podbay_config::Toleration::default()
    }];
    let template = json!({ "spec": { "tolerations": [{ "key": "b", "operator": "Exists" }] } });
    let fields = template.as_object().unwrap().clone();
    config.kubernetes.pod_template = Some(ApiObject::from(fields));
    let request = SessionRequest::default();
    let (spec, _) = SessionSpec::validate("demo".parse().unwrap(), "agents", &config, request).unwrap();
    let pod = json!(crate::pod::of_job(&spec));
    assert_eq!(
        pod["spec"]["tolerations"],
        json!([{ "key": "b", "operator": "Exists" }])
    );
}

#[test]
fn unknown_fields_and_wrong_types_are_refused_with_their_path() {
    for (template, message) in [
        (
            json!({ "spec": { "hostnam": "x" } }),
            "there is no field spec.hostnam in the API's PodSpec; did you mean hostname?",
        ),
        (
            json!({ "kind": "Pod" }),
            "there is no field kind in the API's PodTemplateSpec",
        ),
        (
            json!({ "spec": { "hostname": 3 } }),
            "spec.hostname can't be used: invalid type",
        ),
        (
            json!({ "spec": { "containers": [{ "tty": true }] } }),
            "spec.containers[0] needs name",
        ),
        (
            json!({ "spec": { "containers": [{ "name": "runtime", "$patch": "remove" }] } }),
            "spec.containers[0].$patch is \"remove\": delete or replace",
        ),
        (
            json!({ "spec": { "$setElementOrder/containers": [] } }),
            "there is no field spec.$setElementOrder/containers",
        ),
        (
            json!({ "spec": { "volumes": [{ "name": "workspace-volume", "secret": { "secretName": "a" } }] } }),
            "it gives the volume workspace-volume a second source: take the first one away with `$retainKeys: \
             [name, secret]`",
        ),
    ] {
        let error = refusal(template);
        assert!(
            error.starts_with("kubernetes.pod_template can't be used: ") && error.contains(message),
            "{error}"
        );
    }
}

#[test]
fn what_podbay_needs_stays() {
    let runtime = |fields: Value| {
        let mut container = json!({ "name": "runtime" });
        container
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        json!({ "spec": { "containers": [container] } })
    };
    for (template, path) in [
        (json!({ "metadata": { "name": "x" } }), "metadata.name"),
        (json!({ "metadata": { "namespace": "x" } }), "metadata.namespace"),
        (
            json!({ "metadata": { "generateName": "x" } }),
            "metadata.generateName",
        ),
        (
            json!({ "metadata": { "ownerReferences": [{ "uid": "x", "name": "x", "kind": "x", "apiVersion": "v1" }] } }),
            "metadata.ownerReferences",
        ),
        (
            json!({ "metadata": { "labels": { "session": "x" } } }),
            "metadata.labels[session]",
        ),
        (json!({ "metadata": { "labels": null } }), "metadata.labels[app]"),
        (
            json!({ "metadata": { "labels": { "podbay.dev/network": null } } }),
            "metadata.labels[podbay.dev/network]",
        ),
        (
            json!({ "metadata": { "annotations": { "podbay.dev/session-id": "x" } } }),
            "metadata.annotations[podbay.dev/session-id]",
        ),
        (
            json!({ "spec": { "restartPolicy": "Always" } }),
            "spec.restartPolicy",
        ),
        (json!({ "spec": null }), "spec.restartPolicy"),
        (
            json!({ "spec": { "containers": [{ "name": "runtime", "$patch": "delete" }] } }),
            "spec.containers[runtime]",
        ),
        (
            runtime(json!({ "image": "debian" })),
            "spec.containers[runtime].image",
        ),
        (
            runtime(json!({ "command": ["sleep"] })),
            "spec.containers[runtime].command",
        ),
        (
            runtime(json!({ "args": ["a"] })),
            "spec.containers[runtime].command",
        ),
    ] {
        let error = refusal(template);
        assert!(error.contains(&format!("it changes {path}: ")), "{path}: {error}");
    }
    let secret = SessionRequest {
        env: [("TOKEN".to_owned(), "x".into())].into(),
        ..SessionRequest::default()
    };
    let template = runtime(json!({ "env": [{ "name": "TOKEN", "value": "y" }] }));
    let error = validate(template, secret).unwrap_err().to_string();
    assert!(error.contains("env[TOKEN]"), "{error}");
}

#[test]
fn what_the_profile_forbids_is_refused_by_its_name() {
    for (template, path) in [
        (json!({ "spec": { "hostPID": true } }), "spec.hostPID"),
        (
            json!({ "spec": { "containers": [{ "name": "second", "image": "a" }] } }),
            "spec.containers[second].securityContext.allowPrivilegeEscalation",
        ),
        (
            json!({ "spec": { "volumes": [{ "name": "x", "hostPath": { "path": "/" } }] } }),
            "spec.volumes[x]",
        ),
    ] {
        let error = refusal(template.clone());
        assert!(
            error.contains("kubernetes.pod_template makes a pod that the profile restricted forbids")
                && error.contains(path),
            "{error}"
        );
        let privileged = SessionRequest {
            profile: Some(Profile::Privileged),
            ..SessionRequest::default()
        };
        assert!(validate(template, privileged).is_ok());
    }
}

#[test]
fn a_network_that_no_policy_holds_in_is_named() {
    let template = json!({ "spec": { "hostNetwork": true } });
    let privileged = |network| SessionRequest {
        profile: Some(Profile::Privileged),
        network,
        ..SessionRequest::default()
    };
    let error = validate(template.clone(), privileged(None))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("kubernetes.pod_template and kubernetes.network contradict each other"),
        "{error}"
    );
    assert!(validate(template, privileged(Some(NetworkMode::Open))).is_ok());
}

#[test]
fn a_template_comes_back_from_the_record_checked() {
    let template = json!({ "spec": { "hostname": "box" } });
    let spec = validate(template, SessionRequest::default()).unwrap();
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<SessionSpec>(&text).unwrap(), spec);
    let forged = text.replace("hostname", "hostnam");
    assert!(serde_json::from_str::<SessionSpec>(&forged).is_err());
}
