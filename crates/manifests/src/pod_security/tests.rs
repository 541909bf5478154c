//! The controls one by one, as the standard's page lists them.

use serde_json::{Value, json};

use super::*;

/// A pod that `restricted` allows.
fn allowed() -> Value {
    json!({
        "spec": {
            "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "a",
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] },
                },
            }],
            "volumes": [
                { "name": "a", "emptyDir": {} },
                { "name": "b", "persistentVolumeClaim": { "claimName": "x" } },
                { "name": "c", "configMap": { "name": "x" } },
                { "name": "d", "secret": { "secretName": "x" } },
                { "name": "e", "projected": {} },
                { "name": "f", "downwardAPI": {} },
                { "name": "g", "csi": { "driver": "x" } },
                { "name": "h", "ephemeral": {} },
                { "name": "i" },
            ],
        },
    })
}

fn pod(value: Value) -> Pod {
    serde_json::from_value(value).unwrap()
}

/// The controls that `allowed` with `value` at the JSON pointer `pointer` breaks, and what it needs.
fn changed(pointer: &str, value: Value) -> Vec<(&'static str, Profile)> {
    let mut pod_value = allowed();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = pod_value.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items.push(value),
        parent => parent[key] = value,
    }
    violations(Profile::Restricted, &pod(pod_value))
        .into_iter()
        .map(|violation| (violation.control, violation.needs))
        .collect()
}

#[test]
fn what_each_profile_allows_passes() {
    assert_eq!(violations(Profile::Restricted, &pod(allowed())), []);
    let root = json!({ "spec": { "containers": [{ "name": "a", "securityContext": { "runAsUser": 0 } }] } });
    assert_eq!(violations(Profile::Baseline, &pod(root)), []);
    let anything = json!({ "spec": { "hostPID": true, "containers": [{
        "name": "a", "securityContext": { "privileged": true },
    }] } });
    assert_eq!(violations(Profile::Privileged, &pod(anything)), []);
}

#[test]
fn a_bare_pod_lacks_all_that_restricted_asks_for() {
    let bare =
        pod(json!({ "spec": { "containers": [{ "name": "a" }], "initContainers": [{ "name": "b" }] } }));
    let found = violations(Profile::Restricted, &bare);
    assert_eq!(found.len(), 8, "{found:?}");
    assert!(found.iter().all(|violation| violation.needs == Profile::Baseline));
    assert_eq!(
        found[0].to_string(),
        "spec.initContainers[b].securityContext.allowPrivilegeEscalation is not set (Privilege Escalation), which \
         needs the profile baseline"
    );
    assert_eq!(violations(Profile::Baseline, &bare), []);
}

#[test]
fn each_control_of_baseline_is_seen() {
    let context = "/spec/containers/0/securityContext";
    for (pointer, value, control) in [
        ("/spec/hostNetwork".to_owned(), json!(true), "Host Namespaces"),
        ("/spec/hostPID".into(), json!(true), "Host Namespaces"),
        ("/spec/hostIPC".into(), json!(true), "Host Namespaces"),
        (
            "/spec/volumes/-".into(),
            json!({ "name": "x", "hostPath": { "path": "/" } }),
            "HostPath Volumes",
        ),
        (
            "/spec/containers/0/ports".into(),
            json!([{ "containerPort": 1, "hostPort": 1 }]),
            "Host Ports",
        ),
        (
            format!("{context}/privileged"),
            json!(true),
            "Privileged Containers",
        ),
        (
            format!("{context}/procMount"),
            json!("Unmasked"),
            "/proc Mount Type",
        ),
        (
            format!("{context}/seccompProfile"),
            json!({ "type": "Unconfined" }),
            "Seccomp",
        ),
        (
            format!("{context}/appArmorProfile"),
            json!({ "type": "Unconfined" }),
            "AppArmor",
        ),
        (
            format!("{context}/seLinuxOptions"),
            json!({ "type": "spc_t" }),
            "SELinux",
        ),
        (
            format!("{context}/seLinuxOptions"),
            json!({ "user": "system_u" }),
            "SELinux",
        ),
        (
            format!("{context}/seLinuxOptions"),
            json!({ "role": "r" }),
            "SELinux",
        ),
        (
            format!("{context}/windowsOptions"),
            json!({ "hostProcess": true }),
            "HostProcess",
        ),
        (
            "/spec/securityContext/seccompProfile".into(),
            json!({ "type": "Unconfined" }),
            "Seccomp",
        ),
        (
            "/spec/securityContext/appArmorProfile".into(),
            json!({ "type": "Unconfined" }),
            "AppArmor",
        ),
        (
            "/spec/securityContext/seLinuxOptions".into(),
            json!({ "type": "spc_t" }),
            "SELinux",
        ),
        (
            "/spec/securityContext/windowsOptions".into(),
            json!({ "hostProcess": true }),
            "HostProcess",
        ),
        (
            "/spec/securityContext/sysctls".into(),
            json!([{ "name": "kernel.msgmax", "value": "1" }]),
            "Sysctls",
        ),
        (
            "/metadata".into(),
            json!({ "annotations": { "container.apparmor.security.beta.kubernetes.io/a": "unconfined" } }),
            "AppArmor",
        ),
    ] {
        assert_eq!(
            changed(&pointer, value),
            [(control, Profile::Privileged)],
            "{pointer}"
        );
    }
    let added = json!({ "drop": ["ALL"], "add": ["SYS_ADMIN"] });
    let found = changed(&format!("{context}/capabilities"), added);
    assert!(
        found.contains(&("Capabilities", Profile::Privileged)),
        "{found:?}"
    );
}

#[test]
fn each_control_of_restricted_is_seen() {
    let context = "/spec/containers/0/securityContext";
    for (pointer, value, control) in [
        (
            "/spec/volumes/-".to_owned(),
            json!({ "name": "x", "nfs": { "server": "a", "path": "/" } }),
            "Volume Types",
        ),
        (
            format!("{context}/allowPrivilegeEscalation"),
            json!(true),
            "Privilege Escalation",
        ),
        (
            format!("{context}/runAsNonRoot"),
            json!(false),
            "Running as Non-root",
        ),
        (
            format!("{context}/runAsUser"),
            json!(0),
            "Running as Non-root user",
        ),
        (
            "/spec/securityContext/runAsUser".into(),
            json!(0),
            "Running as Non-root user",
        ),
        (
            format!("{context}/capabilities"),
            json!({ "drop": ["CHOWN"] }),
            "Capabilities",
        ),
        (
            format!("{context}/capabilities"),
            json!({ "drop": ["ALL"], "add": ["CHOWN"] }),
            "Capabilities",
        ),
        (
            "/spec/securityContext/seccompProfile".into(),
            json!(null),
            "Seccomp",
        ),
    ] {
        assert_eq!(
            changed(&pointer, value),
            [(control, Profile::Baseline)],
            "{pointer}"
        );
    }
}

#[test]
fn what_the_standard_lets_pass_is_let_pass() {
    let context = "/spec/containers/0/securityContext";
    for (pointer, value) in [
        (
            format!("{context}/capabilities"),
            json!({ "drop": ["ALL"], "add": ["NET_BIND_SERVICE"] }),
        ),
        (
            format!("{context}/seccompProfile"),
            json!({ "type": "Localhost", "localhostProfile": "a" }),
        ),
        (
            format!("{context}/seLinuxOptions"),
            json!({ "type": "container_t", "level": "s0" }),
        ),
        (format!("{context}/runAsUser"), json!(1)),
        (
            "/spec/securityContext/sysctls".into(),
            json!([{ "name": "net.ipv4.tcp_wmem", "value": "1" }]),
        ),
        ("/spec/hostNetwork".into(), json!(false)),
        (
            "/spec/containers/0/ports".into(),
            json!([{ "containerPort": 1, "hostPort": 0 }]),
        ),
    ] {
        assert_eq!(changed(&pointer, value), [], "{pointer}");
    }
}
