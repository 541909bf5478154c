//! How long it takes until a session is there.

use std::process::Stdio;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, WatchEvent, WatchParams};
use podbay_tests::agent::{agent_image, static_agent};
use podbay_tests::program::binary;
use podbay_tests::{DEBIAN, Namespace};
use tokio::process::Command;
use tokio::time::Instant;

use crate::figures::{Figures, time};

/// `podbay run --backend local -- true` as a whole process.
pub(crate) async fn embedded() {
    let mut figures = Figures::default();
    for round in 0..101 {
        let took = time(Command::new(binary()).args(["run", "--backend", "local", "--", "true"])).await;
        // The first brings the program into memory.
        if round > 0 {
            figures.add(took);
        }
    }
    println!(
        "{} (median at most 30)",
        figures.line("podbay run --backend local -- true, whole process")
    );
}

/// Runs each, in turns.
const ROUNDS: usize = 25;

/// The ways into a pod that are compared, by what `agent.delivery` calls them.
const DELIVERIES: [&str; 4] = ["none", "image_volume", "init_container", "upload"];

/// `podbay open` as a whole process, with each way of bringing an agent, against `kubectl run` of the same image and the same
/// command (a shell that waits), until Ready.
pub(crate) async fn with_agents(namespace: &Namespace) {
    let pods: Api<Pod> = namespace.api();
    let mut ours: [Figures; 4] = Default::default();
    let mut seen = Figures::default();
    for round in 0..=ROUNDS {
        let mut plain = None;
        for (delivery, figures) in DELIVERIES.into_iter().zip(&mut ours) {
            let podbay = namespace.podbay().env("PODBAY_AGENT_DELIVERY", delivery);
            let podbay = match delivery {
                "none" => podbay,
                "upload" => podbay.env("PODBAY_AGENT_BINARY", &static_agent()),
                _ => podbay.env("PODBAY_AGENT_IMAGE", &agent_image()),
            };
            let id = format!("{}-{round}", &delivery[..2]);
            let open = ["open", &id, "--image", DEBIAN, "-q", "--memory", "64Mi"];
            let took = time(&mut podbay.command(&open)).await;
            if delivery == "none" {
                plain = Some(pods.get(&format!("openhands-runtime-{id}")).await.unwrap());
            }
            let _ = podbay.run(&["close", &id, "--wait"]).await.expect(0);
            if round > 0 {
                figures.add(took);
            }
        }
        let took = kubectl_run(namespace, &plain.unwrap(), &format!("k{round}"), false).await;
        if round > 0 {
            seen.add(took);
        }
    }
    println!("{}", seen.line("kubectl run, until a watch sees Ready"));
    for (delivery, figures) in DELIVERIES.into_iter().zip(&ours) {
        println!(
            "{}",
            figures.line(&format!("podbay open, agent.delivery {delivery}"))
        );
        println!(
            "  {:+.0} ms against kubectl run, {:+.0} ms against none",
            figures.median() - seen.median(),
            figures.median() - ours[0].median()
        );
    }
    println!("(allowed: image_volume +100 ms against kubectl run)");
}

/// `podbay open` as a whole process against `kubectl run` of the same image and command until Ready.
pub(crate) async fn cold(namespace: &Namespace) {
    let podbay = namespace.podbay();
    let pods: Api<Pod> = namespace.api();
    let resources = ["--memory", "64Mi"];
    let (mut ours, mut seen, mut waited) = (Figures::default(), Figures::default(), Figures::default());
    for round in 0..=ROUNDS {
        let id = format!("s{round}");
        let open = [&["open", &id, "--image", DEBIAN, "-q"][..], &resources].concat();
        let took = time(&mut podbay.command(&open)).await;
        let pod = pods.get(&format!("openhands-runtime-{id}")).await.unwrap();
        let _ = podbay.run(&["close", &id, "--wait"]).await.expect(0);
        let first = kubectl_run(namespace, &pod, &format!("k{round}"), false).await;
        let second = kubectl_run(namespace, &pod, &format!("w{round}"), true).await;
        if round > 0 {
            ours.add(took);
            seen.add(first);
            waited.add(second);
        }
    }
    println!("{}", ours.line("podbay open, whole process"));
    println!("{}", seen.line("kubectl run, until a watch sees Ready"));
    println!("{}", waited.line("kubectl run and kubectl wait, whole processes"));
    println!(
        "podbay open / kubectl run until Ready seen: {:.2}; / kubectl run + wait: {:.2} (at most 1)",
        ours.median() / seen.median(),
        ours.median() / waited.median()
    );
}

/// The time from `kubectl run` to Ready, seen by a watch that was there before, or by `kubectl wait`.
async fn kubectl_run(namespace: &Namespace, like: &Pod, name: &str, wait: bool) -> std::time::Duration {
    let container = &like.spec.as_ref().unwrap().containers[0];
    let command = container.command.clone().unwrap();
    let pods: Api<Pod> = namespace.api();
    let params = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut events = pods.watch(&params, "0").await.unwrap().boxed();
    let kubectl = || {
        let mut kubectl = Command::new("kubectl");
        kubectl
            .arg("--kubeconfig")
            .arg(&namespace.cluster.kubeconfig)
            .args(["-n", &namespace.name]);
        kubectl.stdin(Stdio::null());
        kubectl
    };
    let begun = Instant::now();
    let mut run = kubectl();
    run.args([
        "run",
        name,
        "--image",
        DEBIAN,
        "--restart=Never",
        "--command",
        "--",
    ])
    .args(&command);
    time(&mut run).await;
    if wait {
        time(
            kubectl()
                .args(["wait", "--for=condition=Ready", "--timeout=60s"])
                .arg(format!("pod/{name}")),
        )
        .await;
    } else {
        while let Some(event) = events.next().await {
            let (WatchEvent::Added(pod) | WatchEvent::Modified(pod)) = event.unwrap() else {
                continue;
            };
            let conditions = pod
                .status
                .and_then(|status| status.conditions)
                .unwrap_or_default();
            if conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True")
            {
                break;
            }
        }
    }
    let took = begun.elapsed();
    pods.delete(name, &DeleteParams::default()).await.unwrap();
    while pods.get_opt(name).await.unwrap().is_some() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    took
}
