//! The figures of `docs/benchmarks.md`: each row of what must be shown, measured here, side by side in one run
//! where two are compared.
//!
//! ```text
//! cargo build --release -p podbay -p podbay-tests
//! export PODBAY_TEST_KUBECONFIG=$(tests/cluster/up) PODBAY_TEST_BINARY=$PWD/target/release/podbay
//! crates/agent/build && export PODBAY_TEST_AGENT=$PWD/target/agent/podbay-agent
//! export PODBAY_TEST_AGENT_IMAGE=$(crates/agent/image) && tests/cluster/image load target/agent/image.oci.tar
//! tests/cluster/in target/release/measure all
//! ```

#![expect(clippy::print_stdout, reason = "a program whose output are its figures")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails ends")]

mod actions;
mod audit;
mod copies;
mod execs;
mod figures;
mod image;
mod kills;
mod machine;
mod scale;
mod starts;

use podbay_tests::{Namespace, in_namespace};

/// What can be measured.
const ALL: [&str; 15] = [
    "scale",
    "writes",
    "reads",
    "embedded",
    "agent",
    "agent-commands",
    "start",
    "start-agent",
    "first-action",
    "exec-process",
    "exec-call",
    "integrity",
    "copies",
    "image",
    "kills",
];

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    // How `scale` calls this program again.
    if let [one] = &asked[..]
        && let Some(at_once) = one.strip_prefix("scale=")
    {
        return scale::sessions_at_once(at_once.parse().unwrap());
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(all(asked));
}

async fn all(mut asked: Vec<String>) {
    if asked.is_empty() {
        println!("usage: measure all | {}", ALL.join(" | "));
        return;
    }
    if asked == ["all"] {
        asked = ALL.map(str::to_owned).to_vec();
    }
    for what in asked {
        println!("## {what}");
        match what.as_str() {
            "embedded" => starts::embedded().await,
            "agent" => machine::agent().await,
            "agent-commands" => machine::commands().await,
            "scale" => scale::sessions().await,
            _ => {
                in_namespace(&format!("measure-{what}"), async |namespace| {
                    measure(&what, namespace).await;
                })
                .await;
            }
        }
    }
}

async fn measure(what: &str, namespace: Namespace) {
    match what {
        "writes" => audit::writes_of_a_run(&namespace).await,
        "reads" => audit::reads_of_waiting_sessions(&namespace).await,
        "start" => starts::cold(&namespace).await,
        "start-agent" => starts::with_agents(&namespace).await,
        "first-action" => actions::first(&namespace).await,
        "exec-process" => execs::whole_processes(&namespace).await,
        "exec-call" => execs::calls(&namespace).await,
        "integrity" => execs::integrity(&namespace).await,
        "copies" => copies::large_files(&namespace).await,
        "image" => image::verdicts(&namespace).await,
        "kills" => kills::twenty_moments(&namespace).await,
        other => println!("nothing is called {other}: {}", ALL.join(", ")),
    }
}
