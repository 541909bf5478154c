//! What becomes of a session that is there: it is frozen and goes on, what is left of a lost one is killed, and it ends.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use podbay_process::remove_tree;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::cgroups::remove_left;
use crate::error::Error;
use crate::file::SessionFile;
use crate::lock::Locked;
use crate::look::{agent, has_agent};
use crate::processes::{Agent, freeze, kill_left, thaw};
use crate::start::GRACE_SECONDS;

/// How long an agent has to end once it was told to: its commands' time, what killing them takes, and something on top.
const ENDS_WITHIN: Duration = Duration::from_secs(GRACE_SECONDS + 8);
/// How long a killed agent may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(5);
/// How long an agent that lives may take to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

impl Locked {
    /// Whether its agent lives.
    pub fn has_agent(&self) -> Result<bool, Error> {
        has_agent(self.path())
    }

    /// Stops all that runs in the session, but for its agent, until nothing new appears. One without an agent has nothing that
    /// runs.
    pub async fn freeze(&self, file: &SessionFile) -> Result<(), Error> {
        self.with_agent(file, freeze).await
    }

    /// Lets all that was stopped go on.
    pub async fn thaw(&self, file: &SessionFile) -> Result<(), Error> {
        self.with_agent(file, thaw).await
    }

    async fn with_agent(&self, file: &SessionFile, work: fn(&Agent, &str)) -> Result<(), Error> {
        if let Some(agent) = self.agent().await? {
            let uid = file.uid.clone();
            self.blocking(move || {
                work(&agent, &uid);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Kills what is left of a session whose agent is gone, and removes the cgroups that it has left. Returns how many processes that were.
    pub async fn kill_left(&self, file: &SessionFile) -> Result<usize, Error> {
        let (uid, directory) = (file.uid.clone(), self.path().to_owned());
        self.blocking(move || Ok(kill_left(&uid) + remove_left(&directory)))
            .await
    }

    /// Ends the session: its agent, all that runs in it, its directories. What is mounted in them stays, and is told as
    /// [`Error::LeftBehind`]; the session is gone all the same. One whose end was begun before is ended the same way.
    pub async fn close(self, mut file: SessionFile) -> Result<(), Error> {
        if !file.closing {
            file.closing = true;
            self.write(&file)?;
        }
        self.end_agent().await?;
        self.kill_left(&file).await?;
        self.remove(vec![file.files]).await
    }

    /// Ends the agent, and removes the directory and these others.
    pub(crate) async fn remove(self, others: Vec<PathBuf>) -> Result<(), Error> {
        self.end_agent().await?;
        let directory = self.path().to_owned();
        // All go, whatever is left of one.
        let removed = spawn_blocking(move || {
            let removed: Vec<_> = others.iter().map(|other| remove_tree(other)).collect();
            removed.into_iter().fold(remove_tree(&directory), Result::and)
        });
        let removed = removed.await;
        self.unlock();
        // Where the runtime is being shut down, the next command removes what is left.
        removed.unwrap_or(Ok(())).map_err(Error::from)
    }

    /// Ends the agent, if it lives, and waits until it is gone.
    async fn end_agent(&self) -> Result<(), Error> {
        let Some(agent) = self.agent().await? else {
            return Ok(());
        };
        let stays = |source| Error::AgentStays {
            path: self.path().to_owned(),
            source,
        };
        let handle = match agent.handle() {
            Ok(handle) => handle,
            // It has ended meanwhile; if it did not, its lock says so.
            Err(error) if !self.has_agent()? => {
                tracing::debug!(%error, "an agent ended by itself");
                return Ok(());
            }
            Err(error) => return Err(stays(error)),
        };
        // Whoever has its lock now had it before the handle was made: the handle is the agent's.
        if !self.has_agent()? {
            return Ok(());
        }
        let ended = spawn_blocking(move || {
            handle.terminate()?;
            if handle.wait(ENDS_WITHIN)? {
                return Ok(());
            }
            // It hangs, or somebody stopped it.
            handle.kill()?;
            if handle.wait(KILLED_WITHIN)? {
                return Ok(());
            }
            Err(io::ErrorKind::TimedOut.into())
        });
        match ended.await {
            Ok(ended) => ended.map_err(stays),
            Err(error) => Err(stays(io::Error::other(error))),
        }
    }

    /// The agent, if it lives. One that is about to listen is waited for.
    async fn agent(&self) -> Result<Option<Agent>, Error> {
        let deadline = Instant::now() + LISTENS_WITHIN;
        while has_agent(self.path())? {
            if let Some(agent) = agent(self.path())? {
                return Ok(Some(agent));
            }
            if Instant::now() >= deadline {
                return Err(Error::AgentStays {
                    path: self.path().to_owned(),
                    source: io::Error::new(io::ErrorKind::TimedOut, "it lives, and does not listen"),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(None)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let path = self.path().to_owned();
        spawn_blocking(work)
            .await
            .unwrap_or_else(|error| Err(Error::system("changing", path)(io::Error::other(error))))
    }
}
