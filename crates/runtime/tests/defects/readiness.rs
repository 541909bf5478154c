//! Readiness: defects 12 to 15.

use std::time::Duration;

use futures::future::join_all;
use podbay_config::Config;
use podbay_fake_cluster::{
    Fault, ImageTrouble, Incident, On, Operation, Script, ScriptedCluster, Trouble, Unschedulable,
};
use podbay_k8s_client::{ErrorKind, Kind, Object};
use podbay_manifests::ServerKind;
use podbay_protocol::{Blame, Cause, ErrorCode};
use podbay_runtime::{Error, SessionRequest};
use serde_json::json;
use tokio::time::Instant;

use crate::objects::Rendered;
use crate::support::IMAGE;
use crate::test_client::{TestClient, configured, kind_of, settle};

/// A session with a server, which is ready when its probe has succeeded, not when its container runs.
fn with_server() -> SessionRequest {
    SessionRequest {
        image: Some(IMAGE.into()),
        server: Some(ServerKind::Image),
        ..SessionRequest::default()
    }
}

/// Each session polled its pod every 2 s: as many pollers as sessions.
#[tokio::test(start_paused = true)]
async fn defect_12_all_waiting_sessions_of_a_process_share_one_watch() {
    const SESSIONS: usize = 50;
    let client = TestClient::new();
    // Ten polls of each, as it was.
    client
        .cluster
        .script(Script::ready().pull_for(Duration::from_secs(20)));
    let opening = (0..SESSIONS).map(|number| client.session(&format!("s{number}")).open());
    for opened in join_all(opening).await {
        opened.unwrap();
    }
    let count = |operation, kind| {
        let counts = client.calls.counts();
        counts.get(&(operation, Some(kind))).copied().unwrap_or_default()
    };
    assert_eq!(count(Operation::Watch, Kind::Pod), 1);
    assert_eq!(
        count(Operation::Get, Kind::NetworkPolicy),
        1,
        "whether the shared policy is there"
    );
    assert_eq!(client.calls.reads(), 1, "{:?}", client.calls.counts());
    // Record, Secret and pod of each, and the policy of all.
    assert_eq!(client.calls.writes(), 3 * SESSIONS + 1);
}

/// 429 was an error like any other, in the middle of a start that then was left as it was. The client that speaks HTTP
/// waits as long as the server asks and tries again, which its own tests show; what it gives up on comes here.
#[tokio::test(start_paused = true)]
async fn defect_12_throttling_is_told_with_the_servers_wait_and_leaves_nothing() {
    let wait = Duration::from_secs(7);
    for kind in [Kind::ConfigMap, Kind::Secret, Kind::Pod] {
        let client = TestClient::new();
        let on = On::any().operation(Operation::Create).kind(kind).nth(0);
        client.calls.inject(on, Fault::too_many_requests(wait));
        let error = client.session("s").open().await.unwrap_err();
        let retry_after = Some(wait);
        assert_eq!(kind_of(&error), Some(ErrorKind::TooManyRequests { retry_after }));
        assert_eq!(error.code(), ErrorCode::Unavailable);
        assert!(error.hint().is_some());
        settle().await;
        client.cluster.assert_empty("after throttling");
        client.session("s").open().await.unwrap();
    }
}

/// What a session that can't start is told, and how soon.
struct Hopeless {
    state: &'static str,
    script: Script,
    cause: Cause,
    /// How long the configuration bears it.
    grace: u64,
    /// Words of the cluster's.
    says: &'static str,
}

fn hopeless() -> Vec<Hopeless> {
    let config = Config::default().podbay;
    let case = |state, script, cause, grace, says| Hopeless {
        state,
        script,
        cause,
        grace,
        says,
    };
    let image = |trouble| Script::stuck(Trouble::Image(trouble));
    // What ends before the server has answered.
    let unready = || Script::ready().ready_after(Duration::from_secs(3600));
    let ends = |incident| unready().then(Duration::from_secs(1), incident);
    let soon = 1;
    vec![
        case(
            "ErrImagePull",
            image(ImageTrouble::NotFound),
            Cause::ImageNotFound,
            soon,
            "not found",
        ),
        case(
            "ErrImagePull",
            image(ImageTrouble::Denied),
            Cause::ImageDenied,
            soon,
            "pull access denied",
        ),
        case(
            "ImagePullBackOff",
            image(ImageTrouble::Unreachable),
            Cause::ImagePull,
            config.image_pull_grace_seconds,
            "failed to",
        ),
        case(
            "InvalidImageName",
            image(ImageTrouble::InvalidName),
            Cause::ImageInvalid,
            soon,
            "",
        ),
        case(
            "CreateContainerConfigError",
            Script::stuck(Trouble::Config {
                message: "secret \"x\" not found".to_owned(),
            }),
            Cause::ContainerConfig,
            config.config_error_grace_seconds,
            "secret \"x\" not found",
        ),
        case(
            "Unschedulable",
            Script::stuck(Trouble::Unschedulable(Unschedulable::NodeSelector)),
            Cause::NodeMismatch,
            config.unschedulable_grace_seconds,
            "0/3 nodes are available",
        ),
        case(
            "Unschedulable",
            Script::stuck(Trouble::Unschedulable(Unschedulable::Taint {
                taint: "gpu: only".to_owned(),
            })),
            Cause::Taint,
            config.unschedulable_grace_seconds,
            "untolerated taint {gpu: only}",
        ),
        case(
            "Unschedulable",
            Script::stuck(Trouble::Unschedulable(Unschedulable::Full {
                resource: "cpu".to_owned(),
            })),
            Cause::Capacity,
            config.capacity_grace_seconds,
            "Insufficient cpu",
        ),
        case(
            "OOMKilled",
            ends(Incident::OutOfMemory),
            Cause::OutOfMemory,
            soon,
            "memory limit",
        ),
        case(
            "Failed",
            ends(Incident::Exit { code: 3 }),
            Cause::Exited,
            soon,
            "exit code 3",
        ),
        case(
            "Failed",
            ends(Incident::Evict {
                message: "The node was low on resource: memory.".to_owned(),
            }),
            Cause::Evicted,
            soon,
            "The node was low on resource: memory.",
        ),
    ]
}

/// Whatever was wrong, the full 300 s were waited and the phase alone reported.
#[tokio::test(start_paused = true)]
async fn defect_13_each_hopeless_state_is_a_verdict_within_its_grace_time() {
    for Hopeless {
        state,
        script,
        cause,
        grace,
        says,
    } in hopeless()
    {
        let client = TestClient::new();
        client.cluster.script(script);
        let begun = Instant::now();
        let opened = client.podbay.session("s").request(with_server()).open().await;
        let error = opened.unwrap_err();
        let Error::Start { verdict, .. } = &error else {
            panic!("{state}: {error:?}");
        };
        assert_eq!(verdict.cause, cause, "{state}: {verdict}");
        assert!(verdict.message.contains(says), "{state}: {verdict}");
        assert!(!verdict.hint.to_string().is_empty(), "{state}");
        assert!(grace <= 60, "{state}: {grace} s is no short time by default");
        // The pod's own second before it ends, and the rest of what makes a pod.
        let most = Duration::from_secs(grace + 2);
        assert!(begun.elapsed() <= most, "{state}: {:?}", begun.elapsed());
        settle().await;
        client.cluster.assert_empty(state);
    }
}

/// The same for a crash loop. A session's container is not started again when it ends, which a pod template can't change;
/// an admission webhook can.
#[tokio::test(start_paused = true)]
async fn defect_13_a_crash_loop_is_a_verdict_too() {
    let config = configured("[kubernetes]\npod_template = { spec = { restartPolicy = \"Always\" } }");
    let error = TestClient::with(config).session("s").open().await.unwrap_err();
    assert!(matches!(error, Error::Spec { .. }), "{error:?}");

    let client = TestClient::new();
    let never = Script::ready().ready_after(Duration::from_secs(36_000));
    client.cluster.script(never);
    let opening = tokio::spawn(client.podbay.session("s").request(with_server()).open());
    settle().await;
    let mut pod = client.pod("s").to_json().unwrap();
    let words = "back-off 10s restarting failed container=runtime pod=s";
    pod["status"]["containerStatuses"][0]["state"] =
        json!({"waiting": {"reason": "CrashLoopBackOff", "message": words}});
    let begun = Instant::now();
    let pod = Object::from_json(Kind::Pod, pod).unwrap();
    client.cluster.scripted.raw().update_status(&pod).unwrap();
    let error = opening.await.unwrap().unwrap_err();
    let verdict = error.verdict().unwrap_or_else(|| panic!("{error:?}"));
    // No task has run that could be to blame.
    assert_eq!(
        (verdict.cause, verdict.blame),
        (Cause::Exited, Blame::Configuration)
    );
    assert_eq!(verdict.message, words);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    settle().await;
    client.cluster.assert_empty("after a crash loop");
}

/// Two or three waits of 300 s were nested, none of them a setting; `remote_runtime_init_timeout` was ignored.
#[tokio::test(start_paused = true)]
async fn defect_14_there_is_one_wait_and_it_is_a_setting() {
    for (settings, seconds) in [
        ("", 300),
        ("[podbay]\nstart_timeout_seconds = 42", 42),
        ("[sandbox]\nremote_runtime_init_timeout = 100", 100),
        (
            "[sandbox]\nremote_runtime_init_timeout = 100\n[podbay]\nstart_timeout_seconds = 42",
            42,
        ),
    ] {
        let config = configured(&format!(
            "[kubernetes]\ncleanup_policy = \"keep_on_failure\"\n{settings}"
        ));
        let cluster = ScriptedCluster::new();
        // Nothing is wrong with it; it takes longer than anybody waits.
        cluster.script(|_| true, Script::ready().pull_for(Duration::from_secs(36_000)));
        // The session that is made, and the same attached to by another process while it still starts.
        for attached in [false, true] {
            let client = TestClient::on(&cluster, config.clone());
            let begun = Instant::now();
            let error = client.session("s").open().await.unwrap_err();
            let verdict = error.verdict().unwrap_or_else(|| panic!("{error:?}"));
            assert_eq!(verdict.cause, Cause::Deadline, "{settings}");
            let waited = begun.elapsed().as_secs_f64();
            let bound = f64::from(seconds);
            assert!(
                (bound..bound + 1.0).contains(&waited),
                "{settings:?}, attached: {attached}: {waited} s"
            );
        }
    }
}

/// The first probe came after 5 s and the next 10 s later, so a start took up to 10 s more than its server.
#[tokio::test(start_paused = true)]
async fn defect_15_a_server_that_is_up_is_seen_within_a_second() {
    for server in ServerKind::ALL.iter().copied() {
        let request = SessionRequest {
            server: Some(server),
            ..SessionRequest::default()
        };
        let rendered = Rendered::of(Config::default(), request);
        let container = rendered.container();
        assert_eq!(container["startupProbe"]["periodSeconds"], 1, "{server}");
        for probe in ["startupProbe", "readinessProbe"] {
            assert!(container[probe].is_object(), "{server}: no {probe}");
            assert!(
                container[probe]["initialDelaySeconds"].is_null(),
                "{server} {probe}"
            );
        }
    }
    // A session without a server has no probe to wait for at all.
    let rendered = Rendered::of(Config::default(), SessionRequest::default());
    assert!(rendered.container()["startupProbe"].is_null());
    assert!(rendered.container()["readinessProbe"].is_null());
    let client = TestClient::new();
    let begun = Instant::now();
    client.session("s").open().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
