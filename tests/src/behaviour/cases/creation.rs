//! Creating objects: names, what the server fills in, what it does not take from a client.

use podbay_k8s_client::Kind;
use serde_json::json;

use crate::behaviour::stage::{pick, to_json};
use crate::behaviour::{Observed, Stage};

pub(super) async fn existing_name(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let first = json!({"metadata": {"name": "taken"}, "data": {"by": "the first"}});
    stage.create(Kind::ConfigMap, first).await;
    let second = json!({"metadata": {"name": "taken"}, "data": {"by": "the second"}});
    let second = stage.try_create(Kind::ConfigMap, second).await;
    seen.outcome("second", &second);
    let kept = stage.get(&stage.key(Kind::ConfigMap, "taken")).await;
    seen.note("kept", kept["data"].clone());
    // Names are free for each kind.
    let other = stage
        .try_create(Kind::Secret, json!({"metadata": {"name": "taken"}}))
        .await;
    seen.outcome("another kind", &other);
    let policy = json!({"metadata": {"name": "taken"}, "spec": {"podSelector": {}}});
    stage.create(Kind::NetworkPolicy, policy.clone()).await;
    seen.outcome(
        "a group's kind",
        &stage.try_create(Kind::NetworkPolicy, policy).await,
    );
    seen
}

pub(super) async fn no_name(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    for kind in [Kind::ConfigMap, Kind::Secret] {
        let created = stage.try_create(kind, json!({"metadata": {}})).await;
        seen.outcome(kind.name(), &created);
    }
    seen
}

pub(super) async fn generated_name(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let unnamed = json!({"metadata": {"generateName": "made-"}});
    let mut names = Vec::new();
    for _ in 0..2 {
        let created = stage.create(Kind::ConfigMap, unnamed.clone()).await;
        names.push(created.metadata().name.clone().expect("a name"));
    }
    assert_ne!(names[0], names[1]);
    for name in names {
        let suffix = name.strip_prefix("made-").expect("the prefix");
        seen.note("suffix's length", suffix.len());
        let consonants = suffix
            .chars()
            .all(|char| "bcdfghjklmnpqrstvwxz2456789".contains(char));
        seen.note("only its characters", consonants);
    }
    let named = json!({"metadata": {"generateName": "made-", "name": "given"}});
    let named = stage.create(Kind::ConfigMap, named).await;
    seen.note(
        "with both",
        pick(&to_json(&named), ["/metadata/name", "/metadata/generateName"]),
    );
    seen
}

pub(super) async fn with_version(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let versioned = json!({"metadata": {"name": "versioned", "resourceVersion": "7"}});
    seen.outcome("created", &stage.try_create(Kind::ConfigMap, versioned).await);
    seen
}

pub(super) async fn server_fields(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let mut pod = crate::behaviour::fate::Fate::NoSuchNode.pod("pretends");
    let uid = "00000000-0000-4000-8000-000000000000";
    pod["metadata"]["uid"] = json!(uid);
    pod["metadata"]["creationTimestamp"] = json!("2001-01-01T00:00:00Z");
    pod["metadata"]["deletionTimestamp"] = json!("2001-01-01T00:00:00Z");
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(7);
    pod["status"] = json!({"phase": "Succeeded", "reason": "Made up", "podIP": "192.0.2.1"});
    let pod = stage.create(Kind::Pod, pod).await;
    assert_ne!(pod.uid(), uid);
    let state = to_json(&pod);
    seen.note(
        "born then",
        state["metadata"]["creationTimestamp"] == "2001-01-01T00:00:00Z",
    );
    let fields = [
        "/metadata/deletionTimestamp",
        "/metadata/deletionGracePeriodSeconds",
        "/status/phase",
        "/status/reason",
        "/status/podIP",
    ];
    seen.note("pod", pick(&state, fields));
    let defaults = [
        "/spec/restartPolicy",
        "/spec/dnsPolicy",
        "/spec/schedulerName",
        "/spec/terminationGracePeriodSeconds",
    ];
    seen.note("pod's defaults", pick(&state, defaults));
    seen
}

pub(super) async fn secret_text(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let secret = json!({
        "metadata": {"name": "key"},
        "data": {"a": "b2xk", "b": "a2VwdA=="},
        "stringData": {"a": "new", "c": "text"},
    });
    let created = to_json(&stage.create(Kind::Secret, secret).await);
    seen.note("created", pick(&created, ["/data", "/stringData", "/type"]));
    let key = stage.key(Kind::Secret, "key");
    let patched = to_json(&stage.patch(&key, json!({"stringData": {"b": "later"}})).await);
    seen.note("patched", pick(&patched, ["/data", "/stringData"]));
    seen
}

pub(super) async fn service_address(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let service = json!({
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "x"}, "ports": [{"name": "http", "port": 8080}, {"name": "tls", "port": 443, "targetPort": "https"}]},
    });
    let created = to_json(&stage.create(Kind::Service, service).await);
    let address = created["spec"]["clusterIP"].as_str().unwrap_or_default();
    seen.note("has an address", address.parse::<std::net::IpAddr>().is_ok());
    seen.note("and a list of it", created["spec"]["clusterIPs"][0] == address);
    let defaults = [
        "/spec/type",
        "/spec/ports",
        "/spec/selector",
        "/spec/sessionAffinity",
    ];
    seen.note("service", pick(&created, defaults));
    let headless = json!({
        "metadata": {"name": "headless"},
        "spec": {"clusterIP": "None", "selector": {"app": "x"}, "ports": [{"port": 80}]},
    });
    let headless = to_json(&stage.create(Kind::Service, headless).await);
    seen.note(
        "headless",
        pick(&headless, ["/spec/clusterIP", "/spec/clusterIPs"]),
    );
    let key = stage.key(Kind::Service, "web");
    let patched = to_json(
        &stage
            .patch(&key, json!({"metadata": {"labels": {"a": "b"}}}))
            .await,
    );
    seen.note("keeps it", patched["spec"]["clusterIP"] == address);
    seen
}

pub(super) async fn network_objects(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    let ingress = json!({
        "metadata": {"name": "web"},
        "spec": {
            "ingressClassName": "absent",
            "tls": [{"hosts": ["x.example.com"], "secretName": "cert"}],
            "rules": [{"host": "x.example.com", "http": {"paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "web", "port": {"number": 8080}}},
            }]}}],
        },
    });
    let ingress = to_json(&stage.create(Kind::Ingress, ingress).await);
    seen.note("ingress", pick(&ingress, ["/spec", "/metadata/generation"]));
    let policy = json!({
        "metadata": {"name": "web"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "x"}},
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], "ports": [{"port": 53, "protocol": "UDP"}]}],
        },
    });
    let policy = to_json(&stage.create(Kind::NetworkPolicy, policy).await);
    seen.note("policy", pick(&policy, ["/spec", "/metadata/generation"]));
    let untyped = json!({
        "metadata": {"name": "untyped"},
        "spec": {"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]},
    });
    let untyped = to_json(&stage.create(Kind::NetworkPolicy, untyped).await);
    seen.note("policy without types", untyped["spec"].clone());
    seen
}
