//! What goes on inside, for people who look for a fault: on standard error, and only when asked for.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

use crate::output::is_plain;

/// The variable with a filter in `tracing`'s syntax (`podbay_runtime=debug,kube=info`). It wins over `-v`.
const FILTER_VARIABLE: &str = "PODBAY_LOG";

/// Starts logging if a filter or `-v` asks for it; without, nothing is set up, which costs nothing.
pub(crate) fn start(verbose: u8) {
    let named = std::env::var(FILTER_VARIABLE)
        .ok()
        .filter(|filter| !filter.is_empty());
    let filter = match (named, verbose) {
        (Some(filter), _) => filter,
        (None, 0) => return,
        (None, 1) => of_our_crates("info"),
        (None, 2) => of_our_crates("debug"),
        (None, _) => "debug,".to_owned() + &of_our_crates("trace"),
    };
    let colour = stderr().is_terminal() && !is_plain();
    // Fails only where a subscriber is set already, and this process sets one once.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .try_init();
}

fn of_our_crates(level: &str) -> String {
    [
        "podbay",
        "podbay_exec_proxy",
        "podbay_runtime",
        "podbay_k8s_client",
        "podbay_local",
        "podbay_fake_cluster",
        "podbay_config",
        "podbay_manifests",
    ]
    .map(|name| format!("{name}={level}"))
    .join(",")
}
