//! The agent that is brought into the pods of sessions.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podbay_config::{AgentDelivery, AgentDial};
use podbay_fake_cluster::testing::TestCluster;
use podbay_fake_cluster::{
    ExecAnswer, ExecCall, Fault, FaultyCluster, Incident, On, Operation, Script, ScriptedCluster,
};
use podbay_k8s_client::{ExecEnd, Kind, Object};
use podbay_protocol::{Blame, Cause, DialWay};
use podbay_runtime::{Config, Error, OpenReport, Podbay};

use crate::answering::answer_proofs;
use crate::setup::{SESSION_ID, client, cluster};
use crate::support::plain;

effects! { real:
    "agent.binary" => binary;
    "agent.dial" => dial;
}

/// The smallest file that counts as a static program: a header, and one program header that is no interpreter.
fn static_program() -> Vec<u8> {
    let mut bytes = vec![0; 120];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    (bytes[18], bytes[32], bytes[54], bytes[56], bytes[64]) = (62, 64, 56, 1, 1);
    bytes
}

/// A directory with an agent.
fn agent() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent");
    std::fs::write(&path, static_program()).unwrap();
    (directory, path)
}

fn is_upload(call: &ExecCall) -> bool {
    let words = &call.request.argv;
    words.first().is_some_and(|word| word == "/bin/sh")
        && words.iter().any(|word| word == "/.podbay/podbay-agent")
}

/// What was uploaded, by each upload that asked for it.
type Uploads = Arc<Mutex<Vec<Vec<u8>>>>;

/// Takes uploads as the script in the pod does; the first ones end as `failing` says.
fn take_uploads(cluster: &ScriptedCluster, failing: Vec<ExecEnd>) -> Uploads {
    let uploads = Uploads::default();
    let (taken, failing) = (Arc::clone(&uploads), Arc::new(Mutex::new(failing)));
    cluster.answer_exec(
        is_upload,
        ExecAnswer::by(move |_, streams| {
            let (taken, failure) = (Arc::clone(&taken), failing.lock().unwrap().pop());
            async move {
                if let Some(end) = failure {
                    streams.stderr.send("the node is a pdp11\n".into()).await.unwrap();
                    return end;
                }
                streams.stdout.send("send\n".into()).await.unwrap();
                let mut bytes = Vec::new();
                let mut stdin = streams.stdin.unwrap();
                while let Some(piece) = stdin.recv().await {
                    bytes.extend_from_slice(&piece);
                }
                taken.lock().unwrap().push(bytes);
                ExecEnd::Exited { code: 0 }
            }
        }),
    );
    uploads
}

async fn open(podbay: &Podbay) -> Result<OpenReport, Error> {
    let session = podbay.session(SESSION_ID).request(plain()).open().await?;
    Ok(session.report().clone())
}

fn key(cluster: &TestCluster) -> Vec<u8> {
    let secret = cluster
        .objects()
        .into_iter()
        .find_map(Object::into_secret)
        .unwrap();
    secret.data.unwrap()["session-api-key"].0.clone()
}

/// The agent and the session's key go into the pod, in one stream that stands in no log.
async fn binary() {
    let (_directory, path) = agent();
    let cluster = cluster(Script::ready());
    let uploads = take_uploads(&cluster, Vec::new());
    answer_proofs(&cluster, || true);
    let podbay = client(&cluster, |config| config.agent.binary = Some(path));
    let session = podbay.session(SESSION_ID).request(plain()).open().await.unwrap();
    assert_eq!(session.report().without_agent, None);
    let mut expected = key(&TestCluster::on(&cluster, "default"));
    expected.push(b'\n');
    expected.extend_from_slice(&static_program());
    assert_eq!(*uploads.lock().unwrap(), [expected]);
    let agent = session.describe().await.unwrap().agent.unwrap();
    assert_eq!((agent.delivery, agent.port, agent.image), ("upload", 10022, None));
    assert_eq!(
        (agent.running, agent.dial, agent.unreachable),
        (Some(true), Some(DialWay::PortForward), None)
    );
    // Without it there is no agent, and nobody uploads.
    session.close().await.unwrap();
    let session = client(&cluster, |_| {})
        .session("other")
        .request(plain())
        .open()
        .await
        .unwrap();
    assert_eq!(session.describe().await.unwrap().agent, None);
    assert_eq!(uploads.lock().unwrap().len(), 1);
}

/// A way that is named is taken, and no other one.
async fn dial() {
    let cluster = cluster(Script::ready());
    answer_proofs(&cluster, || true);
    let with = |dial| {
        client(&cluster, |config| {
            config.agent.image = Some("registry.example/podbay-agent:1".to_owned());
            config.agent.dial = dial;
        })
    };
    let podbay = with(AgentDial::Auto);
    podbay.session(SESSION_ID).request(plain()).open().await.unwrap();
    // The agent that answers here knows no processes, and says so, by the way that leads to it.
    let failed = async |dial| {
        let session = with(dial).existing(SESSION_ID).unwrap();
        let error = Box::pin(session.exec(["true"])).await.unwrap_err();
        assert!(matches!(error, Error::Agent { .. }), "{error:?}");
        error.chain()
    };
    let by_port_forward = failed(AgentDial::Auto).await;
    assert!(by_port_forward.contains("status 404"), "{by_port_forward}");
    assert_eq!(failed(AgentDial::PortForward).await, by_port_forward);
    // No command here is a bridge.
    let by_bridge = failed(AgentDial::Stdio).await;
    assert!(by_bridge.contains("bridge"), "{by_bridge}");
}

#[tokio::test]
async fn a_session_goes_on_without_an_agent_that_could_not_be_brought_in() {
    let (_directory, path) = agent();
    let cluster = cluster(Script::ready());
    let uploads = take_uploads(&cluster, vec![ExecEnd::Exited { code: 3 }]);
    answer_proofs(&cluster, || true);
    let podbay = client(&cluster, |config| config.agent.binary = Some(path));
    let report = open(&podbay).await.unwrap();
    assert_eq!(report.without_agent.as_deref(), Some("the node is a pdp11"));
    // Whoever opens it next makes up for it, as for a creator that died.
    let report = open(&podbay).await.unwrap();
    assert!(report.attached && report.without_agent.is_none());
    assert_eq!(uploads.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_start_that_is_nothing_without_the_agent_fails_and_leaves_nothing() {
    let (_directory, path) = agent();
    let cluster = cluster(Script::ready());
    take_uploads(&cluster, vec![ExecEnd::Exited { code: 3 }]);
    let podbay = client(&cluster, |config| {
        config.agent.delivery = AgentDelivery::Upload;
        config.agent.binary = Some(path);
    });
    let error = open(&podbay).await.unwrap_err();
    let verdict = error.verdict().unwrap();
    assert_eq!(
        (verdict.cause, verdict.blame),
        (Cause::ContainerStart, Blame::Configuration)
    );
    assert!(verdict.message.ends_with("the node is a pdp11"), "{verdict}");
    let left = TestCluster::on(&cluster, "default").leave_out(|object| object.kind() == Kind::NetworkPolicy);
    for _ in 0..200 {
        if left.objects().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    left.assert_empty("a failed start");
}

#[tokio::test]
async fn an_upload_that_was_asked_for_and_cannot_be_is_refused_before_anything_is_made() {
    let cluster = cluster(Script::ready());
    let refused = |change: fn(&mut Config)| {
        let podbay = client(&cluster, change);
        async move { open(&podbay).await.unwrap_err() }
    };
    let none = refused(|config| config.agent.delivery = AgentDelivery::Upload).await;
    assert!(
        matches!(
            none,
            Error::Setting {
                key: "agent.delivery",
                ..
            }
        ),
        "{none}"
    );
    let dynamic = refused(|config| config.agent.binary = Some(std::env::current_exe().unwrap())).await;
    assert!(
        matches!(
            dynamic,
            Error::Setting {
                key: "agent.binary",
                ..
            }
        ),
        "{dynamic}"
    );
    assert!(dynamic.to_string().contains("dynamic linker"), "{dynamic}");
    TestCluster::on(&cluster, "default").assert_empty("a refusal");
}

/// The script in the pod ends at once where the agent is there, and asks for nothing.
#[tokio::test]
async fn an_agent_that_another_client_brought_is_left_alone() {
    let (_directory, path) = agent();
    let cluster = cluster(Script::ready());
    cluster.answer_exec(is_upload, ExecAnswer::exit(0));
    answer_proofs(&cluster, || true);
    let podbay = client(&cluster, |config| config.agent.binary = Some(path));
    assert_eq!(open(&podbay).await.unwrap().without_agent, None);
}

/// A client that has an agent's image copied into the pods.
fn with_image(cluster: &ScriptedCluster) -> Podbay {
    client(cluster, |config| {
        config.agent.delivery = AgentDelivery::InitContainer;
        config.agent.image = Some("registry.example/podbay-agent:1".to_owned());
    })
}

#[tokio::test(start_paused = true)]
async fn a_session_is_ready_when_its_agent_answers() {
    let cluster = cluster(Script::ready());
    let begun = tokio::time::Instant::now();
    let answers_after = Duration::from_secs(10);
    answer_proofs(&cluster, move || begun.elapsed() >= answers_after);
    let report = open(&with_image(&cluster)).await.unwrap();
    assert_eq!(report.without_agent, None);
    assert!(begun.elapsed() >= answers_after);
    // What was waited for is told.
    assert!(report.times.unwrap().starting >= 5.0, "{:?}", report.times);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_answers_is_a_verdict_and_no_hang() {
    let cluster = cluster(Script::ready());
    let begun = tokio::time::Instant::now();
    let error = open(&with_image(&cluster)).await.unwrap_err();
    let verdict = error.verdict().unwrap();
    assert_eq!(
        (verdict.cause, verdict.blame),
        (Cause::AgentImage, Blame::Configuration),
        "{verdict}"
    );
    assert!(
        verdict.message.contains("does not answer within 15 s"),
        "{verdict}"
    );
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let left = TestCluster::on(&cluster, "default").leave_out(|object| object.kind() == Kind::NetworkPolicy);
    left.assert_empty("a failed start");
}

#[tokio::test(start_paused = true)]
async fn a_pod_whose_agent_ends_tells_how() {
    let script = Script::ready().then(Duration::from_secs(3), Incident::Exit { code: 9 });
    let cluster = cluster(script);
    let begun = tokio::time::Instant::now();
    let error = open(&with_image(&cluster)).await.unwrap_err();
    let verdict = error.verdict().unwrap();
    assert_eq!(verdict.cause, Cause::Exited, "{verdict}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

/// A client without the right to any way can't tell whether the agent answers.
#[tokio::test(start_paused = true)]
async fn where_no_way_is_open_a_session_opens_without_its_agent() {
    let scripted = cluster(Script::ready());
    let faulty = FaultyCluster::new(Arc::new(scripted));
    for operation in [Operation::PortForward, Operation::Exec] {
        faulty.inject(On::any().operation(operation), Fault::forbidden("not granted"));
    }
    let mut config = Config::default();
    config.agent.image = Some("registry.example/podbay-agent:1".to_owned());
    let podbay = Podbay::with_client(Arc::new(faulty), config);
    let why = open(&podbay).await.unwrap().without_agent.unwrap();
    assert!(why.contains("not granted"), "{why}");
}
