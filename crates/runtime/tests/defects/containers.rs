//! A session's pod may have other containers than the session's own: sidecars of a pod template or of an admission webhook,
//! init containers. The session's is judged by its name, and init containers are judged because it waits for them.

use std::time::Duration;

use podbay_config::Config;
use podbay_fake_cluster::{ImageTrouble, Incident, Provisioning, Script, Trouble};
use podbay_k8s_client::Kind;
use podbay_manifests::ServerKind;
use podbay_protocol::{Blame, Cause, Retry, Verdict};
use podbay_runtime::{Error, SessionRequest};
use tokio::time::Instant;

use crate::support::{IMAGE, NAMESPACE};
use crate::test_client::{TestClient, configured, settle, takes_commands};

/// A sidecar whose name the kubelet sorts before the session's container, or after it.
const NAMES: [&str; 2] = ["a-sidecar", "z-sidecar"];

const RESTRICTED: &str =
    "securityContext = { allowPrivilegeEscalation = false, capabilities = { drop = [\"ALL\"] } }";

fn with_sidecar(name: &str) -> Config {
    configured(&format!(
        "[kubernetes.pod_template.spec]\ncontainers = [{{ name = \"{name}\", image = \"mesh\", {RESTRICTED} }}]"
    ))
}

/// A template with one init container; `policy` is its own restart policy.
fn with_init(policy: &str) -> Config {
    configured(&format!(
        "[kubernetes.pod_template.spec]\ninitContainers = [{{ name = \"prepare\", image = \"tools\", {policy} {RESTRICTED} }}]"
    ))
}

fn server() -> SessionRequest {
    SessionRequest {
        image: Some(IMAGE.into()),
        server: Some(ServerKind::Image),
        ..SessionRequest::default()
    }
}

/// Opens a session that can't start, and returns why and how long that took.
async fn refused(client: &TestClient, request: SessionRequest) -> (Verdict, Duration) {
    let begun = Instant::now();
    let error = client
        .podbay
        .session("s")
        .request(request)
        .open()
        .await
        .unwrap_err();
    let took = begun.elapsed();
    let Error::Start { verdict, .. } = error else {
        panic!("{error:?}");
    };
    settle().await;
    client.cluster.assert_empty("after a start that failed");
    (*verdict, took)
}

fn told(verdict: &Verdict) -> (Cause, Blame, Retry) {
    (verdict.cause, verdict.blame, verdict.retry)
}

const AT_ONCE: Duration = Duration::from_secs(3);

#[tokio::test(start_paused = true)]
async fn the_sessions_container_is_the_one_whose_exit_is_told() {
    for name in NAMES {
        let client = TestClient::with(with_sidecar(name));
        let exits = Script::exits(3)
            .log("no license\n")
            .ready_after(Duration::from_secs(3600));
        client.cluster.script(exits);
        let (verdict, took) = refused(&client, server()).await;
        // No task has run that could be to blame.
        assert_eq!(
            told(&verdict),
            (Cause::Exited, Blame::Configuration, Retry::Never),
            "{name}"
        );
        assert!(verdict.message.contains("exit code 3"), "{name}: {verdict}");
        assert!(verdict.message.ends_with("no license"), "{name}: {verdict}");
        assert!(took < AT_ONCE, "{name}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_sessions_container_is_the_one_whose_image_and_memory_are_judged() {
    for name in NAMES {
        let client = TestClient::with(with_sidecar(name));
        client
            .cluster
            .script(Script::stuck(Trouble::Image(ImageTrouble::NotFound)));
        let (verdict, took) = refused(
            &client,
            SessionRequest {
                server: None,
                ..server()
            },
        )
        .await;
        assert_eq!(verdict.cause, Cause::ImageNotFound, "{name}: {verdict}");
        assert!(took < AT_ONCE, "{name}: {took:?}");

        let killed = Script::ready()
            .ready_after(Duration::from_secs(3600))
            .then(Duration::from_secs(1), Incident::OutOfMemory);
        client.cluster.script(killed);
        let (verdict, took) = refused(&client, server()).await;
        assert_eq!(
            told(&verdict),
            (Cause::OutOfMemory, Blame::Configuration, Retry::MoreResources),
            "{name}"
        );
        assert!(took < AT_ONCE, "{name}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_cannot_start_ends_or_is_not_ready_fails_no_session() {
    for name in NAMES {
        let bad_image = Script::stuck(Trouble::Image(ImageTrouble::NotFound));
        let exits = Script::exits(1);
        let unready = Script::ready().then(Duration::from_millis(1), Incident::Ready(false));
        for (what, script) in [("image", bad_image), ("exit", exits), ("readiness", unready)] {
            for request in [
                server(),
                SessionRequest {
                    server: None,
                    ..server()
                },
            ] {
                let client = TestClient::with(with_sidecar(name));
                client.cluster.script(script.clone().container(name));
                let session = client.podbay.session("s").request(request).open().await;
                let session = session.unwrap_or_else(|error| panic!("{name}, {what}: {error:?}"));
                settle().await;
                assert!(takes_commands(&session).await, "{name}, {what}");
                let described = session.describe().await.unwrap();
                let status = described.summary.state.as_str();
                assert_eq!(status, "Ready", "{name}, {what}");
            }
        }
    }
}

/// Beside a sidecar that goes on, the pod's phase stays `Running` when the session's container has ended.
#[tokio::test(start_paused = true)]
async fn a_session_that_ended_beside_a_sidecar_is_lost_and_made_anew() {
    for name in NAMES {
        let client = TestClient::with(with_sidecar(name));
        let session = client.session("s").open().await.unwrap();
        let first = client.pod("s").uid().to_owned();
        let pod = client.pod("s").key().name;
        client.cluster.scripted.exit(NAMESPACE, &pod, 137).unwrap();
        settle().await;
        let described = session.describe().await.unwrap();
        assert_eq!(described.summary.state.as_str(), "Lost", "{name}");
        // A kill that is not the pod's deletion is an end as any other.
        assert_eq!(
            described.verdict.map(|verdict| verdict.cause),
            Some(Cause::Exited),
            "{name}"
        );
        let session = client.session("s").open().await.unwrap();
        assert!(takes_commands(&session).await, "{name}");
        assert_ne!(client.pod("s").uid(), first, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_init_containers_image_is_judged_as_the_sessions_own() {
    for (trouble, cause) in [
        (ImageTrouble::NotFound, Cause::ImageNotFound),
        (ImageTrouble::Denied, Cause::ImageDenied),
        (ImageTrouble::Unreachable, Cause::ImagePull),
    ] {
        let client = TestClient::with(with_init(""));
        let stuck = Script::stuck(Trouble::Image(trouble)).container("prepare");
        client.cluster.script(stuck);
        let (verdict, took) = refused(
            &client,
            SessionRequest {
                server: None,
                ..server()
            },
        )
        .await;
        assert_eq!(verdict.cause, cause, "{verdict}");
        assert!(
            verdict.message.starts_with("init container \"prepare\": "),
            "{verdict}"
        );
        let grace = if cause == Cause::ImagePull {
            Config::default().podbay.image_pull_grace_seconds
        } else {
            0
        };
        assert!(took < AT_ONCE + Duration::from_secs(grace), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_init_container_that_fails_is_named_with_its_code_and_last_words() {
    let client = TestClient::with(with_init(""));
    let fails = Script::stuck(Trouble::Init { index: 0, code: 3 })
        .container("prepare")
        .log("no such branch\n");
    client.cluster.script(fails);
    let (verdict, took) = refused(
        &client,
        SessionRequest {
            server: None,
            ..server()
        },
    )
    .await;
    assert_eq!(
        told(&verdict),
        (Cause::Exited, Blame::Configuration, Retry::Never)
    );
    assert!(
        verdict
            .message
            .starts_with("init container \"prepare\" ended with exit code 3"),
        "{verdict}"
    );
    assert!(verdict.message.ends_with("no such branch"), "{verdict}");
    assert!(took < AT_ONCE, "{took:?}");
}

/// The kubelet takes it for failed, although it ended with 0, and leaves the pod `Pending`.
#[tokio::test(start_paused = true)]
async fn an_init_container_whose_child_was_killed_for_memory_is_out_of_memory() {
    for code in [0, 137] {
        let client = TestClient::with(with_init(""));
        let killed = Script::stuck(Trouble::InitOutOfMemory { index: 0, code }).container("prepare");
        client.cluster.script(killed);
        let (verdict, took) = refused(
            &client,
            SessionRequest {
                server: None,
                ..server()
            },
        )
        .await;
        assert_eq!(
            told(&verdict),
            (Cause::OutOfMemory, Blame::Configuration, Retry::Never),
            "{code}"
        );
        assert!(verdict.message.contains("OOMKilled"), "{verdict}");
        assert!(took < AT_ONCE, "{took:?}");
    }
}

/// An init container that goes on beside the session's may recover; one that is started again and again does not.
#[tokio::test(start_paused = true)]
async fn an_init_container_that_is_started_again_and_again_has_a_grace() {
    let client = TestClient::with(with_init("restartPolicy = \"Always\","));
    let loops = Script::stuck(Trouble::Init { index: 0, code: 1 }).container("prepare");
    client.cluster.script(loops);
    let (verdict, took) = refused(
        &client,
        SessionRequest {
            server: None,
            ..server()
        },
    )
    .await;
    assert_eq!(
        told(&verdict),
        (Cause::Exited, Blame::Configuration, Retry::Never)
    );
    assert!(
        verdict.message.contains("restarting failed container=prepare"),
        "{verdict}"
    );
    assert!(took < Duration::from_secs(60), "{took:?}");

    let recovers = Script::ready()
        .trouble_for(Trouble::Init { index: 0, code: 1 }, Duration::from_secs(2))
        .container("prepare");
    client.cluster.script(recovers);
    client.session("s").open().await.unwrap();
}

/// An init container that was stopped with the pod, after the session's had run, tells nothing.
#[tokio::test(start_paused = true)]
async fn an_init_container_is_not_judged_once_the_session_has_started() {
    let client = TestClient::with(with_init("restartPolicy = \"Always\","));
    let session = client.session("s").open().await.unwrap();
    let mut pod = client.pod("s").to_json().unwrap();
    pod["status"]["initContainerStatuses"][0]["state"] =
        serde_json::json!({"terminated": {"exitCode": 3, "reason": "Error"}});
    let pod = podbay_k8s_client::Object::from_json(Kind::Pod, pod).unwrap();
    client.cluster.scripted.raw().update_status(&pod).unwrap();
    assert_eq!(session.describe().await.unwrap().verdict, None);
    assert!(takes_commands(&session).await);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_disk_is_the_tasks_as_one_of_memory_is() {
    for message in [
        "Pod ephemeral local storage usage exceeds the total limit of containers 20Mi. ",
        "Usage of EmptyDir volume \"workspace\" exceeds the limit \"64Mi\". ",
    ] {
        let client = TestClient::new();
        let session = client.session("s").open().await.unwrap();
        let pod = client.pod("s").key().name;
        let evict = Incident::Evict {
            message: message.to_owned(),
        };
        client.cluster.scripted.happen(NAMESPACE, &pod, &evict).unwrap();
        settle().await;
        let verdict = session.describe().await.unwrap().verdict.unwrap();
        assert_eq!(
            told(&verdict),
            (Cause::Evicted, Blame::Task, Retry::MoreResources),
            "{message}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_storage_class_that_is_not_there_is_told_in_seconds_and_not_tried_again() {
    let client = TestClient::with(configured("[kubernetes]\npvc_storage_class = \"nosuch\""));
    let message = "storageclass.storage.k8s.io \"nosuch\" not found";
    client.cluster.scripted.provision_with(move |_| {
        Some(Provisioning::Fails {
            message: message.to_owned(),
        })
    });
    let request = SessionRequest {
        persistent: Some(true),
        server: None,
        ..server()
    };
    let begun = Instant::now();
    let error = client
        .podbay
        .session("s")
        .request(request)
        .open()
        .await
        .unwrap_err();
    let took = begun.elapsed();
    let verdict = error.verdict().unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(
        told(verdict),
        (Cause::ClaimPending, Blame::Configuration, Retry::Never)
    );
    assert!(verdict.message.contains(message), "{verdict}");
    assert!(
        verdict.hint.to_string().contains("kubernetes.pvc_storage_class"),
        "{}",
        verdict.hint
    );
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_never_pulled_is_not_said_to_want_pushing() {
    let client = TestClient::with(configured("[kubernetes]\npull_policy = \"Never\""));
    client
        .cluster
        .script(Script::stuck(Trouble::Image(ImageTrouble::NeverPresent)));
    let (verdict, _) = refused(
        &client,
        SessionRequest {
            server: None,
            ..server()
        },
    )
    .await;
    assert_eq!(verdict.cause, Cause::ImageNotFound);
    assert!(
        verdict
            .hint
            .to_string()
            .contains("not on the node, and is never pulled"),
        "{}",
        verdict.hint
    );
}
