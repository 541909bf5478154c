//! Over sessions of this machine.

use podbay_tests::program;

use crate::python::{all_pass, python};
use crate::service::{KEY, Service};

#[test]
fn a_stock_v0_client_uses_sessions_of_this_machine() {
    let Some(python) = python() else { return };
    let agent = program::agent();
    let service = Service::start(
        &["--backend", "local"],
        &[("PODBAY_AGENT_BINARY", agent.to_str().unwrap())],
    );
    all_pass(&python, "v0.py", &service, "host", &[]);
    assert_eq!(service.left(), 0);
    assert!(!service.log().contains(KEY), "{}", service.log());
}
