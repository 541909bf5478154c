//! What goes on inside, for people who look for a fault: on standard error, and only when asked for.

use std::io::{IsTerminal as _, stderr};

use podbay_config::LogFormat;
use podbay_exec_proxy::telemetry::audit;
use tracing_subscriber::EnvFilter;

use crate::output::is_plain;

/// The variable with a filter in `tracing`'s syntax (`podbay_runtime=debug,kube=info`). It wins over `-v`.
const FILTER_VARIABLE: &str = "PODBAY_LOG";

/// Starts the log of a service: what happens, at the least, in the form that is asked for; and who did what, whatever the filter says.
pub(crate) fn start_service(verbose: u8, format: LogFormat) {
    let filter = format!(
        "{},{}=info",
        chosen(verbose.max(1)).unwrap_or_default(),
        audit::TARGET
    );
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr);
    // Fails only where a subscriber is set already, and this process sets one once.
    let _ = match format {
        LogFormat::Text => builder
            .with_ansi(stderr().is_terminal() && !is_plain())
            .try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
    };
}

/// Starts logging if a filter or `-v` asks for it; without, nothing is set up, which costs nothing.
pub(crate) fn start(verbose: u8) {
    let Some(filter) = chosen(verbose) else { return };
    let colour = stderr().is_terminal() && !is_plain();
    // Fails only where a subscriber is set already, and this process sets one once.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .try_init();
}

/// The filter of the variable, or the one that so many `-v` stand for; none for none.
fn chosen(verbose: u8) -> Option<String> {
    let named = std::env::var(FILTER_VARIABLE)
        .ok()
        .filter(|filter| !filter.is_empty());
    match (named, verbose) {
        (Some(filter), _) => Some(filter),
        (None, 0) => None,
        (None, 1) => Some(of_our_crates("info")),
        (None, 2) => Some(of_our_crates("debug")),
        (None, _) => Some("debug,".to_owned() + &of_our_crates("trace")),
    }
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
