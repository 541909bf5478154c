//! A running `podbay serve`.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use podbay_protocol::hex::to_hex;
use podbay_tests::program;
use sha2::{Digest as _, Sha256};

/// The key of the service's own setting.
pub(crate) const KEY: &str = "the key of the first owner";
/// The key of another owner.
pub(crate) const OTHER_KEY: &str = "the key of the second owner";

/// Starts the service again whenever it ends, as a cluster or systemd does, and writes down its process id.
const KEEPER: &str = r#"while :; do "$@" & echo $! >pid; wait $!; done"#;

/// A running service, which is started again when it is killed. Dropped, it ends.
pub(crate) struct Service {
    child: Child,
    /// Open as long as it runs: it writes a line whenever it starts.
    _output: BufReader<ChildStdout>,
    url: String,
    directory: tempfile::TempDir,
}

impl Service {
    /// Starts one with these arguments and variables, on a port that is free.
    pub(crate) fn start(args: &[&str], env: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["home", "run", "tmp"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let hash = to_hex(&Sha256::digest(OTHER_KEY));
        let keys = format!(r#"[{{"name": "other", "owner": "other", "sha256": "{hash}"}}]"#);
        std::fs::write(directory.path().join("keys.json"), keys).unwrap();
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        // The one that is started again has to have the same.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(program::binary())
            .args(["serve", "--listen", &free.to_string()])
            .args(args)
            .process_group(0)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", directory.path().join("home"))
            .env("TMPDIR", directory.path().join("tmp"))
            .env("XDG_RUNTIME_DIR", directory.path().join("run"))
            .env("PODBAY_API_KEY", KEY)
            .env("PODBAY_SERVE_KEYS_FILE", "keys.json")
            .envs(env.iter().copied())
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let service = |url: &str| Self {
            url: url.to_owned(),
            child,
            _output: output,
            directory,
        };
        match line.trim().strip_prefix("listening on ") {
            Some(url) => service(url),
            None => panic!("the service did not come up: {line} {}", service("").log()),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The file with its process id.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.directory.path().join("pid")
    }

    /// The file with the key of the other owner, which it reads when it starts.
    pub(crate) fn keys_file(&self) -> PathBuf {
        self.directory.path().join("keys.json")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it has told on standard error.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// How many sessions of this machine are left.
    pub(crate) fn left(&self) -> usize {
        let sessions = self.directory.path().join("run/podbay");
        std::fs::read_dir(sessions).map_or(0, Iterator::count)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Sessions that a failed test has left go with their directories, which their agents watch.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}
