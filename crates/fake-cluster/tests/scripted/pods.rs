//! What pods show while they start, run and end.

use std::time::Duration;

use podbay_fake_cluster::testing::{object, pod};
use podbay_fake_cluster::{
    ImageTrouble, Incident, Script, ScriptedCluster, Trouble, Unschedulable, VolumeTrouble,
};
use podbay_k8s_client::{ClusterClient as _, DeleteOptions, Kind};
use serde_json::json;

use crate::harness::{
    NAMESPACE, after, condition, events, exists, get_pod, key, phase, reasons, seconds, state,
};

#[tokio::test(start_paused = true)]
async fn a_pod_starts_step_by_step_and_is_ready() {
    let script = Script::ready()
        .schedule_for(Duration::from_secs(1))
        .sandbox_for(Duration::from_secs(2))
        .pull_for(Duration::from_secs(4))
        .start_for(Duration::from_secs(1))
        .ready_after(Duration::from_secs(3));
    let cluster = ScriptedCluster::new();
    cluster.script(|_| true, script);
    let probed =
        json!({"containers": [{"name": "main", "image": "i", "readinessProbe": {"tcpSocket": {"port": 1}}}]});
    cluster.create(pod(NAMESPACE, "p", &probed)).await.unwrap();
    let mut seen = Vec::new();
    for time in [0, 1, 2, 5, 3] {
        tokio::time::sleep(Duration::from_secs(time) + Duration::from_millis(20)).await;
        let pod = get_pod(&cluster, "p").await;
        seen.push([
            condition(&pod, "PodScheduled"),
            condition(&pod, "PodReadyToStartContainers"),
            phase(&pod).to_owned(),
            state(&pod),
            condition(&pod, "Ready"),
        ]);
    }
    let unready = "False ContainersNotReady";
    let expected = [
        ["", "", "Pending", "", ""],
        ["True", "False", "Pending", "waiting ContainerCreating", unready],
        ["True", "True", "Pending", "waiting ContainerCreating", unready],
        ["True", "True", "Running", "running", unready],
        ["True", "True", "Running", "running", "True"],
    ];
    assert_eq!(seen, expected);
    let pod = get_pod(&cluster, "p").await;
    let expected = ["Scheduled", "Pulling", "Pulled", "Created", "Started"];
    assert_eq!(reasons(&cluster, &pod).await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_pod_from_starting_shows() {
    let gone = Trouble::Config {
        message: "secret \"x\" not found".to_owned(),
    };
    for (trouble, state_seen, reason) in [
        (
            Trouble::Image(ImageTrouble::NotFound),
            "waiting ImagePullBackOff",
            "BackOff",
        ),
        (
            Trouble::Image(ImageTrouble::InvalidName),
            "waiting InvalidImageName",
            "InspectFailed",
        ),
        (
            Trouble::Image(ImageTrouble::NeverPresent),
            "waiting ErrImageNeverPull",
            "ErrImageNeverPull",
        ),
        (gone, "waiting CreateContainerConfigError", "Failed"),
        (
            Trouble::Volume(VolumeTrouble::Attach {
                message: "Multi-Attach".to_owned(),
            }),
            "waiting ContainerCreating",
            "FailedAttachVolume",
        ),
        (
            Trouble::Sandbox {
                message: "no network".to_owned(),
            },
            "waiting ContainerCreating",
            "FailedCreatePodSandBox",
        ),
        (
            Trouble::Unschedulable(Unschedulable::NodeSelector),
            "",
            "FailedScheduling",
        ),
        (
            Trouble::Start {
                message: "no such file".to_owned(),
            },
            "terminated StartError 128",
            "Failed",
        ),
    ] {
        let (cluster, pod) = after(Script::stuck(trouble.clone()), &json!({}), 5).await;
        assert_eq!(state(&pod), state_seen, "{trouble:?}");
        let reasons = reasons(&cluster, &pod).await;
        assert!(
            reasons.iter().any(|seen| seen == reason),
            "{trouble:?}: {reasons:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_scheduler_has_its_words() {
    let full = Unschedulable::Full {
        resource: "cpu".to_owned(),
    };
    let (_, pod) = after(Script::stuck(Trouble::Unschedulable(full)), &json!({}), 1).await;
    assert_eq!(condition(&pod, "PodScheduled"), "False Unschedulable");
    let conditions = pod.status.unwrap().conditions.unwrap();
    assert_eq!(
        conditions[0].message.as_deref(),
        Some(
            "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption \
             victims found for incoming pod."
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_trouble_that_passes_lets_the_pod_start() {
    let unreachable = Trouble::Image(ImageTrouble::Unreachable);
    let script = Script::default().trouble_for(unreachable, Duration::from_secs(30));
    let (cluster, pod) = after(script, &json!({}), 29).await;
    assert!(state(&pod).starts_with("waiting"), "{}", state(&pod));
    seconds(2).await;
    let pod = get_pod(&cluster, "p").await;
    assert_eq!(
        (phase(&pod), condition(&pod, "Ready").as_str()),
        ("Running", "True")
    );
    let failed = events(&cluster, &pod).await.into_iter();
    let mut pulls = failed.filter(|event| {
        event
            .message
            .as_deref()
            .is_some_and(|text| text.starts_with("Failed to pull"))
    });
    assert!(pulls.next().unwrap().count.unwrap() > 1);
}

#[tokio::test(start_paused = true)]
async fn incidents_end_pods_as_a_cluster_does() {
    let evict = Incident::Evict {
        message: "The node was low on resource: memory.".to_owned(),
    };
    for (incident, ended, state_seen, disruption) in [
        (
            Incident::Exit { code: 0 },
            "Succeeded",
            "terminated Completed 0",
            "",
        ),
        (Incident::Exit { code: 3 }, "Failed", "terminated Error 3", ""),
        (Incident::OutOfMemory, "Failed", "terminated OOMKilled 137", ""),
        (
            evict,
            "Failed",
            "terminated Error 137",
            "True TerminationByKubelet",
        ),
        (
            Incident::ShutDownNode,
            "Failed",
            "terminated Error 137",
            "True TerminationByKubelet",
        ),
    ] {
        let (cluster, pod) = after(Script::ready(), &json!({}), 1).await;
        assert_eq!(state(&pod), "running");
        cluster.happen(NAMESPACE, "p", &incident).unwrap();
        let pod = get_pod(&cluster, "p").await;
        assert_eq!(
            (phase(&pod), state(&pod)),
            (ended, state_seen.to_owned()),
            "{incident:?}"
        );
        assert_eq!(condition(&pod, "DisruptionTarget"), disruption, "{incident:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_preempted_pod_is_marked_and_goes_in_its_grace_period() {
    let script = Script::ready().terminate_for(Duration::from_secs(100));
    let (cluster, _) = after(script, &json!({"terminationGracePeriodSeconds": 10}), 1).await;
    cluster.preempt(NAMESPACE, "p").unwrap();
    let pod = get_pod(&cluster, "p").await;
    assert_eq!(condition(&pod, "DisruptionTarget"), "True PreemptionByScheduler");
    assert_eq!(pod.metadata.deletion_grace_period_seconds, Some(10));
    assert_eq!(state(&pod), "running");
    seconds(9).await;
    assert!(exists(&cluster, Kind::Pod, "p").await);
    seconds(2).await;
    assert!(!exists(&cluster, Kind::Pod, "p").await);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ends_is_restarted_if_it_is_to_be() {
    let (cluster, pod) = after(Script::exits(1), &json!({"restartPolicy": "Always"}), 1).await;
    assert_eq!(
        (phase(&pod), state(&pod)),
        ("Running", "terminated Error 1".to_owned())
    );
    seconds(1).await;
    let pod = get_pod(&cluster, "p").await;
    assert_eq!(
        (phase(&pod), state(&pod)),
        ("Running", "waiting CrashLoopBackOff".to_owned())
    );
    seconds(600).await;
    let pod = get_pod(&cluster, "p").await;
    let status = &pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0];
    assert!(
        (4..=7).contains(&status.restart_count),
        "{}",
        status.restart_count
    );
    let last = status.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!(last.exit_code, 1);
}

#[tokio::test(start_paused = true)]
async fn init_containers_come_first_and_may_fail() {
    let spec = json!({"initContainers": [{"name": "prepare", "image": "i"}]});
    let (_, pod) = after(Script::ready(), &spec, 1).await;
    assert_eq!(
        (phase(&pod), condition(&pod, "Initialized")),
        ("Running", "True".to_owned())
    );
    let fails = Trouble::Init { index: 0, code: 4 };
    let (_, pod) = after(Script::stuck(fails.clone()), &spec, 1).await;
    assert_eq!(
        (phase(&pod), state(&pod)),
        ("Failed", "waiting PodInitializing".to_owned())
    );
    let spec = json!({"restartPolicy": "Always", "initContainers": [{"name": "prepare", "image": "i"}]});
    let (_, pod) = after(Script::stuck(fails), &spec, 40).await;
    let init = &pod
        .status
        .as_ref()
        .unwrap()
        .init_container_statuses
        .as_ref()
        .unwrap()[0];
    let waiting = init.state.as_ref().unwrap().waiting.as_ref().unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("CrashLoopBackOff"));
    assert!(init.restart_count > 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_node_keeps_its_pods() {
    let (cluster, _) = after(Script::ready(), &json!({}), 1).await;
    let node = cluster.node_of(NAMESPACE, "p").unwrap();
    cluster.lose_node(&node);
    let pod = get_pod(&cluster, "p").await;
    let ready = |pod| (condition(pod, "Ready"), condition(pod, "ContainersReady"));
    assert_eq!(ready(&pod), ("False".to_owned(), "True".to_owned()));
    seconds(301).await;
    let pod = get_pod(&cluster, "p").await;
    assert_eq!(condition(&pod, "DisruptionTarget"), "True DeletionByTaintManager");
    assert!(pod.metadata.deletion_timestamp.is_some());
    seconds(3600).await;
    assert!(
        exists(&cluster, Kind::Pod, "p").await,
        "nobody is there to end it"
    );
    cluster.recover_node(&node);
    seconds(1).await;
    assert!(!exists(&cluster, Kind::Pod, "p").await);
}

#[tokio::test(start_paused = true)]
async fn a_removed_node_takes_its_pods_with_it() {
    let (cluster, _) = after(Script::ready(), &json!({}), 1).await;
    let node = cluster.node_of(NAMESPACE, "p").unwrap();
    cluster.lose_node(&node);
    cluster.remove_node(&node);
    assert!(!exists(&cluster, Kind::Pod, "p").await);
}

#[tokio::test(start_paused = true)]
async fn a_pod_has_a_deadline() {
    let (cluster, _) = after(Script::ready(), &json!({"activeDeadlineSeconds": 5}), 4).await;
    assert_eq!(phase(&get_pod(&cluster, "p").await), "Running");
    seconds(2).await;
    let pod = get_pod(&cluster, "p").await;
    assert_eq!(phase(&pod), "Failed");
    assert_eq!(pod.status.unwrap().reason.as_deref(), Some("DeadlineExceeded"));
}

#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_what_its_environment_names() {
    let from = json!({"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
    let spec = json!({"containers": [{"name": "main", "image": "i", "env": [from]}]});
    let (cluster, pod) = after(Script::ready(), &spec, 3).await;
    assert_eq!(state(&pod), "waiting CreateContainerConfigError");
    let secret = object(
        Kind::Secret,
        NAMESPACE,
        json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}}),
    );
    cluster.create(secret).await.unwrap();
    seconds(2).await;
    assert_eq!(state(&get_pod(&cluster, "p").await), "running");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_no_node_has_is_deleted_at_once() {
    let trouble = Trouble::Unschedulable(Unschedulable::NodeSelector);
    let (cluster, _) = after(Script::stuck(trouble), &json!({}), 1).await;
    assert!(
        cluster
            .delete(&key(Kind::Pod, "p"), DeleteOptions::default())
            .await
            .unwrap()
    );
    assert!(!exists(&cluster, Kind::Pod, "p").await);
}
