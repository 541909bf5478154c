//! The program that was built, in surroundings of its own.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A directory for everything the program may look for or leave: home, temporary files, working directory.
pub(crate) struct Surroundings {
    directory: TempDir,
}

impl Surroundings {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["home", "run", "tmp", "work"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// The program with these arguments: no cluster to be found, no configuration, an empty standard input.
    pub(crate) fn podbay<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_podbay"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .current_dir(self.path("work"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The same with the signals that a job in the background of a script inherits as ignored at their defaults, as a
    /// program in the foreground has them: the tests may themselves be run in the background.
    pub(crate) fn podbay_in_foreground<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let podbay = self.podbay(args);
        let mut command = Command::new("env");
        command
            .arg("--default-signal=HUP,INT,QUIT,TERM")
            .arg(podbay.get_program())
            .args(podbay.get_args())
            .env_clear()
            .envs(podbay.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(self.path("work"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// `podbay run --backend local` with flags, and what is run by a shell.
    pub(crate) fn run(&self, flags: &[&str], script: &str) -> Finished {
        let command = ["--", "sh", "-c", script];
        let args = ["run", "--backend", "local"].iter().chain(flags).chain(&command);
        finish(self.podbay(args))
    }

    /// What sessions left in the temporary directory.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        std::fs::read_dir(self.path("tmp"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }
}

/// What a program that has ended left.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Finished {
    pub(crate) fn out(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// The one line of JSON that standard output is to be.
    pub(crate) fn record(&self) -> serde_json::Value {
        let line = self.out().strip_suffix('\n').unwrap();
        assert!(!line.contains('\n'), "{line}");
        serde_json::from_str(line).unwrap()
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs to the end.
pub(crate) fn finish(mut command: Command) -> Finished {
    command.output().unwrap().into()
}
