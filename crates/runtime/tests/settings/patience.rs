//! How long something is waited for: twice the seconds, twice the wait.

use std::time::Duration;

use podbay_fake_cluster::{
    ImageTrouble, Provisioning, Script, ScriptedCluster, Trouble, Unschedulable, VolumeTrouble,
};
use podbay_k8s_client::{Kind, ObjectKey};
use podbay_manifests::{ServerKind, SessionNames};
use podbay_protocol::Cause;
use podbay_runtime::{Config, Error, SessionRequest};
use serde_json::json;
use tokio::time::Instant;

use crate::setup::{SESSION_ID, client, cluster};
use crate::support::{NAMESPACE, plain};

effects! { paused:
    "podbay.unschedulable_grace_seconds" => unschedulable_grace_seconds;
    "podbay.capacity_grace_seconds" => capacity_grace_seconds;
    "podbay.image_pull_grace_seconds" => image_pull_grace_seconds;
    "podbay.config_error_grace_seconds" => config_error_grace_seconds;
    "podbay.volume_grace_seconds" => volume_grace_seconds;
    "podbay.claim_grace_seconds" => claim_grace_seconds;
    "podbay.node_lost_grace_seconds" => node_lost_grace_seconds;
    "podbay.start_timeout_seconds" => start_timeout_seconds;
    "sandbox.remote_runtime_init_timeout" => remote_runtime_init_timeout;
    "podbay.deletion_timeout_seconds" => deletion_timeout_seconds;
}

/// Longer than anybody waits.
const NEVER: Duration = Duration::from_secs(100_000);
/// The wait that is tried, and twice it. Longer than all that a scripted cluster takes by itself.
const SECONDS: [u64; 2] = [40, 80];
/// What else a failing start takes: events are read some seconds after a pod has come.
const ASIDE: u64 = 8;

/// Asserts that a wait that `change` sets is as long as it says. `wait` waits.
async fn lasts<W: AsyncFn(Config)>(change: fn(&mut Config, u64), wait: W) {
    for seconds in SECONDS {
        let mut config = Config::default();
        // Never what ends it.
        config.podbay.start_timeout_seconds = 1000;
        change(&mut config, seconds);
        let begun = Instant::now();
        wait(config).await;
        let waited = begun.elapsed().as_secs();
        assert!(
            // Who looks once a second may see at its last look that the time will be over at the next.
            (seconds - 1..seconds + ASIDE).contains(&waited),
            "{seconds} s were set, {waited} s waited"
        );
    }
}

/// Asserts that a start that `script` keeps from its end is given up, for `cause`, when `change` says.
async fn gives_up(request: SessionRequest, script: Script, cause: Cause, change: fn(&mut Config, u64)) {
    gives_up_on(request, || cluster(script.clone()), cause, change).await;
}

async fn gives_up_on(
    request: SessionRequest,
    cluster: impl Fn() -> ScriptedCluster,
    cause: Cause,
    change: fn(&mut Config, u64),
) {
    lasts(change, async |config| {
        let podbay = client(&cluster(), |own| *own = config);
        let opened = podbay.session(SESSION_ID).request(request.clone()).open().await;
        let error = opened.unwrap_err();
        assert_eq!(
            error.verdict().map(|verdict| verdict.cause),
            Some(cause),
            "{error:?}"
        );
    })
    .await;
}

async fn unschedulable_grace_seconds() {
    let script = Script::stuck(Trouble::Unschedulable(Unschedulable::NodeSelector));
    gives_up(plain(), script, Cause::NodeMismatch, |config, seconds| {
        config.podbay.unschedulable_grace_seconds = seconds;
    })
    .await;
}

async fn capacity_grace_seconds() {
    let script = Script::stuck(Trouble::Unschedulable(Unschedulable::Full {
        resource: "cpu".to_owned(),
    }));
    gives_up(plain(), script, Cause::Capacity, |config, seconds| {
        config.podbay.capacity_grace_seconds = seconds;
    })
    .await;
}

async fn image_pull_grace_seconds() {
    let script = Script::stuck(Trouble::Image(ImageTrouble::Unreachable));
    gives_up(plain(), script, Cause::ImagePull, |config, seconds| {
        config.podbay.image_pull_grace_seconds = seconds;
    })
    .await;
}

async fn config_error_grace_seconds() {
    let script = Script::stuck(Trouble::Config {
        message: "secret \"x\" not found".to_owned(),
    });
    gives_up(plain(), script, Cause::ContainerConfig, |config, seconds| {
        config.podbay.config_error_grace_seconds = seconds;
    })
    .await;
}

async fn volume_grace_seconds() {
    let script = Script::stuck(Trouble::Volume(VolumeTrouble::Attach {
        message: "Multi-Attach error for volume \"pvc-1\" Volume is already used by pod(s) other".to_owned(),
    }));
    gives_up(plain(), script, Cause::Volume, |config, seconds| {
        config.podbay.volume_grace_seconds = seconds;
    })
    .await;
}

async fn claim_grace_seconds() {
    let request = SessionRequest {
        persistent: Some(true),
        ..plain()
    };
    let unbound = || {
        let cluster = ScriptedCluster::new();
        cluster.provision_with(|_| Some(Provisioning::BindsAfter(NEVER)));
        cluster
    };
    gives_up_on(request, unbound, Cause::ClaimPending, |config, seconds| {
        config.podbay.claim_grace_seconds = seconds;
    })
    .await;
}

/// A session that is there, on a node that stopped answering: who comes to it waits for the node.
async fn node_lost_grace_seconds() {
    let set = |config: &mut Config, seconds| config.podbay.node_lost_grace_seconds = seconds;
    for seconds in SECONDS {
        let cluster = ScriptedCluster::new();
        let server = SessionRequest {
            server: Some(ServerKind::Image),
            ..plain()
        };
        let podbay = client(&cluster, |config| set(config, seconds));
        let open = async || podbay.session(SESSION_ID).request(server.clone()).open().await;
        open().await.unwrap();
        let pod = SessionNames::of(None, &SESSION_ID.parse().unwrap()).object();
        cluster.lose_node(&cluster.node_of(NAMESPACE, &pod).unwrap());
        // The cluster itself notices after 40 to 50 s of silence, and evicts after 300 s more.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        let error = open().await.unwrap_err();
        let cause = error.verdict().map(|verdict| verdict.cause);
        assert_eq!(cause, Some(Cause::NodeLost), "{error:?}");
        let waited = begun.elapsed().as_secs();
        assert!(
            (seconds..seconds + ASIDE).contains(&waited),
            "{seconds} s: {waited} s"
        );
    }
}

async fn start_timeout_seconds() {
    let script = Script::ready().pull_for(NEVER);
    gives_up(plain(), script, Cause::Deadline, |config, seconds| {
        config.podbay.start_timeout_seconds = seconds;
    })
    .await;
}

/// It holds where `podbay.start_timeout_seconds` has its default, and not beside another value.
async fn remote_runtime_init_timeout() {
    let script = Script::ready().pull_for(NEVER);
    gives_up(plain(), script.clone(), Cause::Deadline, |config, seconds| {
        config.podbay.start_timeout_seconds = Config::default().podbay.start_timeout_seconds;
        config.sandbox.remote_runtime_init_timeout = Some(seconds);
    })
    .await;
    gives_up(plain(), script, Cause::Deadline, |config, seconds| {
        config.podbay.start_timeout_seconds = seconds;
        config.sandbox.remote_runtime_init_timeout = Some(seconds / 2);
    })
    .await;
}

async fn deletion_timeout_seconds() {
    let set = |config: &mut Config, seconds| config.podbay.deletion_timeout_seconds = seconds;
    lasts(set, async |config| {
        let timeout = config.podbay.deletion_timeout_seconds;
        let cluster = ScriptedCluster::new();
        let podbay = client(&cluster, |own| *own = config);
        podbay.session(SESSION_ID).request(plain()).open().await.unwrap();
        // A controller that is not there would have to let it go.
        let pod = SessionNames::of(None, &SESSION_ID.parse().unwrap()).object();
        let key = ObjectKey::new(Kind::Pod, NAMESPACE, pod);
        let held = json!({"metadata": {"finalizers": ["example.com/held"]}});
        cluster.raw().patch(&key, &held).unwrap();
        let error = podbay.close(SESSION_ID, true).await.unwrap_err();
        assert!(
            matches!(error, Error::StillThere { seconds, .. } if seconds == timeout),
            "{error:?}"
        );
    })
    .await;
}
