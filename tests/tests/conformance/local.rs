//! Over sessions of this machine.

use podbay_tests::program;

use crate::python::{Generation, all_pass, python};
use crate::service::{KEY, Service};

#[test]
fn a_stock_v0_client_uses_sessions_of_this_machine() {
    let Some(python) = python(Generation::V0) else {
        return;
    };
    let agent = program::agent();
    let service = Service::start(
        &["--backend", "local"],
        &[("PODBAY_AGENT_BINARY", agent.to_str().unwrap())],
    );
    all_pass(&python, "v0.py", &service, "host", &[]);
    assert_eq!(service.left(), 0);
    assert!(!service.log().contains(KEY), "{}", service.log());
}

/// Of all cases the one that takes each step once: a server takes many seconds to start.
#[test]
fn a_stock_v1_client_uses_an_agent_server_of_this_machine() {
    uses_an_agent_server(&["start_run_copy_pause_resume_attach_stop"]);
}

#[test]
#[ignore = "takes minutes: .ci/run long"]
fn a_stock_v1_client_has_all_it_may_expect() {
    uses_an_agent_server(&[]);
}

fn uses_an_agent_server(cases: &[&str]) {
    let Some(python) = python(Generation::V1) else {
        return;
    };
    // The server is beside the client's Python, and the image `host` is what this machine's search path has.
    let mut path = vec![python.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let path = std::env::join_paths(path).unwrap();
    let agent = program::agent();
    let service = Service::start(
        &["--backend", "local"],
        &[
            ("PODBAY_AGENT_BINARY", agent.to_str().unwrap()),
            ("PATH", path.to_str().unwrap()),
        ],
    );
    all_pass(&python, "v1.py", &service, "host", cases);
    assert_eq!(service.left(), 0);
    assert!(!service.log().contains(KEY), "{}", service.log());
}
