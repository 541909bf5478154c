//! The cluster under test.

use std::path::PathBuf;
use std::process::Stdio;

use kube::config::{KubeConfigOptions, Kubeconfig};

/// The cluster under test.
#[derive(Clone, Debug)]
pub struct TestCluster {
    /// Its administrator's kubeconfig.
    pub kubeconfig: PathBuf,
}

impl TestCluster {
    /// The one that `PODBAY_TEST_KUBECONFIG` names.
    ///
    /// # Panics
    ///
    /// Without one: an ignored test that is asked for must not pass unseen.
    #[expect(clippy::panic, reason = "tests fail by panicking")]
    pub fn get() -> Self {
        let Some(kubeconfig) = std::env::var_os("PODBAY_TEST_KUBECONFIG") else {
            panic!("this test needs a cluster: set PODBAY_TEST_KUBECONFIG to its kubeconfig");
        };
        Self {
            kubeconfig: kubeconfig.into(),
        }
    }

    /// A client with the administrator's rights.
    #[expect(clippy::expect_used, reason = "tests fail by panicking")]
    pub async fn client(&self) -> kube::Client {
        let file = Kubeconfig::read_from(&self.kubeconfig).expect("a readable kubeconfig");
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .expect("a usable kubeconfig");
        kube::Client::try_from(config).expect("a client")
    }

    /// The API server's address.
    #[expect(clippy::expect_used, reason = "tests fail by panicking")]
    pub async fn config(&self) -> kube::Config {
        let file = Kubeconfig::read_from(&self.kubeconfig).expect("a readable kubeconfig");
        kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .expect("a usable kubeconfig")
    }
}

/// The scripts of our own cluster, where it is the one under test.
#[derive(Clone, Debug)]
pub struct Scripts(PathBuf);

impl Scripts {
    /// Those that `PODBAY_TEST_CLUSTER` names.
    ///
    /// # Panics
    ///
    /// Without them.
    #[expect(clippy::panic, reason = "tests fail by panicking")]
    pub fn get() -> Self {
        let Some(folder) = std::env::var_os("PODBAY_TEST_CLUSTER") else {
            panic!(
                "this test stops parts of the cluster: set PODBAY_TEST_CLUSTER to the folder of its scripts"
            );
        };
        Self(folder.into())
    }

    /// Whether `PODBAY_TEST_CLUSTER` names them.
    pub fn are_there() -> bool {
        std::env::var_os("PODBAY_TEST_CLUSTER").is_some()
    }

    /// Runs `component ACTION NAME`.
    #[expect(clippy::expect_used, reason = "tests fail by panicking")]
    pub async fn component(&self, action: &str, name: &str) {
        let status = tokio::process::Command::new(self.0.join("component"))
            .args([action, name])
            .stdin(Stdio::null())
            .status()
            .await
            .expect("the script component");
        assert!(status.success(), "component {action} {name}: {status}");
    }
}
