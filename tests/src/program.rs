//! The built `podbay`, as a user runs it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

/// No command of a test takes longer; what hangs is killed and fails.
const LIMIT: Duration = Duration::from_secs(180);

/// The program with a cluster and a namespace.
#[derive(Clone, Debug)]
pub struct Podbay {
    program: PathBuf,
    global: Vec<OsString>,
    env: Vec<(String, String)>,
}

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: i32,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// Its standard error, as text.
    pub stderr: String,
}

impl Finished {
    /// Its standard output, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its standard output as JSON.
    #[expect(clippy::expect_used, reason = "tests fail by panicking")]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).expect("JSON on standard output")
    }

    /// Itself, having ended with `code`.
    #[must_use]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            code,
            "stdout: {}\nstderr: {}",
            self.text(),
            self.stderr
        );
        self
    }
}

/// The agent to test: beside the programs of this build.
///
/// # Panics
///
/// Where it was not built.
#[expect(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
pub fn agent() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let agent = test
        .parent()
        .and_then(Path::parent)
        .map(|build| build.join("podbay-agent"));
    match agent.filter(|agent| agent.is_file()) {
        Some(agent) => agent,
        None => panic!("a built agent: cargo build -p podbay-agent"),
    }
}

/// The `podbay` to test.
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("PODBAY_TEST_BINARY") {
        return path.into();
    }
    // Tests are in target/PROFILE/deps, programs beside it.
    let own = std::env::current_exe().expect("a path");
    let profile = own.ancestors().find(|path| path.join("podbay").is_file());
    profile
        .expect("a built podbay: cargo build -p podbay")
        .join("podbay")
}

impl Podbay {
    /// The program with a kubeconfig and a namespace.
    pub fn new(kubeconfig: &Path, namespace: &str) -> Self {
        let global = [
            "--kubeconfig".into(),
            kubeconfig.into(),
            "--namespace".into(),
            namespace.into(),
        ];
        let cpu = (
            "PODBAY_KUBERNETES_RESOURCE_CPU_REQUEST".to_owned(),
            crate::SMALL_CPU.to_owned(),
        );
        Self {
            program: binary(),
            global: global.to_vec(),
            env: vec![cpu],
        }
    }

    /// The same with a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A command to be run.
    pub fn command<S: AsRef<str>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.global)
            .args(args.iter().map(AsRef::as_ref))
            .envs(self.env.clone());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs it.
    pub async fn run<S: AsRef<str>>(&self, args: &[S]) -> Finished {
        self.run_with_input(args, Vec::new()).await
    }

    /// Runs it with an input.
    #[expect(clippy::expect_used, reason = "tests fail by panicking")]
    pub async fn run_with_input<S: AsRef<str>>(&self, args: &[S], input: Vec<u8>) -> Finished {
        let mut command = self.command(args);
        if !input.is_empty() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().expect("podbay starts");
        if let Some(mut stdin) = child.stdin.take() {
            tokio::spawn(async move {
                // A command may end without reading all of it.
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stdin, &input).await;
            });
        }
        let words = || args.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" ");
        let Ok(output) = tokio::time::timeout(LIMIT, child.wait_with_output()).await else {
            let hung = words();
            assert!(hung.is_empty(), "podbay {hung} took longer than {LIMIT:?}");
            return Finished {
                code: -1,
                stdout: Vec::new(),
                stderr: String::new(),
            };
        };
        let Output {
            status,
            stdout,
            stderr,
        } = output.expect("podbay ends");
        let code = status.code().unwrap_or(-1);
        Finished {
            code,
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }
}
