//! The agents that are tried on a cluster: a static program to upload, and an image that the cluster's nodes have.

/// Path of a static agent, as `crates/agent/build` makes one.
///
/// # Panics
///
/// Without `PODBAY_TEST_AGENT`: an ignored test that is asked for must not pass unseen.
#[must_use]
pub fn static_agent() -> String {
    named("PODBAY_TEST_AGENT", "crates/agent/build")
}

/// Reference of an image with the agent, as `crates/agent/image` prints it.
///
/// # Panics
///
/// Without `PODBAY_TEST_AGENT_IMAGE`.
#[must_use]
pub fn agent_image() -> String {
    named(
        "PODBAY_TEST_AGENT_IMAGE",
        "crates/agent/image, and load it into the cluster",
    )
}

#[expect(clippy::panic, reason = "tests fail by panicking")]
fn named(variable: &str, how: &str) -> String {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!("this test needs an agent: set {variable} ({how})"),
    }
}
