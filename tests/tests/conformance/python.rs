//! A Python that has the stock client.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::service::{KEY, OTHER_KEY, Service};

/// What `install` exits with where there is no Python 3.12, or nothing is installed.
const NONE: i32 = 3;

/// The cases of the V0 client that its own server can pass: not that of Python cells, which are a plugin of OpenHands' own image, and not
/// that of `list_files` on a paused session, which the client gives ten seconds, in which the server need not have started.
pub(crate) const STOCK_V0_SERVER: &[&str] = &[
    "start_run_copy_close",
    "a_second_client_attaches",
    "attaching_to_nothing_is_not_found",
    "pause_and_resume",
    "run_wakes_a_paused_session",
    "parallel_starts_of_one_id_are_one_session",
    "one_id_of_two_owners_is_two_sessions",
    "a_bad_image_is_told_in_seconds",
    "the_url_of_a_stopped_session_keeps_answering",
    "a_wrong_session_key_is_refused",
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

/// A generation of OpenHands' clients.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Generation {
    /// `RemoteRuntime` of openhands-ai 1.6.0.
    V0,
    /// `APIRemoteWorkspace` of openhands-workspace 1.58.2, and the agent-server of that version.
    V1,
    /// The app server of openhands-ai 1.11.0, and the agent-server that it pins.
    App,
}

impl Generation {
    const fn word(self) -> &'static str {
        match self {
            Self::V0 => "v0",
            Self::V1 => "v1",
            Self::App => "app",
        }
    }
}

/// A Python with clients of a generation; `None`, with the reason printed, if there is none. Nothing is installed here: this is among
/// the tests that need no network. `.ci/run conformance` installs it, and fails without where it must be there.
pub(crate) fn python(generation: Generation) -> Option<PathBuf> {
    let output = Command::new(directory().join("install"))
        .args(["--check", generation.word()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0) => Some(String::from_utf8(output.stdout).unwrap().trim().into()),
        Some(NONE) => {
            println!("not run: {reason}");
            None
        }
        _ => panic!("there is no stock client to try: {reason}"),
    }
}

/// Runs all cases of a program against a service. Each must pass.
pub(crate) fn all_pass(python: &Path, program: &str, service: &Service, image: &str, more: &[&str]) {
    let output = Command::new(python)
        .arg(directory().join(program))
        .args([service.url(), KEY, image, "--other-key", OTHER_KEY, "--pid-file"])
        .arg(service.pid_file())
        .arg("--keys-file")
        .arg(service.keys_file())
        .args(more)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONWARNINGS", "ignore")
        .current_dir(service.directory())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    let lines = || told.lines();
    let passed = lines().filter(|line| line.starts_with("PASS ")).count();
    let failed = lines().any(|line| line.starts_with("FAIL ") || line.starts_with("SKIP "));
    assert!(
        output.status.success() && passed > 0 && !failed,
        "{told}\n{}\nthe service: {}",
        String::from_utf8_lossy(&output.stderr),
        service.log()
    );
}
