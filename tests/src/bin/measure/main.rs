//! The figures of `docs/benchmarks.md`: each row of what must be shown, measured here, side by side in one run
//! where two are compared.
//!
//! ```text
//! cargo build --release -p podbay -p podbay-tests
//! export PODBAY_TEST_KUBECONFIG=$(tests/cluster/up) PODBAY_TEST_BINARY=$PWD/target/release/podbay
//! tests/cluster/in target/release/measure all
//! ```

#![expect(clippy::print_stdout, reason = "a program whose output are its figures")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails ends")]

mod audit;
mod execs;
mod figures;
mod image;
mod kills;
mod starts;

use podbay_tests::{Namespace, in_namespace};

/// What can be measured.
const ALL: [&str; 9] = [
    "writes",
    "reads",
    "embedded",
    "start",
    "exec-process",
    "exec-call",
    "integrity",
    "image",
    "kills",
];

#[tokio::main]
async fn main() {
    let mut asked: Vec<String> = std::env::args().skip(1).collect();
    if asked.is_empty() {
        println!("usage: measure all | {}", ALL.join(" | "));
        return;
    }
    if asked == ["all"] {
        asked = ALL.map(str::to_owned).to_vec();
    }
    for what in asked {
        println!("## {what}");
        if what == "embedded" {
            starts::embedded().await;
            continue;
        }
        in_namespace(&format!("measure-{what}"), async |namespace| {
            measure(&what, namespace).await;
        })
        .await;
    }
}

async fn measure(what: &str, namespace: Namespace) {
    match what {
        "writes" => audit::writes_of_a_run(&namespace).await,
        "reads" => audit::reads_of_waiting_sessions(&namespace).await,
        "start" => starts::cold(&namespace).await,
        "exec-process" => execs::whole_processes(&namespace).await,
        "exec-call" => execs::calls(&namespace).await,
        "integrity" => execs::integrity(&namespace).await,
        "image" => image::verdicts(&namespace).await,
        "kills" => kills::twenty_moments(&namespace).await,
        other => println!("nothing is called {other}: {}", ALL.join(", ")),
    }
}
