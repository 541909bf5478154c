//! Commands in a session that is there.

use std::process::Stdio;

use futures::{StreamExt as _, stream};
use podbay_runtime::Session;
use podbay_tests::{DEBIAN, Namespace};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use tokio::time::Instant;

use crate::figures::{Figures, time};

async fn session(namespace: &Namespace) -> Session {
    let podbay = namespace.library(&[]).await;
    podbay
        .session("demo")
        .image(DEBIAN)
        .memory("128Mi")
        .open()
        .await
        .unwrap()
}

/// `podbay exec demo -- true` against `kubectl exec POD -- true`, whole processes in turns.
pub(crate) async fn whole_processes(namespace: &Namespace) {
    let pod = session(namespace).await.pod_name();
    let podbay = namespace.podbay();
    let (mut ours, mut theirs) = (Figures::default(), Figures::default());
    for round in 0..51 {
        let mine = time(&mut podbay.command(&["exec", "demo", "--", "true"])).await;
        let mut kubectl = Command::new("kubectl");
        kubectl
            .arg("--kubeconfig")
            .arg(&namespace.cluster.kubeconfig)
            .args(["-n", &namespace.name]);
        let other = time(kubectl.args(["exec", &pod, "--", "true"]).stdin(Stdio::null())).await;
        if round > 0 {
            ours.add(mine);
            theirs.add(other);
        }
    }
    println!("{}", ours.line("podbay exec demo -- true"));
    println!("{}", theirs.line("kubectl exec POD -- true"));
    println!(
        "ratio of medians: {:.2} (at most 0.8)",
        ours.median() / theirs.median()
    );
}

/// One exec of a process that runs against one of client-go's, in turns of 20.
pub(crate) async fn calls(namespace: &Namespace) {
    let session = session(namespace).await;
    let pod = session.pod_name();
    let mut ours = Figures::default();
    let mut theirs = String::new();
    assert!(session.exec(["true"]).await.unwrap().success());
    for _ in 0..5 {
        for _ in 0..20 {
            let begun = Instant::now();
            assert!(session.exec(["true"]).await.unwrap().success());
            ours.add(begun.elapsed());
        }
        let output = Command::new("podbay-bench")
            .args(["exec", "20", "ws", &namespace.name, &pod, "true"])
            .env("KUBECONFIG", &namespace.cluster.kubeconfig)
            .output()
            .await
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        theirs.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    println!("{}", ours.line("one exec by the library"));
    // `exec-ws sample=1 ms=66.7`, a line a sample.
    let mut samples = Figures::default();
    for millis in theirs
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("ms="))
    {
        samples.add(std::time::Duration::from_secs_f64(
            millis.parse::<f64>().unwrap() / 1000.0,
        ));
    }
    println!("{}", samples.line("one exec by client-go"));
    println!(
        "ratio of medians: {:.2} (at most 1)",
        ours.median() / samples.median()
    );
}

/// 1,000 execs of `seq 1 200000`, four at once.
pub(crate) async fn integrity(namespace: &Namespace) {
    let session = session(namespace).await;
    let text: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    let expected: String = Sha256::digest(&text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let begun = Instant::now();
    let runs = stream::iter(0..1000).map(|_| session.exec(["seq", "1", "200000"]));
    let outcomes: Vec<_> = runs.buffer_unordered(4).collect().await;
    let (mut wrong_bytes, mut wrong_ends) = (0, 0);
    for outcome in &outcomes {
        match outcome {
            Ok(outcome) => {
                wrong_bytes += usize::from(outcome.stdout.sha256 != expected);
                wrong_ends += usize::from(!outcome.success());
            }
            Err(error) => {
                wrong_ends += 1;
                println!("{}", error.chain());
            }
        }
    }
    println!(
        "execs of `seq 1 200000`: runs={} wrong_output={wrong_bytes} wrong_end={wrong_ends} ({:.0} s; 0 and 0 allowed)",
        outcomes.len(),
        begun.elapsed().as_secs_f64()
    );
}
