//! The agent that is brought into the pods of sessions.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use podbay_config::{AgentDelivery, AgentDial};
use podbay_fake_cluster::testing::TestCluster;
use podbay_fake_cluster::{ExecAnswer, ExecCall, Script, ScriptedCluster};
use podbay_k8s_client::{ExecEnd, Kind, Object};
use podbay_protocol::{Blame, Cause};
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
    call.request
        .argv
        .iter()
        .any(|word| word == "/.podbay/podbay-agent")
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
    let podbay = client(&cluster, |config| config.agent.binary = Some(path));
    let session = podbay.session(SESSION_ID).request(plain()).open().await.unwrap();
    assert_eq!(session.report().without_agent, None);
    let mut expected = key(&TestCluster::on(&cluster, "default"));
    expected.push(b'\n');
    expected.extend_from_slice(&static_program());
    assert_eq!(*uploads.lock().unwrap(), [expected]);
    let agent = session.describe().await.unwrap().agent.unwrap();
    assert_eq!((agent.delivery, agent.port, agent.image), ("upload", 10022, None));
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
    let podbay = client(&cluster, |config| config.agent.binary = Some(path));
    assert_eq!(open(&podbay).await.unwrap().without_agent, None);
}
