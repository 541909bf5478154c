//! A setting that no code reads is a bug: what of them does not show in a session's objects, which `podbay-manifests` has
//! tests of, shows here in what a session or a client does.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

/// Declares the settings of a module, each with the test that shows what it does.
///
/// `paused` tests run on a virtual clock, `real` ones on sockets of this machine.
macro_rules! effects {
    ($clock:ident: $($key:literal => $shows:ident;)+) => {
        /// The settings that have a test here.
        pub(crate) const KEYS: &[&str] = &[$($key),+];

        mod shown {
            $(effects!(@$clock $shows);)+
        }
    };
    (@paused $shows:ident) => {
        #[tokio::test(start_paused = true)]
        async fn $shows() {
            super::$shows().await;
        }
    };
    (@real $shows:ident) => {
        #[tokio::test]
        async fn $shows() {
            super::$shows().await;
        }
    };
}

mod agent;
mod answering;
mod api_server;
mod cluster;
mod commands;
mod coverage;
mod keeping;
mod limits;
mod patience;
mod setup;
#[path = "../support/mod.rs"]
mod support;
mod tries;
