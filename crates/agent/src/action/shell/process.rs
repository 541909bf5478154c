//! A shell as a process of the agent, with a terminal.

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use podbay_protocol::{EndRecord, Offsets, ProcessEnd, ProcessId, ProcessSpec, ReaderId, TerminalSize};
use rustix::termios::{InputModes, LocalModes, OptionalActions, OutputModes, Termios, tcgetattr, tcsetattr};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::model::{Model, Place};
use super::screen::ROWS;
use super::{Kind, typed};
use crate::process::{OutputReader, Piece, Processes};

/// How wide the terminal is: the programs that break lines at its width are not to.
const COLUMNS: u16 = 1000;
/// How long a shell may take to show its first prompt: what a user's `.bashrc` does is in it.
const START: Duration = Duration::from_secs(15);
/// How long a shell that waits for a command may take to read it.
const ATTENTION: Duration = Duration::from_secs(10);
/// How long the answer to a probe is waited for before another one is sent.
const PROBE: Duration = Duration::from_millis(300);

/// A shell that runs.
pub(super) struct Shell {
    processes: Processes,
    id: ProcessId,
    kind: Kind,
    nonce: String,
    model: Arc<Mutex<Model>>,
    news: watch::Receiver<()>,
    /// How many bytes were typed.
    typed: u64,
    probes: u64,
    /// The terminal as it was before anything ran in it.
    terminal: Option<Termios>,
    /// Whether a key was sent that may have reached the shell itself.
    unsettled: bool,
}

/// Why there is no shell.
#[derive(Debug)]
pub(super) enum NoShell {
    /// There is no such program.
    Missing,
    /// It was started, and did not show a prompt.
    Silent,
    /// It was not started, or has ended.
    Failed(String),
}

/// The shell did not take what was typed.
#[derive(Debug)]
pub(super) struct Inattentive;

impl Shell {
    /// Starts one and waits for its prompt.
    pub(super) async fn start(
        processes: &Processes,
        name: &str,
        kind: Kind,
        reads_rc: bool,
        directory: Option<&str>,
    ) -> Result<Self, NoShell> {
        let failed = |error: &dyn std::fmt::Display| NoShell::Failed(error.to_string());
        let argv: &[&str] = match (kind, reads_rc) {
            (Kind::Bash, true) => &["bash", "--noediting", "-i"],
            (Kind::Bash, false) => &["bash", "--noediting", "--norc", "-i"],
            (Kind::Sh, _) => &["sh", "-i"],
        };
        let id: ProcessId = name.parse().map_err(|error| failed(&error))?;
        let mut spec = ProcessSpec::new(id.clone(), argv.iter().map(|word| (*word).to_owned()).collect());
        spec.stdin = true;
        spec.terminal = Some(TerminalSize {
            width: COLUMNS,
            height: u16::try_from(ROWS).unwrap_or(u16::MAX),
        });
        spec.directory = directory.map(str::to_owned);
        // A pager waits for keys that nobody presses. GIT_PAGER stands above what git's own settings say.
        spec.environment = [
            ("PAGER", "cat"),
            ("GIT_PAGER", "cat"),
            ("MANPAGER", "cat"),
            ("SYSTEMD_PAGER", "cat"),
        ]
        .into_iter()
        // BusyBox's shell would write a history of what is typed.
        .chain(
            [("ENV", ""), ("HISTFILE", "")]
                .into_iter()
                .filter(|_| kind == Kind::Sh),
        )
        .collect();
        processes.start(spec).map_err(|error| failed(&error))?;
        let nonce = format!("{:032x}", rand::random::<u128>());
        let model = Arc::new(Mutex::new(Model::new(&nonce, Instant::now())));
        let reader: ReaderId = "openhands".parse().map_err(|error| failed(&error))?;
        let output = processes
            .read(&id, Offsets::default(), Some(reader.clone()))
            .map_err(|error| failed(&error))?;
        let (tell, news) = watch::channel(());
        tokio::spawn(follow(
            processes.clone(),
            id.clone(),
            reader,
            output,
            Arc::clone(&model),
            tell,
        ));
        let mut shell = Self {
            processes: processes.clone(),
            id,
            kind,
            nonce,
            model,
            news,
            typed: 0,
            probes: 0,
            terminal: None,
            unsettled: false,
        };
        shell.greet().await?;
        Ok(shell)
    }

    async fn greet(&mut self) -> Result<(), NoShell> {
        let greeting = typed::greeting(self.kind, &self.nonce);
        self.write(greeting.into()).await;
        let prompt = self
            .wait(START, |model| matches!(model.place(), Place::Idle | Place::Ended))
            .await;
        let info = self.processes.info(&self.id);
        let end = info.and_then(|info| info.end).map(|record| record.end);
        match (prompt, end) {
            (Some(()), None) => {
                let terminal = self.with_terminal(|terminal| tcgetattr(terminal).ok()).flatten();
                self.terminal = terminal.map(cooked);
                Ok(())
            }
            (_, Some(ProcessEnd::NotStarted { reason, message })) => Err(if reason == "ENOENT" {
                NoShell::Missing
            } else {
                NoShell::Failed(message)
            }),
            (_, Some(end)) => Err(NoShell::Failed(format!(
                "it ended before its first prompt: {end:?}"
            ))),
            (None, None) => Err(NoShell::Silent),
        }
    }

    pub(super) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Types a command, and waits until it begins.
    pub(super) async fn begin(&mut self, text: &str) -> Result<(), Inattentive> {
        if self.unsettled {
            self.settle().await?;
        }
        self.set_terminal(raw);
        self.model().typed();
        let line = typed::command(self.kind, &self.nonce, text);
        self.write(line.into()).await;
        self.wait(ATTENTION, |model| {
            matches!(model.place(), Place::Ready | Place::Ended)
        })
        .await
        .ok_or(Inattentive)?;
        self.set_terminal(|terminal| terminal);
        self.write(Bytes::from_static(b"\n")).await;
        let begun = |model: &Model| !matches!(model.place(), Place::Typed | Place::Ready);
        self.wait(ATTENTION, begun).await.ok_or(Inattentive)
    }

    /// Takes on what another shell exported. Whether it did, and waits for a command again.
    pub(super) async fn take_on(&mut self, exports: &str) -> bool {
        let begun = self.begin(&typed::exported(exports)).await.is_ok();
        let is_over = |model: &Model| matches!(model.place(), Place::Idle | Place::Ended);
        let over = begun && self.wait(ATTENTION, is_over).await.is_some();
        self.model().take_screen(); // What can't be set again says so.
        over
    }

    /// Which shell it is.
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Waits until the shell takes what is typed.
    async fn settle(&mut self) -> Result<(), Inattentive> {
        self.set_terminal(raw);
        let end = Instant::now() + ATTENTION;
        while Instant::now() < end {
            self.probes += 1;
            let (number, nonce) = (self.probes, self.nonce.clone());
            self.write(typed::probe(&nonce, number).into()).await;
            let answered = move |model: &Model| model.probe() == number || model.place() == Place::Ended;
            if self.wait(PROBE, answered).await.is_some() {
                self.unsettled = false;
                return Ok(());
            }
        }
        Err(Inattentive)
    }

    /// Sends what a running program reads.
    pub(super) async fn send(&mut self, bytes: Bytes) {
        self.unsettled = true;
        self.write(bytes).await;
    }

    /// Whether a program reads keys and not lines: it shows what is typed by itself.
    pub(super) fn shows_keys(&self) -> bool {
        let modes = self.with_terminal(|terminal| tcgetattr(terminal).ok()).flatten();
        modes.is_some_and(|modes| {
            !modes.local_modes.contains(LocalModes::ICANON) || modes.local_modes.contains(LocalModes::ECHO)
        })
    }

    /// Waits until something is so; `None` if it is not by then.
    pub(super) async fn wait(&mut self, patience: Duration, is_so: impl Fn(&Model) -> bool) -> Option<()> {
        let model = Arc::clone(&self.model);
        let news = &mut self.news;
        let waited = async {
            loop {
                news.mark_unchanged();
                if is_so(&model.lock().unwrap_or_else(PoisonError::into_inner)) {
                    return Some(());
                }
                if news.changed().await.is_err() {
                    // Nobody follows it any longer: nothing changes any more.
                    return is_so(&model.lock().unwrap_or_else(PoisonError::into_inner)).then_some(());
                }
            }
        };
        timeout(patience, waited).await.ok().flatten()
    }

    /// Waits for something to change, until a moment.
    pub(super) async fn change(&mut self, until: Option<Instant>) {
        let moment = async {
            match until {
                Some(moment) => sleep_until(moment).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.news.changed() => if changed.is_err() {
                // Its end was told before; should it not have been, the moment comes.
                tokio::time::sleep(Duration::from_millis(20)).await;
            },
            () = moment => {}
        }
    }

    /// What changes from now on is waited for.
    pub(super) fn look(&mut self) {
        self.news.mark_unchanged();
    }

    /// Ends it, with all it started.
    pub(super) fn kill(&self) {
        self.processes.forget(&self.id).ok(); // Somebody else may have.
    }

    async fn write(&mut self, bytes: Bytes) {
        // One that has ended takes none, and says so by its end.
        if let Ok(taken) = self.processes.write_stdin(&self.id, self.typed, bytes).await {
            self.typed = taken;
        }
    }

    fn with_terminal<T>(&self, look: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        self.processes.with_terminal(&self.id, look)
    }

    /// Sets the terminal up, whatever a program made of it.
    fn set_terminal(&self, change: impl FnOnce(Termios) -> Termios) {
        let Some(terminal) = &self.terminal else { return };
        let wanted = change(terminal.clone());
        let set = self.with_terminal(|terminal| tcsetattr(terminal, OptionalActions::Now, &wanted));
        if let Some(Err(error)) = set {
            tracing::warn!(%error, "the terminal of a shell could not be set up");
        }
    }
}

/// As a terminal is at first, whatever a shell that edits its line (BusyBox's) has made of it meanwhile.
fn cooked(mut terminal: Termios) -> Termios {
    terminal.input_modes |= InputModes::ICRNL | InputModes::IXON;
    terminal.output_modes |= OutputModes::OPOST | OutputModes::ONLCR;
    terminal.local_modes |= LocalModes::ISIG
        | LocalModes::ICANON
        | LocalModes::IEXTEN
        | LocalModes::ECHO
        | LocalModes::ECHOE
        | LocalModes::ECHOK
        | LocalModes::ECHOCTL
        | LocalModes::ECHOKE;
    terminal
}

/// Bytes go through as they are, and leave no trace. Lines may be longer than the terminal's own limit of 4095 bytes.
fn raw(mut terminal: Termios) -> Termios {
    terminal.input_modes = InputModes::IUTF8;
    terminal.local_modes = LocalModes::empty();
    terminal
}

/// Tells the model what the shell writes.
async fn follow(
    processes: Processes,
    id: ProcessId,
    reader: ReaderId,
    mut output: OutputReader,
    model: Arc<Mutex<Model>>,
    tell: watch::Sender<()>,
) {
    while let Some(piece) = output.next().await {
        let lock = || model.lock().unwrap_or_else(PoisonError::into_inner);
        match piece {
            Piece::Output { offset, bytes, .. } => {
                lock().feed(&bytes, Instant::now());
                let stdout = offset + bytes.len() as u64;
                // Another reader may have taken its place; it then reads on without being waited for.
                processes
                    .acknowledge(&id, &reader, Offsets { stdout, stderr: 0 })
                    .ok();
            }
            Piece::Gone { .. } => lock().ended(-1),
            Piece::End(record) => lock().ended(code(&record)),
        }
        tell.send_replace(());
    }
}

/// A shell's code for how it ended.
fn code(record: &EndRecord) -> i32 {
    match record.end {
        ProcessEnd::Exited { code } => code,
        ProcessEnd::Signaled { signal } => 128 + signal,
        _ => -1,
    }
}
