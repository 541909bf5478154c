//! Ports of this machine that lead to ports of a session.

use std::sync::Arc;
use std::time::Duration;

use podbay_config::{AgentDelivery, Config};
use podbay_fake_cluster::{Fault, FaultyCluster, On, Operation, PortCall, ScriptedCluster};
use podbay_runtime::protocol::{DialWay, ErrorCode};
use podbay_runtime::{Error, Forwarded, Podbay, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(60);
const PORT: u16 = 5000;

/// A session in whose pod something listens that answers in capital letters.
async fn session(cluster: &ScriptedCluster) -> Session {
    cluster.listen_with(|call: &PortCall| {
        (call.port == PORT).then_some(|mut client: DuplexStream| async move {
            let mut piece = [0; 1024];
            while let Ok(length @ 1..) = client.read(&mut piece).await {
                piece[..length].make_ascii_uppercase();
                if client.write_all(&piece[..length]).await.is_err() {
                    return;
                }
            }
        })
    });
    podbay(Arc::new(FaultyCluster::new(Arc::new(cluster.clone()))))
        .session("demo")
        .image("debian:12")
        .open()
        .await
        .unwrap()
}

fn podbay(client: Arc<FaultyCluster>) -> Podbay {
    let mut config = Config::default();
    config.agent.delivery = AgentDelivery::None;
    Podbay::with_client(client, config)
}

/// A port of this machine that leads to one of the session.
struct Forwarding {
    port: u16,
    told: mpsc::UnboundedReceiver<Forwarded>,
    ended: tokio::task::JoinHandle<Error>,
}

impl Forwarding {
    async fn to(session: &Session, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let local = listener.local_addr().unwrap().port();
        let (tell, told) = mpsc::unbounded_channel();
        let session = session.clone();
        let ended = tokio::spawn(async move {
            let ended = Box::pin(session.forward(listener, port, |what| tell.send(what).unwrap())).await;
            let Err(error) = ended;
            error
        });
        Self {
            port: local,
            told,
            ended,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    async fn told(&mut self) -> Forwarded {
        tokio::time::timeout(PATIENCE, self.told.recv())
            .await
            .unwrap()
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_are_carried_to_what_listens_there() {
    let session = session(&ScriptedCluster::new()).await;
    let mut forwarding = Forwarding::to(&session, PORT).await;
    let clients = (0..20).map(|number| {
        let connecting = TcpStream::connect(("127.0.0.1", forwarding.port));
        async move {
            let mut client = connecting.await.unwrap();
            let text = format!("hello {number} ").repeat(2000);
            let (mut reader, mut writer) = client.split();
            let mut answer = String::new();
            let asking = async {
                writer.write_all(text.as_bytes()).await.unwrap();
                // There is no such end on the way: the answer comes all the same.
                writer.shutdown().await.unwrap();
            };
            let reading = async {
                let mut all = vec![0; text.len()];
                reader.read_exact(&mut all).await.unwrap();
                answer = String::from_utf8(all).unwrap();
            };
            tokio::join!(asking, reading);
            answer == text.to_uppercase()
        }
    });
    let all = tokio::time::timeout(PATIENCE, futures::future::join_all(clients))
        .await
        .unwrap();
    assert!(all.into_iter().all(|is_right| is_right));
    for _ in 0..20 {
        assert!(matches!(
            forwarding.told().await,
            Forwarded::Connected {
                way: DialWay::PortForward,
                ..
            }
        ));
    }
    assert!(!forwarding.ended.is_finished());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_listen_is_told_and_others_go_on() {
    let cluster = ScriptedCluster::new();
    let session = session(&cluster).await;
    let mut nobody = Forwarding::to(&session, PORT + 1).await;
    let mut client = nobody.connect().await;
    // Not before something is read through the API server does it show.
    assert!(matches!(nobody.told().await, Forwarded::Connected { .. }));
    assert!(!matches!(client.read(&mut [0; 1]).await, Ok(1..)));
    let Forwarded::Broken { message, .. } = nobody.told().await else {
        panic!("it is said why")
    };
    assert!(message.contains("connection refused"), "{message}");

    let client = FaultyCluster::new(Arc::new(cluster.clone()));
    client.inject(
        On::any().operation(Operation::PortForward),
        Fault::forbidden("pods \"openhands-runtime-demo\" is forbidden: no portforward"),
    );
    let others = podbay(Arc::new(client)).existing("demo").unwrap();
    let mut forbidden = Forwarding::to(&others, PORT).await;
    let mut client = forbidden.connect().await;
    let Forwarded::Refused { error, .. } = forbidden.told().await else {
        panic!("there is no way")
    };
    assert!(matches!(*error, Error::Port { port: PORT, .. }), "{error:?}");
    let text = error.chain();
    assert!(
        text.contains("port-forward: ") && text.contains("no portforward"),
        "{text}"
    );
    assert!(!matches!(client.read(&mut [0; 1]).await, Ok(1..)));
    assert!(!forbidden.ended.is_finished());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_its_session() {
    let session = session(&ScriptedCluster::new()).await;
    let forwarding = Forwarding::to(&session, PORT).await;
    let mut before = forwarding.connect().await;
    before.write_all(b"x").await.unwrap();
    assert_eq!(before.read_u8().await.unwrap(), b'X');
    session.clone().close().await.unwrap();
    // The connection went with the pod; the next one finds no session.
    let mut rest = Vec::new();
    let _ = before.read_to_end(&mut rest).await;
    let _next = forwarding.connect().await;
    let error = tokio::time::timeout(PATIENCE, forwarding.ended)
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(error.code(), ErrorCode::NotFound | ErrorCode::Runtime),
        "{error:?}"
    );
    let error = session.sandbox().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound, "{error:?}");
}
