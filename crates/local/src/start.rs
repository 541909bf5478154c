//! The agent of a session, started so that it outlives whoever starts it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use podbay_process::{HostEnvironment, take_over_ignored};
use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessSession};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::error::Error;
use crate::file::SessionFile;
use crate::lock::{Locked, agent_lock, log, socket};
use crate::sessions::make_files;

/// What the agent's program is called.
const NAME: &str = "podbay-agent";
/// How long an agent may take to listen: a busy machine takes a while to start a program.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);
/// Seconds that commands have to end by themselves when their session is closed.
pub(crate) const GRACE_SECONDS: u64 = 1;
/// Bytes of an agent's last words that are told.
const LAST_WORDS: usize = 2048;

/// The agent's program on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentProgram {
    path: PathBuf,
    /// How much it writes into its log: a word of its flag `--log`.
    log_level: Option<String>,
}

/// There is no agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {NAME} for sessions on this machine: looked for {looked_for}")]
pub struct NoAgent {
    /// Where it was looked for.
    pub looked_for: String,
}

/// The agent did not come up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotStarted {
    /// The session's directory could not be prepared.
    #[error(transparent)]
    Directory(#[from] Error),
    /// The program could not be started.
    #[error("the agent {} could not be started", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// It ended before it took commands.
    #[error("the agent {} ended before it took commands: {last_words}", program.display())]
    Ended {
        /// The program.
        program: PathBuf,
        /// What it said last.
        last_words: String,
    },
    /// It did not listen in time, and was killed.
    #[error("the agent {} took no commands within {seconds} s", program.display())]
    TimedOut {
        /// The program.
        program: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
}

impl AgentProgram {
    /// The agent that `configured` names; else the one beside the program `own`, else the first of the directories in `path`.
    pub fn find(
        configured: Option<&Path>,
        own: Option<&Path>,
        path: Option<&OsString>,
    ) -> Result<Self, NoAgent> {
        if let Some(named) = configured {
            if named.is_file() {
                return Ok(Self::at(named.to_owned()));
            }
            return Err(NoAgent {
                looked_for: format!("{}, which is no file", named.display()),
            });
        }
        let beside = own.and_then(Path::parent).map(Path::to_owned);
        let listed = path.map(std::env::split_paths).into_iter().flatten();
        // A relative entry is the working directory's, which may be a stranger's.
        let directories = beside
            .into_iter()
            .chain(listed.filter(|directory| directory.is_absolute()));
        let found = directories
            .map(|directory| directory.join(NAME))
            .find(|path| path.is_file());
        found.map(Self::at).ok_or_else(|| NoAgent {
            looked_for: format!("the setting agent.binary, {NAME} beside this program, and {NAME} in PATH"),
        })
    }

    const fn at(path: PathBuf) -> Self {
        Self {
            path,
            log_level: None,
        }
    }

    /// The same, which writes so much into its log: a word of its flag `--log`.
    #[must_use]
    pub fn with_log_level(self, level: &str) -> Self {
        Self {
            log_level: Some(level.to_owned()),
            ..self
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts the agent of a session that this process has locked, and waits until it takes commands. Commands get these
    /// variables; clients show `key`. Within a tokio runtime.
    ///
    /// Dropped before it is done, the agent is killed.
    pub async fn start(
        &self,
        locked: &Locked,
        file: &SessionFile,
        key: &SecretString,
        given: BTreeMap<OsString, OsString>,
    ) -> Result<(), NotStarted> {
        let layout = make_files(file)?;
        let directory = locked.path();
        let complaints = log(directory);
        let stderr = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&complaints)
            .map_err(Error::system("opening", &complaints))?;
        let host = HostEnvironment::from_variables(std::env::vars_os());
        let mut command = Command::new(&self.path);
        command
            .args([
                "serve",
                "--key-on-stdin",
                "--pod-uid",
                &file.uid,
                "--mark",
                &file.uid,
            ])
            .args(["--grace", &GRACE_SECONDS.to_string()])
            .arg("--socket")
            .arg(socket(directory))
            .arg("--lock")
            .arg(agent_lock(directory))
            .arg("--directory")
            .arg(&layout.work)
            .arg("--spool")
            .arg(&layout.spool)
            .args(self.log_level.iter().flat_map(|level| ["--log", level]))
            .current_dir(&layout.work)
            .env_clear()
            .envs(layout.environment(&host, false, given))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr);
        let failed = |source| NotStarted::Program {
            program: self.path.clone(),
            source,
        };
        // Else it would ignore what this process ignores, and so would all commands.
        take_over_ignored();
        // A session of its own: no signal of our terminal reaches it.
        let mut child = CommandWrap::from(command)
            .wrap(ProcessSession)
            .spawn()
            .map_err(failed)?
            .into_inner();
        let (stdin, stdout) = (child.stdin().take(), child.stdout().take());
        let starting = Starting(Some(child));
        let comes_up = async {
            if let Some(mut stdin) = stdin {
                stdin.write_all(key.expose_secret().as_bytes()).await?;
                stdin.shutdown().await?;
            }
            let mut line = String::new();
            if let Some(stdout) = stdout {
                BufReader::new(stdout).read_line(&mut line).await?;
            }
            io::Result::Ok(line)
        };
        let timed_out = |_| NotStarted::TimedOut {
            program: self.path.clone(),
            seconds: LISTENS_WITHIN.as_secs(),
        };
        let line = tokio::time::timeout(LISTENS_WITHIN, comes_up)
            .await
            .map_err(timed_out)?;
        // One that has ended already takes no key: what it said is worth more than the broken pipe.
        if line.unwrap_or_default().is_empty() {
            return Err(NotStarted::Ended {
                program: self.path.clone(),
                last_words: last_words(&complaints),
            });
        }
        starting.leave();
        Ok(())
    }
}

/// An agent that does not serve yet. Dropped, it is killed.
struct Starting(Option<Box<dyn ChildWrapper>>);

impl Starting {
    /// Lets it live. While this process does, tokio waits for its end, so that no dead process stays.
    fn leave(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take()
            && let Err(error) = child.start_kill()
        {
            tracing::debug!(%error, "an agent that did not come up could not be killed");
        }
    }
}

/// The end of what an agent has complained of, on one line.
fn last_words(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let end = &bytes[bytes.len().saturating_sub(LAST_WORDS)..];
    let text = String::from_utf8_lossy(end);
    match text.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => line.trim().to_owned(),
        None => "it said nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_agent_is_the_one_that_is_named_or_lies_beside_or_in_the_path() {
        let there = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let directory = there.path().join(name);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join(NAME), "").unwrap();
            directory
        };
        let (beside, listed) = (place("beside"), place("listed"));
        let own = beside.join("podbay");
        let path = std::env::join_paths([Path::new("relative"), Path::new("/none"), &listed]).unwrap();
        let named = listed.join(NAME);
        let find = |configured, own: Option<&Path>, path| AgentProgram::find(configured, own, path);
        let found = |agent: Result<AgentProgram, NoAgent>| agent.unwrap().path().to_owned();
        assert_eq!(found(find(Some(named.as_path()), Some(&own), None)), named);
        assert_eq!(found(find(None, Some(&own), Some(&path))), beside.join(NAME));
        assert_eq!(
            found(find(None, Some(Path::new("/usr/bin/podbay")), Some(&path))),
            named
        );
        let refused = find(Some(Path::new("/nowhere")), Some(&own), Some(&path)).unwrap_err();
        assert!(refused.to_string().contains("/nowhere"), "{refused}");
        let refused = find(None, None, None).unwrap_err().to_string();
        assert!(
            refused.contains("agent.binary") && refused.contains("PATH"),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn an_agent_that_does_not_come_up_is_told_with_its_last_words() {
        let there = tempfile::tempdir().unwrap();
        let (program, written) = (there.path().join(NAME), there.path().join("text"));
        fs::write(&written, "#!/bin/sh\necho 'too bad' >&2; exit 1\n").unwrap();
        // Another process writes the program itself: each thread that starts one at this moment has our open files for a while, and
        // what is open for writing can't be executed (execve(2), `ETXTBSY`).
        let mut install = std::process::Command::new("install");
        let status = install.args(["-m", "755"]).args([&written, &program]).status();
        assert!(status.unwrap().success());
        let directory = there.path().join("s");
        fs::create_dir(&directory).unwrap();
        let locked = Locked::fresh(directory).unwrap();
        let files = there.path().join("files");
        let file = SessionFile::new("u".to_owned(), files, "files/w".into(), serde_json::Value::Null);
        let agent = AgentProgram::find(Some(&program), None, None).unwrap();
        let started = agent.start(&locked, &file, &"key".into(), BTreeMap::new()).await;
        let told = started.unwrap_err().to_string();
        assert!(told.ends_with("ended before it took commands: too bad"), "{told}");
        let agent = AgentProgram::at(there.path().join("none"));
        let started = agent.start(&locked, &file, &"key".into(), BTreeMap::new()).await;
        assert!(matches!(started, Err(NotStarted::Program { .. })));
    }
}
