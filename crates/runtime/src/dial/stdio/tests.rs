//! The bridge, played by a scripted command.

use std::time::Duration;

use podbay_fake_cluster::{ExecAnswer, ExecCall, ExecStreams, ScriptedCluster};
use podbay_k8s_client::ClusterClient as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::dial::tests::address;

fn is_bridge(call: &ExecCall) -> bool {
    call.request.argv == [AGENT_PROGRAM, "stdio", "--port", "10022"]
        && call.request.container == CONTAINER
        && call.request.stdin
        && !call.request.tty
}

/// Says that it is ready, and sends back all that comes.
async fn echo(_: ExecCall, streams: ExecStreams) -> ExecEnd {
    let ready = Bytes::from_static(BRIDGE_READY.as_bytes());
    let (first, second) = (ready.slice(..5), ready.slice(5..));
    streams.stdout.send(first).await.unwrap();
    // Together with the first bytes of the connection.
    let mut stdin = streams.stdin.unwrap();
    let mut begun = BytesMut::from(&second[..]);
    begun.extend_from_slice(b"hello");
    streams.stdout.send(begun.freeze()).await.unwrap();
    streams
        .stderr
        .send(Bytes::from(vec![b'x'; 100_000]))
        .await
        .unwrap();
    while let Some(piece) = stdin.recv().await {
        if streams.stdout.send(piece).await.is_err() {
            break;
        }
    }
    ExecEnd::Exited { code: 0 }
}

/// A cluster with a pod whose bridge does this.
async fn cluster(answer: ExecAnswer) -> StdioBridge {
    let cluster = ScriptedCluster::new();
    cluster.answer_exec(is_bridge, answer);
    let pod = podbay_fake_cluster::testing::pod(
        "agents",
        address(None).pod_name(),
        &serde_json::json!({"containers": [{"name": CONTAINER, "image": "debian:12"}]}),
    );
    cluster.create(pod).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    StdioBridge::new(Arc::new(cluster), "agents")
}

#[tokio::test(start_paused = true)]
async fn bytes_go_both_ways_and_the_end_is_an_end() {
    let bridge = cluster(ExecAnswer::by(echo)).await;
    let connection = bridge.connect(&address(None), 10022).await.unwrap();
    let (mut read, mut write) = tokio::io::split(connection);
    let mut hello = [0; 5];
    read.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello");
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let writing = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let ((), read) = tokio::join!(writing, read.read_to_end(&mut back));
    read.unwrap();
    assert!(back == sent);
    // Nothing more can be written.
    assert!(write.write_all(b"x").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn why_it_does_not_connect_is_told() {
    let not_started = ExecEnd::NotStarted {
        reason: "InternalError".to_owned(),
        message: "exec: \"/.podbay/podbay-agent\": no such file or directory".to_owned(),
    };
    for (answer, told) in [
        (
            ExecAnswer::exit(1).stderr("podbay-agent: connecting to port 10022: refused\n"),
            "podbay-agent: connecting to port 10022: refused",
        ),
        (ExecAnswer::ends(not_started), "no such file or directory"),
        (ExecAnswer::lost("reset"), "reset"),
        (ExecAnswer::exit(0), "exited with 0"),
        (
            ExecAnswer::exit(0).stdout("Welcome to this image, where nothing is as it seems\n"),
            "another program",
        ),
    ] {
        let bridge = cluster(answer).await;
        let error = bridge.connect(&address(None), 10022).await.err().unwrap();
        assert!(matches!(error, DialError::Bridge { .. }), "{error:?}");
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_not_there_has_none() {
    let bridge = StdioBridge::new(Arc::new(ScriptedCluster::new()), "agents");
    let error = bridge.connect(&address(None), 10022).await.err().unwrap();
    assert!(matches!(error, DialError::Refused { .. }), "{error:?}");
}
