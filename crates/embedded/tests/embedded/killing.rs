//! Nothing is left running, and nothing left lying.

use podbay_embedded::EmbeddedCluster;
use podbay_fake_cluster::testing::{config_map, owned_by};
use podbay_k8s_client::{ClusterClient as _, DeleteOptions, ExecEnd, ExecRequest, Kind, ObjectKey};

use crate::harness::{
    NAMESPACE, POD, cluster, container, is_alive, pod, read_pid, run, shell, start, within,
};

/// Starts a grandchild that left its command's group and session, whose parent is gone, and prints its id; the
/// command itself goes on.
const DAEMON: &str = "(setsid sh -c 'echo $$; exec sleep 1000' &); exec sleep 1000";
/// The same with an empty environment; its parent is still there.
const NAMELESS: &str = "env -i setsid sh -c 'echo $$; exec sleep 1000' & wait";

fn key() -> ObjectKey {
    ObjectKey::new(Kind::Pod, NAMESPACE, POD)
}

#[tokio::test]
async fn giving_a_command_up_kills_its_whole_tree() {
    let cluster = cluster().await;
    for tty in [false, true] {
        for script in [DAEMON, NAMELESS, "exec env -i sh -c 'echo $$; exec sleep 1000'"] {
            let mut process = start(&cluster, ExecRequest { tty, ..shell(script) }).await;
            let descendant = read_pid(&mut process.stdout).await;
            assert!(is_alive(descendant));
            drop(process.guard);
            assert_eq!(
                within(process.end).await,
                ExecEnd::Signaled { signal: 9 },
                "{script}"
            );
            assert!(!is_alive(descendant), "{script}, tty {tty}");
        }
    }
}

#[tokio::test]
async fn giving_one_command_up_leaves_the_others_alone() {
    let cluster = cluster().await;
    let mut other = start(&cluster, shell(DAEMON)).await;
    let daemon = read_pid(&mut other.stdout).await;
    let process = start(&cluster, shell("exec sleep 1000")).await;
    drop(process.guard);
    within(process.end).await;
    assert!(is_alive(daemon));
    // A finished command's guard kills nothing either.
    let ran = run(&cluster, shell("sleep 1000 >/dev/null 2>&1 & echo $!")).await;
    assert!(is_alive(ran.text().trim().parse().unwrap()));
}

#[tokio::test]
async fn deleting_the_owner_of_a_pod_ends_all_that_runs_in_it() {
    let cluster = EmbeddedCluster::new().unwrap();
    let owner = cluster.create(config_map(NAMESPACE, "record")).await.unwrap();
    cluster
        .create(owned_by(pod(&container()), &[&owner]))
        .await
        .unwrap();
    let directory = cluster.pod_directory(NAMESPACE, POD).unwrap();
    let mut process = start(&cluster, shell(DAEMON)).await;
    let daemon = read_pid(&mut process.stdout).await;
    let left = run(&cluster, shell("sleep 1000 >/dev/null 2>&1 & echo $!")).await;
    let left = left.text().trim().parse().unwrap();

    assert!(
        within(cluster.delete(&owner.key(), DeleteOptions::default()))
            .await
            .unwrap()
    );
    assert!(!is_alive(daemon) && !is_alive(left));
    assert!(!directory.exists());
    assert_eq!(within(process.end).await, ExecEnd::Signaled { signal: 9 });
    assert_eq!(cluster.get(&key()).await.unwrap(), None);
    assert_eq!(cluster.pod_directory(NAMESPACE, POD), None);
}

#[tokio::test]
async fn deleting_twice_at_once_both_wait_for_the_end() {
    let cluster = cluster().await;
    let mut process = start(&cluster, shell(DAEMON)).await;
    let daemon = read_pid(&mut process.stdout).await;
    let delete = || async {
        cluster.delete(&key(), DeleteOptions::default()).await.unwrap();
        assert!(!is_alive(daemon));
    };
    within(async { tokio::join!(delete(), delete()) }).await;
    assert!(!cluster.delete(&key(), DeleteOptions::default()).await.unwrap());
}

#[tokio::test]
async fn the_last_handle_ends_everything() {
    let cluster = cluster().await;
    let directory = cluster.pod_directory(NAMESPACE, POD).unwrap();
    let mut process = start(&cluster, shell(DAEMON)).await;
    let daemon = read_pid(&mut process.stdout).await;
    let other = cluster.clone();
    drop(cluster);
    assert!(is_alive(daemon) && directory.exists());
    drop(other);
    assert!(!is_alive(daemon));
    assert!(!directory.parent().unwrap().exists());
    assert_eq!(within(process.end).await, ExecEnd::Signaled { signal: 9 });
}

#[tokio::test]
async fn a_panic_ends_everything() {
    let cluster = cluster().await;
    let directory = cluster.pod_directory(NAMESPACE, POD).unwrap();
    let mut process = start(&cluster, shell(DAEMON)).await;
    let daemon = read_pid(&mut process.stdout).await;
    let panicked = tokio::spawn(async move {
        let _cluster = cluster;
        panic!("on purpose");
    });
    assert!(panicked.await.unwrap_err().is_panic());
    assert!(!is_alive(daemon) && !directory.exists());
}

#[test]
fn a_runtime_that_is_shut_down_ends_its_commands() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (cluster, process, daemon) = runtime.block_on(async {
        let cluster = cluster().await;
        let mut process = start(&cluster, shell(DAEMON)).await;
        let daemon = read_pid(&mut process.stdout).await;
        (cluster, process, daemon)
    });
    drop(runtime);
    assert!(!is_alive(daemon));
    let end = futures::executor::block_on(process.end);
    assert!(matches!(end, ExecEnd::Lost { .. }), "{end:?}");
    drop(cluster);
}
