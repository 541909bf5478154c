//! Missing configuration: defects 23 to 30.

use std::collections::BTreeMap;
use std::ffi::OsString;

use podbay_config::{Config, Origin};
use podbay_k8s_client::{Cluster, Kind};
use podbay_manifests::ServerKind;
use podbay_runtime::{Backend, BackendKind, Error, Podbay, SessionRequest};
use serde_json::{Value, json};

use crate::objects::{Rendered, assert_has, strings};
use crate::support::NAMESPACE;
use crate::test_client::{TestClient, configured, full};

/// The objects of a session that asks for nothing, with this `[kubernetes]`.
fn with(kubernetes: &str) -> Rendered {
    let config = configured(&format!("[kubernetes]\n{kubernetes}"));
    Rendered::of(config, SessionRequest::default())
}

/// The same, of a session with a server, a port and VS Code.
fn exposed(kubernetes: &str) -> Rendered {
    Rendered::of(configured(&format!("[kubernetes]\n{kubernetes}")), full())
}

/// There was no CPU limit, no ephemeral storage, no GPU and no extended resource.
#[tokio::test]
async fn defect_23_every_resource_can_be_asked_for_and_limited() {
    let rendered = Rendered::of(
        configured(
            r#"
            [kubernetes]
            resource_cpu_request = "500m"
            resource_cpu_limit = "2"
            resource_ephemeral_storage_request = "1Gi"
            resource_ephemeral_storage_limit = "4Gi"
            extended_resources = { "example.com/fpga" = 1 }
            gpu_resource_name = "amd.com/gpu"
            [sandbox]
            enable_gpu = true
            cuda_visible_devices = "0,1"
            "#,
        ),
        SessionRequest::default(),
    );
    assert_has(
        &rendered.container()["resources"],
        &json!({
            "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "1Gi",
                "example.com/fpga": "1", "amd.com/gpu": "2"},
            "limits": {"cpu": "2", "memory": "2Gi", "ephemeral-storage": "4Gi",
                "example.com/fpga": "1", "amd.com/gpu": "2"},
        }),
    );
}

/// An Ingress had no class, no annotations and no labels of the user's, and there was no Gateway API.
#[tokio::test]
async fn defect_24_ingress_class_annotations_and_a_gateway_can_be_set() {
    let config = configured(
        r#"
        [kubernetes]
        ingress_class = "nginx"
        ingress_annotations = { "nginx.ingress.kubernetes.io/proxy-body-size" = "0" }
        "#,
    );
    let request = SessionRequest {
        labels: [("team".to_owned(), "evaluation".to_owned())].into(),
        ..full()
    };
    let rendered = Rendered::of(config, request);
    assert_eq!(rendered.all("Ingress").len(), 2);
    for ingress in rendered.all("Ingress") {
        assert_has(
            ingress,
            &json!({
                "metadata": {
                    "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "0"},
                    "labels": {"team": "evaluation"},
                },
                "spec": {"ingressClassName": "nginx"},
            }),
        );
    }

    let rendered = exposed("gateway = \"infra/public/https\"\ningress_domain = \"sandboxes.example\"");
    assert_eq!(rendered.all("Ingress"), Vec::<&Value>::new());
    let routes = rendered.all("HTTPRoute");
    assert!(!routes.is_empty());
    for route in routes {
        assert_has(
            &route["spec"],
            &json!({"parentRefs": [{"name": "public", "namespace": "infra", "sectionName": "https"}]}),
        );
        for host in strings(&route["spec"]["hostnames"]) {
            assert!(host.ends_with(".sandboxes.example"), "{host}");
        }
    }
}

/// There was no service account, runtime class, priority class, affinity, topology spread, security context, pull policy,
/// host alias, DNS configuration, further volume, init container or pod template.
#[tokio::test]
async fn defect_25_whatever_a_pod_can_have_can_be_set() {
    let rendered = with(
        r#"
        service_account = "sandbox"
        automount_service_account_token = true
        runtime_class = "gvisor"
        priority_class = "low"
        scheduler_name = "volcano"
        pull_policy = "Always"
        run_as_user = 1234
        run_as_group = 1235
        fs_group = 1236
        supplemental_groups = [1237]
        read_only_root_filesystem = false
        affinity = { podAntiAffinity = { requiredDuringSchedulingIgnoredDuringExecution = [
            { topologyKey = "kubernetes.io/hostname", labelSelector = { matchLabels = { app = "openhands-runtime" } } }
        ] } }
        volumes = [{ name = "data", persistentVolumeClaim = { claimName = "data" } }]
        volume_mounts = [{ name = "data", mountPath = "/data", readOnly = true }]
        host_aliases = [{ ip = "192.0.2.1", hostnames = ["registry.example"] }]

        [[kubernetes.topology_spread_constraints]]
        maxSkew = 1
        topologyKey = "topology.kubernetes.io/zone"
        whenUnsatisfiable = "ScheduleAnyway"

        [kubernetes.pod_template.spec]
        dnsConfig = { options = [{ name = "ndots", value = "1" }] }
        [[kubernetes.pod_template.spec.initContainers]]
        name = "prepare"
        image = "busybox:1"
        command = ["true"]
        [kubernetes.pod_template.spec.initContainers.securityContext]
        allowPrivilegeEscalation = false
        capabilities = { drop = ["ALL"] }
        "#,
    );
    let pod = rendered.pod();
    assert_has(
        pod,
        &json!({
            "serviceAccountName": "sandbox",
            "automountServiceAccountToken": true,
            "runtimeClassName": "gvisor",
            "priorityClassName": "low",
            "schedulerName": "volcano",
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname"}]}},
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}],
            "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["registry.example"]}],
            "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
            "initContainers": [{"name": "prepare", "image": "busybox:1", "command": ["true"]}],
        }),
    );
    let (pod_context, container) = (&pod["securityContext"], rendered.container());
    assert_has(
        pod_context,
        &json!({"fsGroup": 1236, "supplementalGroups": [1237]}),
    );
    let context = &container["securityContext"];
    for (field, value) in [("runAsUser", 1234), ("runAsGroup", 1235)] {
        let set = if context[field].is_null() {
            &pod_context[field]
        } else {
            &context[field]
        };
        assert_eq!(set, &json!(value), "{field}");
    }
    assert_has(
        container,
        &json!({"name": "runtime", "imagePullPolicy": "Always"}),
    );
    assert_ne!(context["readOnlyRootFilesystem"], json!(true));
    let has = |list: &Value, item: &Value| list.as_array().unwrap().contains(item);
    assert!(has(
        &pod["volumes"],
        &json!({"name": "data", "persistentVolumeClaim": {"claimName": "data"}})
    ));
    assert!(has(
        &container["volumeMounts"],
        &json!({"name": "data", "mountPath": "/data", "readOnly": true})
    ));
}

/// One pair of a node selector, one pull secret, one access mode; no snapshot and no claim of the user's own.
#[tokio::test]
async fn defect_26_selectors_pull_secrets_and_access_modes_are_many_and_claims_may_come_from_elsewhere() {
    let rendered = with(
        r#"
        node_selector_key = "pool"
        node_selector_val = "sandboxes"
        node_selector = { "kubernetes.io/arch" = "arm64", "disk" = "fast" }
        image_pull_secret = "first"
        image_pull_secrets = ["second", "third"]
        workspace_volume = "pvc"
        pvc_access_modes = ["ReadWriteMany", "ReadOnlyMany"]
        pvc_snapshot = "yesterday"
        "#,
    );
    assert_has(
        rendered.pod(),
        &json!({
            "nodeSelector": {"pool": "sandboxes", "kubernetes.io/arch": "arm64", "disk": "fast"},
            "imagePullSecrets": [{"name": "first"}, {"name": "second"}, {"name": "third"}],
        }),
    );
    assert_has(
        &rendered.the("PersistentVolumeClaim")["spec"],
        &json!({
            "accessModes": ["ReadWriteMany", "ReadOnlyMany"],
            "dataSource": {"kind": "VolumeSnapshot", "name": "yesterday"},
        }),
    );

    let rendered = with("pvc_existing_claim = \"mine\"");
    assert_eq!(rendered.all("PersistentVolumeClaim"), Vec::<&Value>::new());
    let volumes = rendered.pod()["volumes"].as_array().unwrap();
    assert!(
        volumes
            .iter()
            .any(|volume| volume["persistentVolumeClaim"]["claimName"] == "mine"),
        "{volumes:?}"
    );
}

/// A kubeconfig with two contexts; no address in it is asked for anything.
const KUBECONFIG: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "one",
    "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443", "insecure-skip-tls-verify": true}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [
        {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "first"}},
        {"name": "two", "context": {"cluster": "c", "user": "u", "namespace": "second"}}]}"#;

/// Only the credentials of a pod were read: no kubeconfig, no context, no use from outside the cluster.
#[tokio::test]
async fn defect_27_a_cluster_is_used_from_outside_by_kubeconfig_and_context() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kubeconfig");
    std::fs::write(&path, KUBECONFIG).unwrap();
    let kubeconfig = format!("[kubernetes]\nkubeconfig = {:?}\n", path.to_str().unwrap());
    for (settings, namespace) in [
        ("", "first"),
        ("context = \"two\"", "second"),
        ("context = \"two\"\nnamespace = \"other\"", "other"),
    ] {
        let config = configured(&format!("{kubeconfig}{settings}"));
        let podbay = Podbay::from_config(config).await.unwrap();
        assert_eq!(podbay.kind(), BackendKind::Cluster);
        assert_eq!(podbay.namespace(), namespace);
    }
    assert_eq!(
        Cluster::find(Some(&path), Some("two")),
        Some(Cluster::Kubeconfig {
            path: Some(path.clone()),
            context: Some("two".to_owned()),
        })
    );
    // A context that is not there is an error before anything is sent, never another cluster.
    let config = configured(&format!("{kubeconfig}context = \"three\""));
    let error = Podbay::builder(config).backend(Backend::Auto).connect().await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert!(error.chain().contains("three"), "{}", error.chain());

    // By variables too.
    let variables = BTreeMap::from([
        ("KUBERNETES_KUBECONFIG".to_owned(), path.clone().into_os_string()),
        ("KUBERNETES_CONTEXT".to_owned(), OsString::from("two")),
    ]);
    let loader = Config::loader().search(false).environment(variables);
    let config = loader.load().unwrap();
    assert_ne!(config.origin("kubernetes.context"), Origin::Default);
    let podbay = Podbay::from_config(config).await.unwrap();
    assert_eq!(podbay.namespace(), "second");
}

/// `svc.cluster.local` and all ports were written into the source.
#[tokio::test(start_paused = true)]
async fn defect_28_the_clusters_domain_and_all_ports_are_settings() {
    let config = configured(
        r#"
        [kubernetes]
        cluster_domain = "corp.example"
        ingress = false
        server_port = 9000
        app_ports = [9100, 9200]
        [sandbox]
        vscode_port = 9300
        "#,
    );
    let rendered = Rendered::of(config.clone(), full());
    let numbers = |list: &Value, field: &str| -> Vec<u64> {
        let list = list.as_array().unwrap();
        list.iter().map(|port| port[field].as_u64().unwrap()).collect()
    };
    assert_eq!(
        numbers(&rendered.container()["ports"], "containerPort"),
        [9000, 9300, 3000, 9100, 9200]
    );
    let argv = rendered.argv();
    assert!(argv.contains(&"9000"), "{argv:?}");
    let container = rendered.container();
    for probe in ["startupProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], 9000);
    }
    let services = rendered.all("Service");
    assert_eq!(
        numbers(&services[0]["spec"]["ports"], "port"),
        [9000, 3000, 9100, 9200]
    );
    assert_eq!(numbers(&services[1]["spec"]["ports"], "port"), [9300]);

    let client = TestClient::with(config);
    let session = client.full_session("s").open().await.unwrap();
    let hosts = session.web_hosts().await.unwrap();
    assert_eq!(hosts.len(), 3);
    let vscode = session.vscode_url(None).await.unwrap().unwrap();
    assert!(vscode.contains(":9300/"), "{vscode}");
    for url in hosts.keys().chain([&vscode]) {
        assert!(url.contains(".svc.corp.example:"), "{url}");
    }
}

/// What of an address a client needs: scheme, host, and the port where one stands.
fn parts(url: &str) -> (&str, &str, Option<u64>) {
    let (scheme, rest) = url.split_once("://").unwrap();
    let authority = rest.split('/').next().unwrap();
    match authority.split_once(':') {
        Some((host, port)) => (scheme, host, Some(port.parse().unwrap())),
        None => (scheme, authority, None),
    }
}

/// `web_hosts` told addresses inside the cluster, at ports that no Service had: no browser could reach them.
#[tokio::test(start_paused = true)]
async fn defect_29_every_address_has_a_service_port_and_a_host_behind_it() {
    for settings in [
        "ingress_domain = \"sandboxes.example\"",
        "ingress_domain = \"sandboxes.example\"\ningress_tls_secret = \"wildcard\"",
        "ingress = false",
    ] {
        let client = TestClient::with(configured(&format!("[kubernetes]\n{settings}")));
        let session = client.full_session("s").open().await.unwrap();
        let mut addresses: Vec<(String, Option<u16>)> = session
            .web_hosts()
            .await
            .unwrap()
            .into_iter()
            .map(|(url, port)| (url, Some(port)))
            .collect();
        assert_eq!(
            addresses.len(),
            3,
            "the port asked for, and those for applications"
        );
        addresses.push((session.vscode_url(Some("t")).await.unwrap().unwrap(), None));

        let raw = client.cluster.scripted.raw();
        let all = |kind| -> Vec<Value> {
            let list = raw.list(kind, NAMESPACE, "").unwrap();
            list.items
                .iter()
                .map(|object| object.to_json().unwrap())
                .collect()
        };
        let (services, ingresses) = (all(Kind::Service), all(Kind::Ingress));
        for (url, told) in addresses {
            let (scheme, host, port) = parts(&url);
            // The name of a Service and its port: in the address itself, or by the Ingress of its host.
            let (service, port) = if let Some(port) = port {
                let cluster = format!(".{NAMESPACE}.svc.cluster.local");
                (host.strip_suffix(&cluster).unwrap().to_owned(), port)
            } else {
                assert_eq!(scheme == "https", settings.contains("tls"), "{url}");
                let rules = ingresses
                    .iter()
                    .flat_map(|ingress| ingress["spec"]["rules"].as_array().unwrap());
                let rules: Vec<_> = rules.filter(|rule| rule["host"] == host).collect();
                assert_eq!(rules.len(), 1, "{host}");
                let backend = &rules[0]["http"]["paths"][0]["backend"]["service"];
                let name = backend["name"].as_str().unwrap();
                (name.to_owned(), backend["port"]["number"].as_u64().unwrap())
            };
            if let Some(told) = told {
                assert_eq!(port, u64::from(told), "{url}");
            }
            let service = services
                .iter()
                .find(|object| object["metadata"]["name"] == *service)
                .unwrap_or_else(|| panic!("{url} leads to Service {service}, which is not there"));
            let ports = service["spec"]["ports"].as_array().unwrap();
            assert!(
                ports.iter().any(|known| known["port"] == port),
                "{url}: {ports:?}"
            );
            let pod = client.pod("s").to_json().unwrap();
            for (key, value) in service["spec"]["selector"].as_object().unwrap() {
                assert_eq!(pod["metadata"]["labels"][key], *value);
            }
        }
    }
}

/// `resource_factor` meant nothing, and nothing kept a namespace from as many sessions as anybody asked for. (It also names
/// warm pools and idle culling, which are not built yet; a session beyond the limit is refused, not queued.)
#[tokio::test(start_paused = true)]
async fn defect_30_the_resource_factor_multiplies_and_sessions_are_limited() {
    let asking = |factor| SessionRequest {
        resource_factor: factor,
        server: Some(ServerKind::OpenHands),
        ..SessionRequest::default()
    };
    let resources =
        |config: Config, factor| Rendered::of(config, asking(factor)).container()["resources"].clone();
    let plain = "[kubernetes]\nresource_cpu_limit = \"2\"\nresource_ephemeral_storage_limit = \"3Gi\"";
    let doubled = json!({
        "requests": {"cpu": "2", "memory": "2Gi", "ephemeral-storage": "6Gi"},
        "limits": {"cpu": "4", "memory": "4Gi", "ephemeral-storage": "6Gi"},
    });
    assert_eq!(resources(configured(plain), Some(2)), doubled);
    let by_setting = configured(&format!("{plain}\n[sandbox]\nremote_runtime_resource_factor = 2"));
    assert_eq!(resources(by_setting.clone(), None), doubled);
    // What the session itself asks for goes before the setting.
    assert_ne!(resources(by_setting, Some(1)), doubled);

    for settings in [
        "max_concurrent_conversations = 2",
        "[kubernetes]\nmax_sessions = 2",
    ] {
        let client = TestClient::with(configured(settings));
        client.session("one").open().await.unwrap();
        client.session("two").open().await.unwrap();
        let there = client.cluster.objects();
        let error = client.session("three").open().await.unwrap_err();
        assert!(
            matches!(error, Error::TooManySessions { limit: 2, .. }),
            "{error:?}"
        );
        crate::test_client::settle().await;
        assert_eq!(client.cluster.objects(), there, "the one too many leaves nothing");
        // One that is there is not one more.
        assert!(client.session("two").open().await.unwrap().report().attached);
        client.podbay.close("one", true).await.unwrap();
        client.session("three").open().await.unwrap();
    }

    // Of several clients that come at once, no more get through than may.
    let client = TestClient::with(configured("[kubernetes]\nmax_sessions = 2"));
    let opening = (0..8).map(|number| {
        let other = TestClient::on(&client.cluster.scripted, client.podbay.config().clone());
        async move { other.session(&format!("s{number}")).open().await }
    });
    let opened = futures::future::join_all(opening).await;
    let open = opened.iter().filter(|opened| opened.is_ok()).count();
    assert_eq!(open, 2);
    crate::test_client::settle().await;
    assert_eq!(client.podbay.list("").await.unwrap().len(), 2);
}
