//! Over sessions of this machine.

use std::path::Path;

use podbay_tests::program;

use crate::python::{Generation, STOCK_V0_SERVER, all_pass, python};
use crate::service::{KEY, Service};
use crate::warm;

/// Each session has a port of this machine.
const PORTS: &[&str] = &["--backend", "local", "--url-style", "port"];
/// Each session has a name below `localhost`, which the programs resolve for themselves.
const HOSTS: &[&str] = &["--backend", "local", "--url-style", "host"];

#[test]
fn a_stock_v0_client_uses_sessions_of_this_machine() {
    let Some(python) = python(Generation::V0) else {
        return;
    };
    uses(&python, "v0.py", PORTS, &[], &[]);
}

/// Of all cases the one that takes each step once: a server takes many seconds to start.
#[test]
fn a_stock_v1_client_uses_an_agent_server_of_this_machine() {
    uses_an_agent_server(PORTS, &["start_run_copy_pause_resume_attach_stop"]);
}

#[test]
#[ignore = "takes minutes: .ci/run long"]
fn a_stock_v1_client_has_all_it_may_expect_by_ports() {
    uses_an_agent_server(PORTS, &[]);
}

#[test]
#[ignore = "takes minutes: .ci/run long"]
fn a_stock_v1_client_has_all_it_may_expect_by_hosts() {
    uses_an_agent_server(HOSTS, &[]);
}

/// The server of openhands-ai 1.6.0 in place of the agent. It has commands run by the user that its client names, and makes that one where it
/// is not there: on this machine that is root.
#[test]
#[ignore = "takes minutes, and needs root: .ci/run long"]
fn a_stock_v0_client_uses_the_stock_server_of_this_machine() {
    let Some(python) = python(Generation::V0) else {
        return;
    };
    let server = ("PODBAY_SERVE_V0_SERVER", "image");
    // Its directory is one of this machine.
    let work = tempfile::tempdir().unwrap();
    let own = [
        "--server",
        "image",
        "--as-root",
        "--work",
        work.path().to_str().unwrap(),
    ];
    let more = [&own, STOCK_V0_SERVER].concat();
    uses(&python, "v0.py", HOSTS, &[server], &more);
}

#[test]
#[ignore = "takes minutes: .ci/run long"]
fn a_stock_app_server_has_sandboxes_of_this_machine() {
    let Some(python) = python(Generation::App) else {
        return;
    };
    let work = tempfile::tempdir().unwrap();
    let configs = warm::configs(work.path(), "host");
    let file = ("PODBAY_SERVE_WARM_RUNTIMES_FILE", configs.to_str().unwrap());
    uses(&python, "app.py", HOSTS, &[file], &[]);
}

fn uses_an_agent_server(style: &[&str], cases: &[&str]) {
    if let Some(python) = python(Generation::V1) {
        uses(&python, "v1.py", style, &[], cases);
    }
}

/// Runs a program against a service of this machine.
fn uses(python: &Path, program: &str, style: &[&str], env: &[(&str, &str)], cases: &[&str]) {
    // The servers are beside the client's Python, and the image `host` is what this machine's search path has.
    let mut path = vec![python.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let path = std::env::join_paths(path).unwrap();
    let agent = program::agent();
    let mut all = vec![
        ("PODBAY_AGENT_BINARY", agent.to_str().unwrap()),
        ("PATH", path.to_str().unwrap()),
    ];
    all.extend(env);
    let service = Service::start(style, &all);
    all_pass(python, program, &service, "host", cases);
    assert_eq!(service.left(), 0);
    assert!(!service.log().contains(KEY), "{}", service.log());
}
