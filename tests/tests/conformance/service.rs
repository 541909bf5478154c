//! A running `podbay serve`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use podbay_tests::program;
use sha2::{Digest as _, Sha256};

/// The key of the service's own setting.
pub(crate) const KEY: &str = "the key of the first owner";
/// The key of another owner.
pub(crate) const OTHER_KEY: &str = "the key of the second owner";

/// A running service. Dropped, it ends.
pub(crate) struct Service {
    child: Child,
    url: String,
    directory: tempfile::TempDir,
}

impl Service {
    /// Starts one with these arguments and variables, on a port that the system chooses.
    pub(crate) fn start(args: &[&str], env: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["home", "run", "tmp"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let hash: String = Sha256::digest(OTHER_KEY)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let keys = format!(r#"[{{"name": "other", "owner": "other", "sha256": "{hash}"}}]"#);
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let mut child = Command::new(program::binary())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", directory.path().join("home"))
            .env("TMPDIR", directory.path().join("tmp"))
            .env("XDG_RUNTIME_DIR", directory.path().join("run"))
            .env("PODBAY_API_KEY", KEY)
            .env("PODBAY_SERVE_KEYS", keys)
            .envs(env.iter().copied())
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let service = |url: &str| Self {
            url: url.to_owned(),
            child,
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
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
