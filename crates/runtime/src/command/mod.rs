//! A command run in a session.
//!
//! ```text
//!   running.rs    what goes in and out while it runs; time-out and cancellation
//!   attach.rs     processes that were detached: attaching to them, listing, signals
//!   reconnect.rs  one process over as many connections as it takes
//!   backoff.rs    how often, and for how long (pure)
//!   drain.rs      an output: counted, hashed, written, each byte once
//!   input.rs      the standard input: several pieces on their way, each byte once
//!   unsent.rs     which pieces are to be sent, or sent again (pure)
//! ```

mod attach;
pub(crate) mod backoff;
mod drain;
mod input;
mod reconnect;
mod running;
mod unsent;

use std::time::Duration;

use podbay_k8s_client::TerminalSize;
use podbay_manifests::RunAs;
use podbay_protocol::{Outcome, ProcessId};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

pub use attach::Attach;
pub use running::Running;

use crate::error::Error;
use crate::session::Session;

/// How many bytes of each stream an [`Outcome`] keeps unless told otherwise: 1 MiB holds any log a person or
/// a model reads, and a thousand of them still fit into memory.
pub const DEFAULT_CAPTURE: usize = 1024 * 1024;

/// A command about to be run in a session.
#[must_use = "a command does nothing until it is run"]
pub struct Command {
    session: Session,
    argv: Vec<String>,
    timeout: Option<Duration>,
    workdir: Option<String>,
    user: Option<RunAs>,
    terminal: Option<TerminalSize>,
    stdin: Option<Box<dyn AsyncRead + Send + Unpin>>,
    stdout: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    stderr: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    capture: usize,
    cancel: CancellationToken,
    process: Option<ProcessId>,
    open_stdin: bool,
    /// Whether it goes by the way that carries most at once.
    without_agent: bool,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command")
            .field("session", &self.session.id())
            .field("argv", &self.argv)
            .finish_non_exhaustive()
    }
}

impl Command {
    fn new(session: Session, argv: Vec<String>) -> Self {
        let timeout = session.podbay().config().sandbox.timeout;
        Self {
            session,
            argv,
            timeout: timeout.map(Duration::from_secs),
            workdir: None,
            user: None,
            terminal: None,
            stdin: None,
            stdout: None,
            stderr: None,
            capture: DEFAULT_CAPTURE,
            cancel: CancellationToken::new(),
            process: None,
            open_stdin: false,
            without_agent: false,
        }
    }

    /// Kills the command and all its descendants after so long. Without, the setting `sandbox.timeout` holds, if it is
    /// set.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The directory it starts in, in place of the session's.
    pub fn workdir(mut self, directory: impl Into<String>) -> Self {
        self.workdir = Some(directory.into());
        self
    }

    /// The user it runs as, in place of the container's, which must be root for that or the same. Without a group it has
    /// the one that the image's `/etc/passwd` names, else group 0; it has no further groups. `HOME` is the user's. An image
    /// without a program that changes the user is refused as [`Error::Unsupported`] before anything runs.
    pub const fn user(mut self, user: RunAs) -> Self {
        self.user = Some(user);
        self
    }

    /// Gives it a terminal of this size. Both its streams then come on standard output.
    pub const fn terminal(mut self, size: TerminalSize) -> Self {
        self.terminal = Some(size);
        self
    }

    /// What it reads from its standard input, to the end; without, that is empty.
    pub fn stdin(mut self, reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        self.stdin = Some(Box::new(reader));
        self
    }

    /// Where its standard output is written as it comes.
    pub fn stdout(mut self, writer: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        self.stdout = Some(Box::new(writer));
        self
    }

    /// Where its standard error is written as it comes.
    pub fn stderr(mut self, writer: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        self.stderr = Some(Box::new(writer));
        self
    }

    /// How many bytes of each stream the outcome keeps.
    pub const fn capture(mut self, bytes: usize) -> Self {
        self.capture = bytes;
        self
    }

    /// Cancelling `token` kills the command and all its descendants.
    pub fn cancel_on(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    /// What it is called among the processes of the session, in place of a random name. Where the session has an agent, a name
    /// runs once: a start that is repeated with the same name finds the process that is there.
    pub fn process(mut self, id: ProcessId) -> Self {
        self.process = Some(id);
        self
    }

    /// Gives it a standard input that stays open after [`Command::detach`], for whoever attaches to it. Not together with
    /// [`Command::stdin`].
    pub const fn open_stdin(mut self) -> Self {
        self.open_stdin = true;
        self
    }

    /// Has it carried by what needs no agent in a pod: it stands in for one that is not there.
    pub(crate) fn without_agent(mut self) -> Self {
        self.without_agent = true;
        self
    }

    /// Runs it to its end.
    pub async fn output(self) -> Result<Outcome, Error> {
        self.start().await?.outcome().await
    }

    /// Starts it and leaves it to itself: it goes on when this program ends, and its output is kept in the sandbox, up to a
    /// limit, until [`Session::attach`] asks for it. Needs an agent in the session's pod; without one it is refused as
    /// [`NotPossible`](crate::NotPossible) before anything runs.
    ///
    /// The ends of its process are kept for an hour, those of the last thousand processes; its time-out is kept by the agent.
    /// Outputs and input that were given to the command are not used.
    ///
    /// ```no_run
    /// # async fn example(session: podbay_runtime::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// let id = session.command(["make", "test"]).detach().await?;
    /// // Later, perhaps in another program:
    /// for process in session.list_processes().await? {
    ///     println!("{} has written {} bytes", process.id, process.written.stdout);
    /// }
    /// let outcome = session.attach(id).output().await?;
    /// println!("{}", outcome.end.exit_code());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn detach(self) -> Result<ProcessId, Error> {
        attach::detach(self).await
    }

    /// Starts it.
    pub async fn start(self) -> Result<Running, Error> {
        running::start(self).await
    }
}

impl Session {
    /// Runs a program with its arguments and waits for it, with an empty standard input. Both streams are
    /// kept up to [`DEFAULT_CAPTURE`] bytes; counts and hashes are of all bytes.
    ///
    /// The words stand in the API server's audit log: no secrets there. They come in by
    /// [`SessionBuilder::env`](crate::session::SessionBuilder::env).
    pub async fn exec<I, S>(&self, argv: I) -> Result<Outcome, Error>
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.command(argv).output().await
    }

    /// A command to be run.
    pub fn command<I, S>(&self, argv: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Command::new(self.clone(), argv.into_iter().map(Into::into).collect())
    }
}
