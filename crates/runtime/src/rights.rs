//! What a service has to be allowed to do, asked before it begins: without one of these, requests would fail one by one later.

use futures::future::try_join_all;
use podbay_config::{AgentDelivery, AgentDial, Config, NetworkMode, WorkloadKind};
use podbay_k8s_client::{ErrorKind, Right};

use crate::context::{Backing, Podbay};
use crate::error::Error;

const fn right(group: &'static str, resource: &'static str, verb: &'static str) -> Right {
    Right {
        group,
        resource,
        subresource: "",
        verb,
    }
}

const fn of_pod(subresource: &'static str, verb: &'static str) -> Right {
    Right {
        group: "",
        resource: "pods",
        subresource,
        verb,
    }
}

/// Records, their Secrets, pods, what went wrong with them; the Services of sessions whose image brings a server.
const ALWAYS: [Right; 17] = [
    right("", "configmaps", "create"),
    right("", "configmaps", "get"),
    right("", "configmaps", "list"),
    right("", "configmaps", "watch"),
    right("", "configmaps", "patch"),
    right("", "configmaps", "delete"),
    right("", "secrets", "create"),
    right("", "secrets", "get"),
    right("", "pods", "create"),
    right("", "pods", "get"),
    right("", "pods", "list"),
    right("", "pods", "watch"),
    right("", "pods", "delete"),
    of_pod("log", "get"),
    right("", "events", "list"),
    right("", "services", "create"),
    right("", "services", "get"),
];
/// Workspaces that outlive their pods.
const CLAIMS: [Right; 3] = [
    right("", "persistentvolumeclaims", "create"),
    right("", "persistentvolumeclaims", "get"),
    right("", "persistentvolumeclaims", "delete"),
];
/// The policy that sessions share.
const POLICY: [Right; 2] = [
    right("networking.k8s.io", "networkpolicies", "create"),
    right("networking.k8s.io", "networkpolicies", "get"),
];
/// Sessions that are run by Jobs.
const JOBS: [Right; 4] = [
    right("batch", "jobs", "create"),
    right("batch", "jobs", "get"),
    right("batch", "jobs", "patch"),
    right("batch", "jobs", "delete"),
];
/// From 1.35 on an API server asks for `create`, before that for `get`.
const EXEC: [Right; 2] = [of_pod("exec", "create"), of_pod("exec", "get")];
const PORT_FORWARD: [Right; 2] = [of_pod("portforward", "create"), of_pod("portforward", "get")];

/// What a service has to be allowed, as it is configured. `in_cluster` says that it reaches pods by their addresses.
fn of_service(config: &Config, in_cluster: bool) -> Vec<Right> {
    let mut rights = ALWAYS.to_vec();
    if config.serve.persistent {
        rights.extend(CLAIMS);
    }
    if config.kubernetes.network != NetworkMode::Open {
        rights.extend(POLICY);
    }
    if config.kubernetes.workload == WorkloadKind::Job {
        rights.extend(JOBS);
    }
    let uploads = match config.agent.delivery {
        AgentDelivery::Upload => true,
        AgentDelivery::Auto => config.agent.image.is_none(),
        _ => false,
    };
    if uploads || config.agent.dial == AgentDial::Stdio {
        rights.extend(EXEC);
    }
    match config.agent.dial {
        AgentDial::PortForward => rights.extend(PORT_FORWARD),
        AgentDial::Auto if !in_cluster => rights.extend(PORT_FORWARD),
        _ => {}
    }
    rights
}

impl Podbay {
    /// The rights that a service with this configuration needs in its namespace and does not have, in words (`watch configmaps`). The
    /// cluster is asked for each (SelfSubjectAccessReview), all at once. None on this machine, and where the cluster does not let one ask.
    pub async fn missing_rights(&self) -> Result<Vec<String>, Error> {
        let Backing::Cluster(ctx) = &self.0 else {
            return Ok(Vec::new());
        };
        let needed = of_service(&ctx.config, ctx.in_cluster);
        let asked = try_join_all(needed.iter().map(|right| ctx.client.may(&ctx.namespace, right))).await;
        let may = match asked {
            Ok(may) => may,
            Err(error) if error.kind == ErrorKind::Forbidden => {
                tracing::warn!(%error, "what this service may do can't be asked, and shows as it is done");
                return Ok(Vec::new());
            }
            Err(source) => return Err(Error::Cluster { source }),
        };
        let missing = needed.iter().zip(may).filter(|(_, may)| !may);
        Ok(missing.map(|(right, _)| right.to_string()).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use podbay_k8s_client::mock::MockClusterClient;

    use super::*;

    fn words(change: impl FnOnce(&mut Config), in_cluster: bool) -> Vec<String> {
        let mut config = Config::default();
        config.agent.image = Some("podbay/agent:1".to_owned());
        change(&mut config);
        of_service(&config, in_cluster)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn what_is_needed_follows_the_settings() {
        let in_pod = words(|_| {}, true);
        for needed in [
            "watch configmaps",
            "get secrets",
            "get pods/log",
            "create persistentvolumeclaims",
            "get networkpolicies.networking.k8s.io",
        ] {
            assert!(in_pod.iter().any(|right| right == needed), "{needed}: {in_pod:?}");
        }
        for not in ["list secrets", "pods/exec", "pods/portforward", "jobs"] {
            assert!(
                !in_pod.iter().any(|right| right.contains(not)),
                "{not}: {in_pod:?}"
            );
        }
        let has = |words: Vec<String>, what: &str| words.iter().any(|right| right.contains(what));
        assert!(has(words(|_| {}, false), "create pods/portforward"));
        assert!(has(
            words(|config| config.agent.image = None, true),
            "get pods/exec"
        ));
        assert!(has(
            words(|config| config.agent.dial = AgentDial::Stdio, true),
            "create pods/exec"
        ));
        assert!(has(
            words(|config| config.kubernetes.workload = WorkloadKind::Job, true),
            "patch jobs.batch"
        ));
        assert!(!has(
            words(|config| config.serve.persistent = false, true),
            "persistentvolumeclaims"
        ));
        assert!(!has(
            words(|config| config.kubernetes.network = NetworkMode::Open, true),
            "networkpolicies"
        ));
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let mut client = MockClusterClient::new();
        client
            .expect_may()
            .returning(|namespace, right| Ok(namespace == "default" && right.verb != "watch"));
        let podbay = Podbay::with_client(Arc::new(client), Config::default());
        assert_eq!(
            podbay.missing_rights().await.unwrap(),
            ["watch configmaps", "watch pods"]
        );
    }
}
