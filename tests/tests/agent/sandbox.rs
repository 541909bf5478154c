//! A session whose pod's port leads to a real agent.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podbay_config::Config;
use podbay_fake_cluster::{PortCall, ScriptedCluster};
use podbay_runtime::dial::SandboxAddress;
use podbay_runtime::{Podbay, Session};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::faults::{Faults, pass};

/// Where the agent of a pod listens, by the configuration's default.
const AGENT_PORT: u16 = 10022;

/// A session, and what keeps it alive.
pub(crate) struct Sandbox {
    pub(crate) session: Session,
    pub(crate) cluster: ScriptedCluster,
    pub(crate) faults: Arc<Faults>,
    /// Where its agent listens on this machine.
    pub(crate) port: u16,
    /// Breaks the connections that there are.
    connections: Arc<Mutex<CancellationToken>>,
    agent: Child,
    directory: tempfile::TempDir,
}

impl Sandbox {
    /// Where its commands begin.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The number of the agent's process.
    pub(crate) fn agent(&self) -> u32 {
        self.agent.id()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Its supervisors kill what they watch over when it is gone.
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

impl Sandbox {
    /// Breaks all connections to its agent that there are now.
    pub(crate) fn cut(&self) {
        let broken = std::mem::take(&mut *self.connections.lock().unwrap());
        broken.cancel();
    }
}

/// Opens a session by an agent that is reached through connections with these faults.
pub(crate) async fn sandbox(faults: Faults) -> Sandbox {
    sandbox_on(&ScriptedCluster::new(), faults).await
}

/// The same on this cluster.
pub(crate) async fn sandbox_on(cluster: &ScriptedCluster, faults: Faults) -> Sandbox {
    sandbox_with(cluster, faults, |program| Command::new(program)).await
}

/// The same by a program of the caller's, which becomes the agent.
pub(crate) async fn sandbox_with(
    cluster: &ScriptedCluster,
    faults: Faults,
    program: impl FnOnce(&Path) -> Command,
) -> Sandbox {
    let directory = tempfile::tempdir().unwrap();
    let port = free_port().await;
    let faults = Arc::new(faults);
    let forwarded = Arc::clone(&faults);
    let connections = Arc::<Mutex<CancellationToken>>::default();
    let broken = Arc::clone(&connections);
    cluster.listen_with(move |call: &PortCall| {
        let faults = Arc::clone(&forwarded);
        let broken = broken.lock().unwrap().clone();
        (call.port == AGENT_PORT).then_some(move |client: DuplexStream| async move {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let Ok(agent) = TcpStream::connect(address).await else {
                return;
            };
            // Slices would be put together again, and small requests wait.
            let _ = agent.set_nodelay(true);
            tokio::select! {
                () = pass(client, agent, &faults) => {}
                () = broken.cancelled() => {}
            }
        })
    });
    let mut config = Config::default();
    config.agent.delivery = podbay_config::AgentDelivery::InitContainer;
    config.agent.image = Some("registry.example/podbay-agent:1".to_owned());
    config.workspace_mount_path_in_sandbox = directory.path().display().to_string();
    let podbay = Podbay::with_client(Arc::new(cluster.clone()), config);
    // It is ready when its agent answers, which needs to know the pod and the key.
    // Its workspace is on a claim, so that it can be paused.
    let opening = podbay.session("demo").image("debian:12").persistent(true);
    let opening = tokio::spawn(async move { opening.open().await.unwrap() });
    let (address, key) = begun(&podbay.existing("demo").unwrap()).await;
    let key_file = directory.path().join("key");
    std::fs::write(&key_file, key.expose_secret()).unwrap();
    let agent = program(&podbay_tests::program::agent())
        .args(["serve", "--address", "127.0.0.1", "--port", &port.to_string()])
        .args(["--pod-uid", address.uid()])
        .arg("--key-file")
        .arg(&key_file)
        .arg("--spool")
        .arg(directory.path())
        .arg("--directory")
        .arg(directory.path())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let session = opening.await.unwrap();
    let sandbox = Sandbox {
        session,
        cluster: cluster.clone(),
        faults,
        port,
        connections,
        agent,
        directory,
    };
    listening(port).await;
    sandbox
}

/// Where the pod is of a session that is being opened, and the session's key.
async fn begun(session: &Session) -> (SandboxAddress, SecretString) {
    loop {
        if let (Ok(Some(address)), Ok(key)) = (session.address().await, session.session_key().await) {
            return (address, key);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap().port()
}

async fn listening(port: u16) {
    for _ in 0..500 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the agent does not listen");
}
