//! Each setting of the service has an effect. Those of addresses and styles of URLs are read by the command `serve` and by
//! `style::choose`, whose own tests hold them.

use std::collections::BTreeSet;
use std::time::Duration;

use podbay_config::{Section, settings};
use podbay_exec_proxy::api::WarmConfigs;
use podbay_fake_cluster::{ImageTrouble, Script, ScriptedCluster, Trouble};
use serde_json::json;
use tokio::time::Instant;

use crate::agents;
use crate::world::{ALICE, World, stock};

/// Where each setting's effect is tested.
const TESTED: &[(&str, &str)] = &[
    (
        "serve.listen",
        "style.rs, keys/source.rs, and by each test that runs the program",
    ),
    ("serve.domain", "style.rs"),
    ("serve.url_style", "style.rs"),
    ("serve.url_scheme", "style.rs"),
    ("serve.url_separator", "style.rs"),
    ("serve.ports", "routing/ports.rs"),
    ("serve.tls_cert_file", "listen/settings.rs"),
    ("serve.tls_private_key_file", "listen/settings.rs"),
    ("serve.behind_proxy", "style.rs, and listen/settings.rs"),
    ("serve.browser_secret_file", "routing/entry/secret.rs"),
    ("serve.hold_starting_seconds", "routing/settings.rs"),
    ("serve.hold_waking_seconds", "routing/settings.rs"),
    ("serve.wake", "routing/settings.rs"),
    ("serve.max_connections", "listen/settings.rs"),
    ("serve.header_timeout_seconds", "listen/settings.rs"),
    ("serve.api_body_bytes", "here"),
    ("serve.drain_seconds", "listen/settings.rs"),
    ("serve.metrics_listen", "the command's own, and telemetry.rs"),
    ("serve.log_format", "the command's own"),
    ("serve.hold_milliseconds", "here"),
    ("serve.v0_server", "here, and api/start/tests.rs"),
    ("serve.persistent", "pods.rs"),
    ("serve.adopt_unowned", "anywhere.rs"),
    ("serve.api_key", "keys/source.rs"),
    ("serve.api_key_owner", "keys/source.rs"),
    ("serve.keys", "anywhere.rs"),
    ("serve.keys_file", "keys/source.rs"),
    ("serve.resource_factor_limit", "here"),
    ("serve.pause_drain_seconds", "drain.rs"),
    ("serve.trusted_single_tenant", "routing/settings.rs"),
    ("serve.image_registries", "images.rs"),
    ("serve.private_image_registries", "images.rs"),
    ("serve.registry_auth_file", "images.rs"),
    ("serve.registry_prefix", "images.rs"),
    ("serve.warm_runtimes_file", "api/warm.rs, here"),
    ("serve.max_sessions_per_owner", "limits.rs"),
    ("serve.starts_per_minute", "limits.rs"),
    ("serve.runtime_classes", "asked_of_pods.rs"),
];

#[test]
fn each_setting_is_tested_somewhere() {
    let tested: BTreeSet<&str> = TESTED.iter().map(|(key, _)| *key).collect();
    let own = settings()
        .iter()
        .filter(|setting| setting.section == Section::Serve);
    let own: BTreeSet<&str> = own.map(|setting| setting.key.as_str()).collect();
    assert_eq!(own, tested);
}

#[tokio::test(start_paused = true)]
async fn answers_are_held_back_as_long_as_the_setting_says() {
    for hold in [0, 300, 1500] {
        let cluster = ScriptedCluster::new();
        cluster.script(|_| true, Script::stuck(Trouble::Image(ImageTrouble::Unreachable)));
        let world = World::on(&cluster, |config| config.hold_milliseconds = hold);
        let begun = Instant::now();
        world.start(&stock("s", "debian:12")).await;
        let took = begun.elapsed();
        let hold = Duration::from_millis(hold);
        assert!(
            took >= hold && took < hold + Duration::from_millis(400),
            "{hold:?}: {took:?}"
        );
        let begun = Instant::now();
        world.get("/sessions/s").await;
        let took = begun.elapsed();
        assert!(
            took >= hold && took < hold + Duration::from_millis(400),
            "{hold:?}: {took:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn resources_are_multiplied_up_to_the_limit() {
    let cluster = ScriptedCluster::new();
    agents::answer(&cluster, || true);
    for (limit, expected) in [(8, 8), (2, 2), (1, 1)] {
        let world = World::on(&cluster, |config| config.resource_factor_limit = limit);
        let mut body = stock(&format!("s{limit}"), "debian:12");
        body["resource_factor"] = json!(8);
        assert_eq!(world.start(&body).await["resource_factor"], expected);
    }
}

#[tokio::test]
async fn warm_runtimes_are_those_of_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = r#"{"configs": [{"name": "v1_current", "image": "debian:12", "working_dir": "/w"}]}"#;
    std::fs::write(file.path(), text).unwrap();
    let world = World::here(|_| {}).await;
    assert_eq!(
        world.get("/api/warm-runtime-configs").await,
        (200, json!({"configs": []}))
    );
    let warm = WarmConfigs::of_file(file.path()).unwrap();
    let world = World {
        api: world.api.with_warm_configs(warm),
        ..world
    };
    let (status, body) = world.get("/api/warm-runtime-configs").await;
    let config = &body["configs"][0];
    assert_eq!(
        (status, &config["name"], &config["image"]),
        (200, &json!("v1_current"), &json!("debian:12"))
    );
    assert!(
        config["command"].is_null() && config["environment"].is_object(),
        "{body}"
    );
}

#[tokio::test]
async fn an_image_s_own_v0_server_is_run_where_the_setting_says_so() {
    for (word, port) in [("agent", 60_000), ("debian:*", 60_000), ("other:*", 60_000)] {
        let cluster = ScriptedCluster::new();
        agents::answer(&cluster, || true);
        let world = World::on(&cluster, |config| config.v0_server = vec![word.to_owned()]);
        let session = world.start(&stock("s", "debian:12")).await;
        assert_eq!(session["kind"], "v0", "{word}");
        let id = session["runtime_id"].as_str().unwrap().parse().unwrap();
        let spec = world.podbay.look_for(&id).await.unwrap().unwrap().record.spec;
        let by_image = spec.server().map(podbay_manifests::ServerSpec::port);
        assert_eq!(by_image.is_some(), word == "debian:*", "{word}");
        assert_eq!(by_image.or(spec.actions()), Some(port), "{word}");
    }
}

#[tokio::test]
async fn a_body_has_no_more_bytes_than_the_setting_says() {
    let world = World::here(|config| config.api_body_bytes = 1024).await;
    let body = |bytes: usize| format!("{{\"runtime_id\": null, \"x\": \"{}\"}}", "x".repeat(bytes));
    let (status, _) = world.ask("POST", "/stop", &[ALICE], &body(900)).await;
    assert_eq!(status, 200);
    let (status, told) = world.ask("POST", "/stop", &[ALICE], &body(1024)).await;
    assert_eq!(status, 413);
    assert!(told["detail"].as_str().unwrap().contains("1024 bytes"), "{told}");
}
