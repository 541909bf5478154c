//! What the end-to-end tests and the benchmarks share: the cluster they run on, a namespace each, the built
//! `podbay`, and a registry that has no image.
//!
//! The tests need a cluster and so are ignored by default; they say what they need. With one:
//!
//! ```text
//! cargo build -p podbay && PODBAY_TEST_KUBECONFIG=… cargo test -p podbay-tests -- --ignored
//! ```
//!
//! | variable | meaning |
//! |---|---|
//! | `PODBAY_TEST_KUBECONFIG` | the cluster; any one whose nodes have the images |
//! | `PODBAY_TEST_CLUSTER` | folder of the scripts of our own cluster, for tests that stop its components or read its audit log |
//! | `PODBAY_TEST_BINARY` | the `podbay` to test; otherwise the one beside the tests |
//! | `PODBAY_TEST_AGENT` | a static agent, for tests that bring one: `crates/agent/build` |
//! | `PODBAY_TEST_AGENT_IMAGE` | an image with it that the nodes have: `crates/agent/image` |
//! | `PODBAY_TEST_KEEP` | keeps the namespaces of failed tests |

#![expect(clippy::missing_panics_doc, reason = "tests fail by panicking")]

pub mod agent;
pub mod behaviour;
pub mod cluster;
pub mod gateway;
pub mod http;
pub mod namespace;
pub mod program;
pub mod registry;
pub mod terminal;

pub use cluster::TestCluster;
pub use namespace::{Namespace, in_namespace};
pub use program::{Finished, Podbay};

/// An image with a shell, coreutils, tar and Python.
pub const DEBIAN: &str = "podbay/debian:12";
/// An image with busybox's shell and tar.
pub const BUSYBOX: &str = "podbay/busybox:1";
/// An image with no shell at all.
pub const PAUSE: &str = "podbay/pause:1";

/// So little that dozens of sessions fit on one small node.
pub const SMALL: [&str; 2] = ["--memory", "64Mi"];

/// The CPUs a session asks the scheduler for, also little. Not by `--cpu`, which is a limit too: with so small a
/// limit the kernel throttles even the start of the container, to seconds.
pub const SMALL_CPU: &str = "20m";
