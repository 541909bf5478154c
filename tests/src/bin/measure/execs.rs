//! Commands in a session that is there.

use std::process::Stdio;

use futures::{StreamExt as _, stream};
use podbay_protocol::hex::to_hex;
use podbay_runtime::Session;
use podbay_tests::agent::agent_image;
use podbay_tests::{DEBIAN, Namespace, Podbay};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use tokio::time::Instant;

use crate::figures::{Figures, time};

/// A way to a session's commands that is compared.
struct Way {
    name: &'static str,
    /// The session's id: those of one delivery share one.
    id: &'static str,
    /// Settings, by key.
    settings: Vec<(&'static str, String)>,
}

/// By the API server's exec, and by an agent that is mounted: through the API server, and at the pod's address, which this
/// machine reaches.
fn ways() -> [Way; 3] {
    let agent = |dial: &str| {
        vec![
            ("agent.delivery", "image_volume".to_owned()),
            ("agent.image", agent_image()),
            ("agent.dial", dial.to_owned()),
        ]
    };
    [
        Way {
            name: "exec",
            id: "demo",
            settings: vec![("agent.delivery", "none".to_owned())],
        },
        Way {
            name: "agent, port-forward",
            id: "demo-agent",
            settings: agent("port-forward"),
        },
        Way {
            name: "agent, pod IP",
            id: "demo-agent",
            settings: agent("pod-ip"),
        },
    ]
}

impl Way {
    async fn session(&self, namespace: &Namespace) -> Session {
        let settings: Vec<(&str, &str)> = self
            .settings
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let podbay = namespace.library(&settings).await;
        podbay
            .session(self.id)
            .image(DEBIAN)
            .memory("128Mi")
            .open()
            .await
            .unwrap()
    }

    /// The program with the same settings, which are variables to it.
    fn program(&self, namespace: &Namespace) -> Podbay {
        self.settings
            .iter()
            .fold(namespace.podbay(), |podbay, (key, value)| {
                podbay.env(&format!("PODBAY_{}", key.replace('.', "_").to_uppercase()), value)
            })
    }
}

/// `podbay exec demo -- true` by each way against `kubectl exec POD -- true`, whole processes in turns.
pub(crate) async fn whole_processes(namespace: &Namespace) {
    let ways = ways();
    let mut pod = String::new();
    for way in &ways {
        pod = way.session(namespace).await.pod_name();
    }
    let mut ours: [Figures; 3] = Default::default();
    let mut theirs = Figures::default();
    for round in 0..51 {
        for (way, figures) in ways.iter().zip(&mut ours) {
            let podbay = way.program(namespace);
            let took = time(&mut podbay.command(&["exec", way.id, "--", "true"])).await;
            if round > 0 {
                figures.add(took);
            }
        }
        let mut kubectl = Command::new("kubectl");
        kubectl
            .arg("--kubeconfig")
            .arg(&namespace.cluster.kubeconfig)
            .args(["-n", &namespace.name]);
        let other = time(kubectl.args(["exec", &pod, "--", "true"]).stdin(Stdio::null())).await;
        if round > 0 {
            theirs.add(other);
        }
    }
    println!("{}", theirs.line("kubectl exec POD -- true"));
    for (way, figures) in ways.iter().zip(&ours) {
        println!(
            "{}",
            figures.line(&format!("podbay exec {} -- true, {}", way.id, way.name))
        );
        println!("  ratio of medians: {:.2}", figures.median() / theirs.median());
    }
    println!("(allowed: exec 0.8, port-forward 0.4, pod IP 0.25)");
}

/// One command of a process that runs, by each way, against one exec of client-go's, in turns of 20.
pub(crate) async fn calls(namespace: &Namespace) {
    let ways = ways();
    let mut sessions = Vec::new();
    for way in &ways {
        let session = way.session(namespace).await;
        assert!(session.exec(["true"]).await.unwrap().success());
        sessions.push(session);
    }
    let pod = sessions[0].pod_name();
    let mut ours: [Figures; 3] = Default::default();
    let mut theirs = String::new();
    for _ in 0..5 {
        for (session, figures) in sessions.iter().zip(&mut ours) {
            for _ in 0..20 {
                let begun = Instant::now();
                assert!(session.exec(["true"]).await.unwrap().success());
                figures.add(begun.elapsed());
            }
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
    for (way, figures) in ways.iter().zip(&ours) {
        println!(
            "{}",
            figures.line(&format!("one command by the library, {}", way.name))
        );
        println!(
            "  ratio of medians: {:.3}, {:.1} times as fast",
            figures.median() / samples.median(),
            samples.median() / figures.median()
        );
    }
    println!("(allowed: exec 1, pod IP 20 times as fast)");
}

/// 1,000 execs of `seq 1 200000`, four at once.
pub(crate) async fn integrity(namespace: &Namespace) {
    let session = ways()[0].session(namespace).await;
    let text: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    let expected = to_hex(&Sha256::digest(&text));
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
