//! Addresses of sandboxes, and connections on this machine.

use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use podbay_fake_cluster::ScriptedCluster;
use podbay_k8s_client::ClusterClient as _;
use podbay_manifests::{Owner, SessionId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpListener;

use super::*;

fn session() -> SessionId {
    "demo".parse().unwrap()
}

fn record(uid: &str) -> Owner {
    Owner {
        name: "openhands-runtime-demo".to_owned(),
        uid: uid.to_owned(),
    }
}

fn job(owner: &Owner) -> Job {
    Job {
        metadata: ObjectMeta {
            uid: Some("job-1".to_owned()),
            owner_references: Some(vec![owner.reference()]),
            ..ObjectMeta::default()
        },
        ..Job::default()
    }
}

fn pod(references: Vec<OwnerReference>, ip: Option<&str>) -> Pod {
    Pod {
        metadata: ObjectMeta {
            name: Some("openhands-runtime-demo".to_owned()),
            uid: Some("pod-1".to_owned()),
            owner_references: Some(references),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            node_name: Some("node-1".to_owned()),
            ..PodSpec::default()
        }),
        status: Some(PodStatus {
            pod_ip: ip.map(str::to_owned),
            ..PodStatus::default()
        }),
    }
}

pub(super) fn address(ip: Option<&str>) -> SandboxAddress {
    let owner = record("record-1");
    SandboxAddress::of_pod(&session(), &owner, &pod(vec![owner.reference()], ip), None).unwrap()
}

#[test]
fn an_address_says_which_pod() {
    let address = address(Some("10.0.0.7"));
    assert_eq!(
        (
            address.session(),
            address.pod_name(),
            address.uid(),
            address.node()
        ),
        ("demo", "openhands-runtime-demo", "pod-1", Some("node-1"))
    );
    assert_eq!(address.ip(), Some(Ipv4Addr::new(10, 0, 0, 7).into()));
}

#[test]
fn there_is_no_address_of_anothers_pod() {
    let owner = record("record-1");
    let of_job = OwnerReference {
        kind: "Job".to_owned(),
        uid: "job-1".to_owned(),
        ..OwnerReference::default()
    };
    let made = |references: Vec<OwnerReference>, job: Option<&Job>| {
        SandboxAddress::of_pod(&session(), &owner, &pod(references, None), job)
    };
    // A record of the same name is another owner, and a pod without any owner is nobody's.
    for references in [vec![record("record-2").reference()], vec![], vec![of_job.clone()]] {
        let refused = made(references.clone(), None).unwrap_err();
        assert_eq!(refused.pod, "openhands-runtime-demo", "{references:?}");
    }
    assert!(made(vec![of_job.clone()], Some(&job(&owner))).is_ok());
    // The Job is another's, or the pod is another Job's.
    assert!(made(vec![of_job.clone()], Some(&job(&record("record-2")))).is_err());
    let other = OwnerReference {
        uid: "job-2".to_owned(),
        ..of_job
    };
    assert!(made(vec![other], Some(&job(&owner))).is_err());
}

#[tokio::test]
async fn bytes_go_both_ways() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let echo = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        }
    });
    let dialers: [(&dyn Dialer, SandboxAddress); 2] = [
        (&PodIp::default(), address(Some("127.0.0.1"))),
        // What a local session calls its address does not matter.
        (&Loopback, address(None)),
    ];
    for (dialer, address) in dialers {
        let mut io = dialer.connect(&address, port).await.unwrap();
        io.write_all(b"there and back").await.unwrap();
        io.shutdown().await.unwrap();
        let mut back = Vec::new();
        io.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, b"there and back");
    }
    echo.await.unwrap();
}

#[tokio::test]
async fn who_does_not_listen_refuses() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = PodIp::default().connect(&address(Some("127.0.0.1")), port).await;
    let error = refused.err().unwrap();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert!(
        matches!(&error, DialError::Unreachable { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused),
        "{error:?}"
    );
    let nowhere = PodIp::default()
        .connect(&address(None), port)
        .await
        .err()
        .unwrap();
    assert_eq!(nowhere.code(), ErrorCode::NotReady);
}

/// A listener whose queue is full answers nobody.
#[tokio::test]
async fn who_does_not_answer_is_given_up() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let port = listener.local_addr().unwrap().port();
    let dialer = PodIp {
        timeout: Duration::from_millis(100),
    };
    let mut connections = Vec::new();
    let error = loop {
        match dialer.connect(&address(Some("127.0.0.1")), port).await {
            Ok(connection) => connections.push(connection),
            Err(error) => break error,
        }
        assert!(connections.len() < 100);
    };
    assert_eq!(error.code(), ErrorCode::Timeout);
    assert!(error.to_string().ends_with("within 0.1 s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_port_is_forwarded_by_the_api_server() {
    let cluster = ScriptedCluster::new();
    cluster.listen_with(|call| {
        (call.port == 10022).then_some(|mut stream: DuplexStream| async move {
            stream.write_all(b"hello").await.unwrap();
        })
    });
    let dialer = PortForwarding::new(Arc::new(cluster.clone()), "agents");
    let address = address(None);
    let error = dialer.connect(&address, 10022).await.err().unwrap();
    assert!(matches!(error, DialError::Refused { .. }), "{error:?}");
    assert_eq!(error.code(), ErrorCode::NotFound);
    let pod = podbay_fake_cluster::testing::pod("agents", address.pod_name(), &serde_json::json!({}));
    cluster.create(pod).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut connection = dialer.connect(&address, 10022).await.unwrap();
    let mut text = String::new();
    connection.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
}

/// The agent of a session on this machine and what it starts have no ports of their own.
#[tokio::test]
async fn ports_that_stand_for_sockets_lead_to_them() {
    let there = tempfile::tempdir().unwrap();
    let paths = ["agent", "vscode"].map(|name| there.path().join(name));
    let listeners = paths
        .each_ref()
        .map(|path| tokio::net::UnixListener::bind(path).unwrap());
    let [agent, vscode] = paths;
    let address = SandboxAddress::on_this_machine("demo", "u")
        .with_socket(60_000, agent)
        .with_socket(60_001, vscode);
    for (port, listener) in [60_000, 60_001].into_iter().zip(listeners) {
        let mut here = Loopback.connect(&address, port).await.unwrap();
        let (mut there, _) = listener.accept().await.unwrap();
        there.write_u16(port).await.unwrap();
        assert_eq!(here.read_u16().await.unwrap(), port);
    }
    assert_eq!(address.socket(60_002), None);
}
