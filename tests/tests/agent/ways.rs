//! The ways to an agent: which is taken, what takes its place, and whom none of them leads to.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use podbay_config::{AgentDial, Config};
use podbay_fake_cluster::{
    ExecAnswer, ExecCall, ExecStreams, Fault, FaultyCluster, On, Operation, PortCall, ScriptedCluster,
};
use podbay_k8s_client::{ClusterClient as _, DeleteOptions, ExecEnd, Kind, Object, ObjectKey};
use podbay_runtime::dial::SandboxAddress;
use podbay_runtime::protocol::{DialWay, End, TransportKind};
use podbay_runtime::transport::ByteRange;
use podbay_runtime::{Error, Outcome, Podbay};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_util::sync::CancellationToken;

use crate::faults::Faults;
use crate::sandbox::{Sandbox, sandbox_on};

/// What tells a real command from one that a scripted cluster answers for.
const SCRIPT: [&str; 3] = ["sh", "-c", "echo out; exit 3"];

/// Runs a command by another process of the same user.
async fn run(sandbox: &Sandbox, client: FaultyCluster, dial: AgentDial) -> Result<Outcome, Error> {
    let mut config = Config::default();
    config.agent.dial = dial;
    // A client that brings agents looks for those of others.
    config.agent.image = Some("registry.example/podbay-agent:1".to_owned());
    let podbay = Podbay::with_client(Arc::new(client), config);
    let session = podbay.existing(sandbox.session.id()).unwrap();
    Box::pin(session.exec(SCRIPT)).await
}

/// Whether it ran in the agent's sandbox, where commands are real.
fn is_real(outcome: &Outcome) -> bool {
    outcome.end == End::Exited { code: 3 } && outcome.stdout_content.text() == "out\n"
}

fn forbid_port_forward(cluster: &ScriptedCluster) -> FaultyCluster {
    let client = FaultyCluster::new(Arc::new(cluster.clone()));
    client.inject(
        On::any().operation(Operation::PortForward),
        Fault::forbidden("pods \"openhands-runtime-demo\" is forbidden: no portforward"),
    );
    client
}

/// Runs the agent's bridge as the kubelet would, but to the port where the agent of this test listens.
fn run_bridges(cluster: &ScriptedCluster, port: u16) {
    let is_bridge = |call: &ExecCall| call.request.argv.get(1).is_some_and(|mode| mode == "stdio");
    let bridge = ExecAnswer::by(move |_, streams: ExecStreams| async move {
        let mut child = tokio::process::Command::new(podbay_tests::program::agent())
            .args(["stdio", "--port", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let input = tokio::spawn(async move {
            let mut pieces = streams.stdin.unwrap();
            while let Some(piece) = pieces.recv().await {
                if stdin.write_all(&piece).await.is_err() {
                    break;
                }
            }
        });
        let mut buffer = vec![0; 32 << 10];
        while let Ok(read @ 1..) = stdout.read(&mut buffer).await {
            if streams.stdout.send(buffer[..read].to_vec().into()).await.is_err() {
                break;
            }
        }
        input.abort();
        let code = child.wait().await.unwrap().code().unwrap_or(-1);
        ExecEnd::Exited { code }
    });
    cluster.answer_exec(is_bridge, bridge);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_outside_it_is_port_forward() {
    let cluster = ScriptedCluster::new();
    let sandbox = sandbox_on(&cluster, Faults::none()).await;
    for dial in [AgentDial::Auto, AgentDial::PortForward] {
        let client = FaultyCluster::new(Arc::new(cluster.clone()));
        let outcome = run(&sandbox, client, dial).await.unwrap();
        assert!(is_real(&outcome), "{outcome:?}");
        assert_eq!(outcome.transport.dial, Some(DialWay::PortForward));
        assert_eq!(outcome.transport.told(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_port_forward_is_forbidden_the_bridge_takes_its_place() {
    let cluster = ScriptedCluster::new();
    let sandbox = sandbox_on(&cluster, Faults::none()).await;
    run_bridges(&cluster, sandbox.port);
    let outcome = run(&sandbox, forbid_port_forward(&cluster), AgentDial::Auto)
        .await
        .unwrap();
    assert!(is_real(&outcome), "{outcome:?}");
    let used = &outcome.transport;
    assert_eq!(
        (used.kind, used.dial),
        (TransportKind::Agent, Some(DialWay::Stdio))
    );
    let [passed_over] = used.passed_over.as_slice() else {
        panic!("{used:?}")
    };
    assert_eq!(passed_over.way, DialWay::PortForward);
    assert!(passed_over.why.contains("no portforward"), "{used:?}");
    // Nothing is amiss for whoever lacks a right that is not needed.
    assert_eq!(used.told(), None);
}

/// 10 MiB each way, by the bridge alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_carries_what_is_large() {
    let cluster = ScriptedCluster::new();
    let sandbox = sandbox_on(&cluster, Faults::none()).await;
    run_bridges(&cluster, sandbox.port);
    let mut config = Config::default();
    config.agent.dial = AgentDial::Stdio;
    let podbay = Podbay::with_client(Arc::new(cluster.clone()), config);
    let session = podbay.existing("demo").unwrap();
    let input = vec![7; 10 << 20];
    let command = session.command(["cat"]).capture(input.len());
    let command = command.stdin(std::io::Cursor::new(input.clone()));
    let outcome = Box::pin(command.output()).await.unwrap();
    assert_eq!(outcome.transport.dial, Some(DialWay::Stdio));
    assert!(outcome.success() && outcome.stdout_content.bytes == input);
}

/// The scripted cluster answers an exec with success and no word, so nothing real runs there.
#[tokio::test(flavor = "multi_thread")]
async fn where_no_way_leads_there_commands_go_by_exec_and_say_so() {
    let cluster = ScriptedCluster::new();
    let sandbox = sandbox_on(&cluster, Faults::none()).await;
    let outcome = run(&sandbox, forbid_port_forward(&cluster), AgentDial::Auto)
        .await
        .unwrap();
    assert_eq!(outcome.end, End::Exited { code: 0 });
    let used = outcome.transport;
    assert_eq!((used.kind, used.dial), (TransportKind::Exec, None));
    let ways: Vec<_> = used.passed_over.iter().map(|passed| passed.way).collect();
    assert_eq!(ways, [DialWay::PortForward, DialWay::Stdio]);
    let told = used.told().unwrap();
    assert!(told.contains("go by the API server's exec"), "{told}");
}

/// What the user names is taken or refused: nothing takes its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_named_way_that_leads_nowhere_is_an_error() {
    let cluster = ScriptedCluster::new();
    let sandbox = sandbox_on(&cluster, Faults::none()).await;
    let error = run(&sandbox, forbid_port_forward(&cluster), AgentDial::PortForward)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Agent { .. }), "{error:?}");
    assert!(error.chain().contains("no portforward"), "{}", error.chain());
}

/// Puts another pod in the place of the session's, of its name and labels, and waits until it runs. It is the record's if it
/// `is_owned`.
async fn replace_pod(cluster: &ScriptedCluster, before: &SandboxAddress, is_owned: bool) {
    let key = ObjectKey::new(Kind::Pod, "default", before.pod_name());
    let get = async || cluster.get(&key).await.unwrap().and_then(Object::into_pod);
    let mut pod = get().await.unwrap();
    cluster.delete(&key, DeleteOptions::default()).await.unwrap();
    while get().await.is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    if !is_owned {
        pod.metadata.owner_references = None;
    }
    pod.metadata.uid = None;
    pod.metadata.resource_version = None;
    pod.metadata.creation_timestamp = None;
    pod.metadata.deletion_timestamp = None;
    pod.metadata.deletion_grace_period_seconds = None;
    pod.status = None;
    if let Some(spec) = &mut pod.spec {
        spec.node_name = None;
    }
    cluster.create(pod.into()).await.unwrap();
    let runs = async || {
        let phase = get().await.and_then(|pod| pod.status?.phase);
        phase.as_deref() == Some("Running")
    };
    while !runs().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The agent of the earlier pod still answers, at the address of the one that took its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_an_earlier_pod_is_not_used_again() {
    let cluster = ScriptedCluster::new();
    let sandbox = sandbox_on(&cluster, Faults::none()).await;
    let session = &sandbox.session;
    let first = Box::pin(session.exec(SCRIPT)).await.unwrap();
    assert!(is_real(&first), "{first:?}");
    let before = session.address().await.unwrap().unwrap();
    replace_pod(&cluster, &before, true).await;
    let after = session.address().await.unwrap().unwrap();
    assert_eq!(after.pod_name(), before.pod_name());
    assert_ne!(after.uid(), before.uid());
    // In the process that has the connection to the first one.
    let outcome = Box::pin(session.exec(SCRIPT)).await.unwrap();
    assert_eq!(outcome.transport.kind, TransportKind::Exec, "{outcome:?}");
    let told = outcome.transport.told().unwrap();
    assert!(told.contains("does not know the session's key"), "{told}");
    assert_eq!(outcome.end, End::Exited { code: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_not_the_records_is_not_dialled() {
    let cluster = ScriptedCluster::new();
    let sandbox = sandbox_on(&cluster, Faults::none()).await;
    let before = sandbox.session.address().await.unwrap().unwrap();
    replace_pod(&cluster, &before, false).await;
    let client = FaultyCluster::new(Arc::new(cluster.clone()));
    let watched = client.clone();
    let error = run(&sandbox, client, AgentDial::PortForward).await.unwrap_err();
    assert!(
        error.chain().contains("openhands-runtime-demo"),
        "{}",
        error.chain()
    );
    let dialled: usize = watched
        .counts()
        .iter()
        .filter(|((operation, _), _)| [Operation::PortForward, Operation::Exec].contains(operation))
        .map(|(_, count)| *count)
        .sum();
    assert_eq!(dialled, 0);
}

/// The HTTP/2 library takes what arrives for an answer that was given up for a fault, and ended the connection after a thousand.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_given_up_end_no_connection() {
    let cluster = ScriptedCluster::new();
    let sandbox = sandbox_on(&cluster, Faults::none()).await;
    let large = sandbox.path("large");
    std::fs::write(&large, vec![1; 8 << 20]).unwrap();
    let large = large.to_str().unwrap();
    let files = Box::pin(sandbox.session.files(CancellationToken::new()))
        .await
        .unwrap();
    // Nobody connects from here on.
    cluster.listen_with(|_: &PortCall| Some(|hangs_up: DuplexStream| async move { drop(hangs_up) }));
    for _ in 0..1500 {
        let (mut reader, writer) = tokio::io::duplex(64 << 10);
        tokio::select! {
            got = files.get(large, ByteRange::default(), Box::new(writer)) => panic!("{got:?}"),
            byte = reader.read_u8() => assert_eq!(byte.unwrap(), 1),
        }
    }
    let outcome = Box::pin(sandbox.session.exec(SCRIPT)).await.unwrap();
    assert!(is_real(&outcome), "{outcome:?}");
    assert_eq!(outcome.transport.dial, Some(DialWay::PortForward));
}

/// The agent stays and its connection goes: the next command has another one, by another way if need be.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_dropped_is_made_again() {
    let cluster = ScriptedCluster::new();
    let sandbox = sandbox_on(&cluster, Faults::none()).await;
    let run = async || Box::pin(sandbox.session.exec(SCRIPT)).await.unwrap();
    assert!(is_real(&run().await));
    sandbox.cut();
    let again = run().await;
    assert!(is_real(&again), "{again:?}");
    run_bridges(&cluster, sandbox.port);
    cluster.listen_with(|_: &PortCall| Some(|hangs_up: DuplexStream| async move { drop(hangs_up) }));
    sandbox.cut();
    assert!(is_real(&run().await));
    // That one may have begun before the end of its connection was seen.
    let bridged = run().await;
    assert!(is_real(&bridged), "{bridged:?}");
    assert_eq!(bridged.transport.dial, Some(DialWay::Stdio));
}
