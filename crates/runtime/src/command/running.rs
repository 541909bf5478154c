//! A command while it runs.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use podbay_k8s_client::{
    Error as ClientError, ErrorKind, ExecEnd, ExecOutput, ExecProcess, ExecRequest, ExecStdin, TerminalSize,
};
use podbay_manifests::pod::CONTAINER;
use podbay_process::{LINGER, Tally};
use podbay_protocol::{Cause, Content, End, Hint, Outcome, Verdict};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Command;
use super::conclude::{SIGNALLED, conclude, needs_a_look, was_killed};
use super::end_mark::EndMark;
use super::script::{self, Carrier, Input, Mark};
use super::user;
use crate::backend::BackendKind;
use crate::error::{Error, ForSession as _};
use crate::readiness::{end_of_pod, out_of_memory};
use crate::session::Session;
use crate::state::pod_is_gone;
use crate::wait::final_verdict;

/// Bytes of standard input read at once: what the API server passes on at once.
const STDIN_CHUNK: usize = 32 * 1024;

/// How long a command that looks after another one (to kill it, to ask what killed it) may take.
const ERRAND_TIMEOUT: Duration = Duration::from_secs(15);

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// A command that was started.
///
/// Dropping it, or the future of [`Running::outcome`], gives it up: with the local backend that kills it, in
/// a container it goes on. [`super::Command::cancel_on`] kills it everywhere.
pub struct Running {
    watched: Watched,
    process: ExecProcess,
    stdin: Option<Reader>,
    stdout: Option<Writer>,
    stderr: Option<Writer>,
    capture: usize,
    signals: Option<mpsc::UnboundedReceiver<i32>>,
}

/// What is needed to look after a command.
struct Watched {
    session: Session,
    carrier: Carrier,
    mark: Mark,
    /// The words that make a command the user's; none where it is the container's own.
    as_user: Vec<String>,
    begun: Instant,
    timeout: Option<Duration>,
    cancel: CancellationToken,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("session", &self.watched.session.id())
            .finish_non_exhaustive()
    }
}

/// Starts a command.
pub(super) async fn start(command: Command) -> Result<Running, Error> {
    let Command {
        session,
        argv,
        timeout,
        workdir,
        user,
        terminal,
        stdin,
        stdout,
        stderr,
        capture,
        cancel,
    } = command;
    if argv.first().is_none_or(String::is_empty) {
        return Err(Error::EmptyCommand);
    }
    let as_user = match user {
        Some(user) => {
            // Boxed: it runs a command itself.
            let looking_up = Box::pin(user::look_up(&session, user, &cancel));
            looking_up.await?.prefix()?
        }
        None => Vec::new(),
    };
    let argv: Vec<String> = as_user.iter().cloned().chain(argv).collect();
    let carrier = match session.podbay().kind() {
        BackendKind::Cluster => Carrier::Container,
        BackendKind::Local => Carrier::Process,
    };
    let begun = Instant::now();
    let mark = Mark::new(rand::random());
    let input = match terminal {
        Some(size) => Input::Terminal(size),
        None if stdin.is_some() => Input::Stream,
        None => Input::None,
    };
    if script::needs_staging(carrier, &argv) {
        Box::pin(bring_in(&session, &mark, &argv)).await?;
    }
    let request = ExecRequest {
        container: CONTAINER.to_owned(),
        argv: script::run(carrier, &mark, workdir.as_deref(), input, &argv),
        stdin: stdin.is_some(),
        tty: terminal.is_some(),
    };
    let process = Box::pin(begin(&session, request)).await?;
    if let (Some(resize), Some(size)) = (&process.resize, terminal) {
        // Fails only when the command has ended already.
        let _ = resize.send(size);
    }
    let watched = Watched {
        session,
        carrier,
        mark,
        as_user,
        begun,
        timeout,
        cancel,
    };
    Ok(Running {
        watched,
        process,
        stdin,
        stdout,
        stderr,
        capture,
        signals: None,
    })
}

/// Starts a command in the pod, once the session is ready.
async fn begin(session: &Session, request: ExecRequest) -> Result<ExecProcess, Error> {
    match session.exec_request(request.clone()).await {
        Ok(process) => Ok(process),
        // A session that was begun and is not ready yet, by this or another client.
        Err(error) if may_be_starting(&error) => {
            session.wait_until_ready(error).await?;
            match session.exec_request(request).await {
                Ok(process) => Ok(process),
                Err(error) => Err(session.explain(error).await),
            }
        }
        Err(error) => Err(session.explain(error).await),
    }
}

/// Brings arguments into the container that are too long for the URL of an exec.
async fn bring_in(session: &Session, mark: &Mark, argv: &[String]) -> Result<(), Error> {
    let request = ExecRequest {
        container: CONTAINER.to_owned(),
        argv: script::stage(mark),
        stdin: true,
        tty: false,
    };
    let process = begin(session, request).await?;
    let (end, _, said) =
        within_errand_timeout(session, carry(process, Some(script::staged(argv).into()))).await?;
    if end == (ExecEnd::Exited { code: 0 }) {
        return Ok(());
    }
    Err(Error::Unsupported {
        what: "a command of more than 16 KiB",
        why: format!(
            "its words could not be kept in the sandbox's /dev/shm ({end:?}): {}; pass them by standard input or a file",
            said.text().trim()
        ),
    })
}

/// Whether a refused exec may be due to a pod that is not running yet: 400 `container not found`, 404, or 500
/// from a kubelet that doesn't know the pod yet.
const fn may_be_starting(error: &ClientError) -> bool {
    matches!(
        error.kind,
        ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Server { .. }
    )
}

/// Why a command is no longer waited for.
enum Stop {
    Ended {
        end: ExecEnd,
        /// Whether standard output and standard error were cut short.
        cut: (bool, bool),
    },
    TimedOut(Duration),
    Cancelled,
    Broken(Error),
}

impl Running {
    /// Tells the command's terminal its size; none without a terminal.
    pub fn resizer(&self) -> Option<watch::Sender<TerminalSize>> {
        self.process.resize.clone()
    }

    /// Passes signals on to the command, by number; its descendants do not get them.
    #[must_use]
    pub fn signals(mut self, signals: mpsc::UnboundedReceiver<i32>) -> Self {
        self.signals = Some(signals);
        self
    }

    /// Carries the streams until the command ends, is cancelled or runs into its time-out.
    pub async fn outcome(self) -> Result<Outcome, Error> {
        let Self {
            watched,
            process,
            stdin,
            stdout,
            stderr,
            capture,
            signals,
        } = self;
        let ExecProcess {
            stdin: input,
            stdout: out,
            stderr: err,
            resize,
            signals: carried,
            end,
            guard,
        } = process;
        let (mut out_tally, mut err_tally) = (Tally::new(capture), Tally::new(capture));
        let cut = CancellationToken::new();
        // With a terminal there is no mark: the system hangs it up when its command ends.
        let marked = watched.carrier == Carrier::Container && resize.is_none();
        let (out_mark, out_ended) = watched.end_mark(marked);
        let (err_mark, err_ended) = watched.end_mark(marked);
        let stop = {
            let outputs = async {
                // A stream that can't be written ends the command now: it may never end by itself (`yes | head`).
                tokio::try_join!(
                    Drain::of(out, stdout, "standard output")
                        .until(&cut, out_mark)
                        .run(&mut out_tally),
                    Drain::of(err, stderr, "standard error")
                        .until(&cut, err_mark)
                        .run(&mut err_tally),
                    async { Ok(end_or_cut(end, out_ended, err_ended, &cut).await) },
                )
            };
            tokio::select! {
                // What has ended has ended, whatever else happened at the same moment.
                biased;
                ended = outputs => match ended {
                    Ok((out_cut, err_cut, end)) => Stop::Ended {
                        end,
                        cut: (out_cut, err_cut),
                    },
                    Err(error) => Stop::Broken(error),
                },
                error = feed(input, stdin) => Stop::Broken(error),
                never = watched.pass_on(signals, carried) => match never {},
                () = watched.cancel.cancelled() => Stop::Cancelled,
                after = watched.timed_out() => Stop::TimedOut(after),
            }
        };
        let (end, verdict, truncated) = match stop {
            Stop::Ended { end, cut } => {
                let lost = matches!(end, ExecEnd::Lost { .. });
                let truncated = (lost || cut.0, lost || cut.1);
                let (end, verdict) = Box::pin(watched.conclude(end)).await;
                (end, verdict, truncated)
            }
            Stop::TimedOut(after) => {
                let verdict = Box::pin(watched.kill()).await;
                (
                    End::TimedOut {
                        seconds: after.as_secs_f64(),
                    },
                    verdict,
                    (true, true),
                )
            }
            Stop::Cancelled => (End::Cancelled, Box::pin(watched.kill()).await, (true, true)),
            Stop::Broken(error) => {
                Box::pin(watched.kill()).await;
                return Err(error);
            }
        };
        drop(guard);
        let (stdout, stdout_content) = out_tally.finish(truncated.0);
        let (stderr, stderr_content) = err_tally.finish(truncated.1);
        let seconds = watched.begun.elapsed().as_secs_f64();
        Ok(Outcome {
            end,
            stdout,
            stderr,
            stdout_content,
            stderr_content,
            seconds,
            verdict,
        })
    }
}

impl Watched {
    /// Waits for the time-out.
    async fn timed_out(&self) -> Duration {
        match self.timeout {
            Some(after) => {
                tokio::time::sleep_until(self.begun + after).await;
                after
            }
            None => pending().await,
        }
    }

    /// Looks for the end of the command in one of its streams, if it is `marked` there; and where the code it is marked with
    /// comes out.
    fn end_mark(&self, marked: bool) -> (Option<Ending>, oneshot::Receiver<i32>) {
        let (found, ended) = oneshot::channel();
        let ending = marked.then(|| Ending {
            mark: self.mark.end_mark(),
            found: Some(found),
        });
        (ending, ended)
    }

    /// Passes signals on to the command as long as it runs.
    async fn pass_on(
        &self,
        signals: Option<mpsc::UnboundedReceiver<i32>>,
        carried: Option<mpsc::UnboundedSender<i32>>,
    ) -> Infallible {
        if let Some(mut signals) = signals {
            while let Some(number) = signals.recv().await {
                if let Some(carried) = &carried {
                    // One that has ended needs none.
                    let _ = carried.send(number);
                } else if let Err(error) = Box::pin(self.errand(script::signal(&self.mark, number))).await {
                    tracing::debug!(number, error = error.chain(), "a signal could not be passed on");
                }
            }
        }
        pending().await
    }

    /// Looks at the pod where the end alone does not tell.
    async fn conclude(&self, end: ExecEnd) -> (End, Option<Verdict>) {
        if self.carrier == Carrier::Process || !needs_a_look(&end) {
            return conclude(end, None, None);
        }
        let pod = match self.session.pod().await {
            Ok(Some(pod)) => pod,
            Ok(None) => return conclude(end, Some(pod_is_gone()), None),
            // The cluster doesn't answer: the end stands as it is.
            Err(error) => {
                tracing::debug!(error = error.chain(), "the pod could not be looked at");
                return conclude(end, None, None);
            }
        };
        if end_of_pod(&pod).is_none() {
            if !was_killed(&end) {
                return conclude(end, None, None);
            }
            // The kubelet ends a pod's processes before it says so. Whether the container still runs commands tells
            // such an end from a kill of the command's own.
            match self.ask_memory_kill().await {
                Some(false) => return conclude(end, None, None),
                Some(true) => {
                    let message = "the kernel killed the command: the sandbox's memory limit was reached";
                    return conclude(end, None, Some(out_of_memory(message)));
                }
                None => {}
            }
        }
        let verdict = final_verdict(&*self.session.podbay().0.client, pod).await;
        conclude(end, verdict, None)
    }

    /// Whether the kernel killed a process of the container for memory since the command began; none where the container
    /// runs no commands any longer.
    async fn ask_memory_kill(&self) -> Option<bool> {
        match self.errand(script::ask_memory_kill(&self.mark)).await {
            Ok((ExecEnd::Exited { code }, answer)) if code < SIGNALLED => {
                Some(answer.text().contains(script::MEMORY_KILL))
            }
            Ok((end, _)) => {
                tracing::debug!(?end, "the container could not be asked for memory kills");
                None
            }
            Err(error) => {
                tracing::debug!(
                    error = error.chain(),
                    "the container could not be asked for memory kills"
                );
                None
            }
        }
    }

    /// Kills the command and all its descendants. A verdict says that it could not be.
    async fn kill(&self) -> Option<Verdict> {
        if self.carrier == Carrier::Process {
            // Its backend kills it when its guard is dropped.
            return None;
        }
        if !self.as_user.is_empty() {
            // Root without the capability SYS_PTRACE can't read the marks of another user's processes: that user can.
            // What it leaves, the next one finds and tells.
            let kill = self.as_user.iter().cloned().chain(script::kill(&self.mark));
            if let Err(error) = self.errand(kill.collect()).await {
                tracing::debug!(
                    error = error.chain(),
                    "the user's processes could not be killed by itself"
                );
            }
        }
        let failed = match self.errand(script::kill(&self.mark)).await {
            Ok((ExecEnd::Exited { code: 0 }, _)) => return None,
            Ok((end, _)) => format!("the command may still run: killing it ended with {end:?}"),
            Err(error) => format!("the command may still run: {}", error.chain()),
        };
        let hint = Hint::CloseToEndAll;
        Some(Verdict::new(Cause::ConnectionLost, failed, hint))
    }

    /// Runs a short command of our own in the container: how it ended, and what it wrote.
    async fn errand(&self, argv: Vec<String>) -> Result<(ExecEnd, Content), Error> {
        let request = ExecRequest {
            container: CONTAINER.to_owned(),
            argv,
            stdin: false,
            tty: false,
        };
        let run = async {
            let process = self.session.exec_request(request).await;
            carry(process.for_session(self.session.id())?, None).await
        };
        let (end, out, _) = within_errand_timeout(&self.session, run).await?;
        Ok((end, out))
    }
}

/// Gives up a short command of our own after [`ERRAND_TIMEOUT`].
async fn within_errand_timeout<T>(
    session: &Session,
    run: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(ERRAND_TIMEOUT, run)
        .await
        .unwrap_or_else(|_| {
            Err(Error::Call {
                session: session.id().to_owned(),
                source: ClientError::new("exec in the pod", ErrorKind::Deadline(ERRAND_TIMEOUT)),
            })
        })
}

/// Carries a short command of our own to its end: gives it `input` and the end of file, and returns how it ended and
/// what it wrote on standard output and standard error.
async fn carry(process: ExecProcess, input: Option<Bytes>) -> Result<(ExecEnd, Content, Content), Error> {
    let ExecProcess {
        stdin,
        stdout,
        stderr,
        resize: _,
        signals: _,
        end,
        guard: _guard,
    } = process;
    if let (Some(stdin), Some(input)) = (stdin, input) {
        // One that no longer reads has failed, and its end says how.
        let _ = stdin.write(input).await;
        stdin.close();
    }
    let (mut out, mut err) = (
        Tally::new(super::DEFAULT_CAPTURE),
        Tally::new(super::DEFAULT_CAPTURE),
    );
    let (_, _, end) = tokio::join!(
        Drain::of(stdout, None, "standard output").run(&mut out),
        Drain::of(stderr, None, "standard error").run(&mut err),
        end,
    );
    Ok((end, out.finish(false).1, err.finish(false).1))
}

/// Hands `reader` to the command, then the end of file. Returns only when reading fails.
async fn feed(stdin: Option<ExecStdin>, reader: Option<Reader>) -> Error {
    if let (Some(stdin), Some(mut reader)) = (stdin, reader) {
        let mut buffer = BytesMut::with_capacity(STDIN_CHUNK);
        loop {
            buffer.reserve(STDIN_CHUNK);
            match reader.read_buf(&mut buffer).await {
                Ok(0) => break,
                Ok(_) => {
                    // One that no longer reads goes on without.
                    if stdin.write(buffer.split().freeze()).await.is_err() {
                        break;
                    }
                }
                Err(source) => {
                    return Error::LocalStream {
                        what: "reading standard input",
                        source,
                    };
                }
            }
        }
        stdin.close();
    }
    pending().await
}

/// How the command ended: as its carrier says or, where that waits for what the command left behind, as the marks in both
/// streams say [`LINGER`] after the later one. Then `cut` is cancelled.
async fn end_or_cut(
    end: BoxFuture<'static, ExecEnd>,
    out_ended: oneshot::Receiver<i32>,
    err_ended: oneshot::Receiver<i32>,
    cut: &CancellationToken,
) -> ExecEnd {
    let lingered = async {
        match tokio::join!(out_ended, err_ended) {
            (Ok(code), Ok(_)) => {
                tokio::time::sleep(LINGER).await;
                code
            }
            // No marks, or streams that broke off before them.
            _ => pending().await,
        }
    };
    tokio::select! {
        biased;
        end = end => end,
        code = lingered => {
            cut.cancel();
            ExecEnd::Exited { code }
        }
    }
}

/// Where a stream's own part ends.
struct Ending {
    mark: EndMark,
    /// Told the exit code when the mark is found.
    found: Option<oneshot::Sender<i32>>,
}

impl Ending {
    fn take(&mut self, piece: Bytes) -> Bytes {
        let (output, code) = self.mark.take(piece);
        if let Some(code) = code
            && let Some(found) = self.found.take()
        {
            // Nobody asks any longer where the command was killed meanwhile.
            let _ = found.send(code);
        }
        output
    }
}

/// Counts and writes what comes out of the command.
struct Drain {
    output: ExecOutput,
    writer: Option<Writer>,
    what: &'static str,
    cut: CancellationToken,
    ending: Option<Ending>,
}

impl Drain {
    /// A stream to its end; `what` it is in errors.
    fn of(output: ExecOutput, writer: Option<Writer>, what: &'static str) -> Self {
        Self {
            output,
            writer,
            what,
            cut: CancellationToken::new(),
            ending: None,
        }
    }

    /// Not beyond `cut`, and without the mark of `ending`.
    fn until(self, cut: &CancellationToken, ending: Option<Ending>) -> Self {
        Self {
            cut: cut.clone(),
            ending,
            ..self
        }
    }

    /// Returns whether it was cut short.
    async fn run(mut self, tally: &mut Tally) -> Result<bool, Error> {
        loop {
            let piece = tokio::select! {
                // One that is never silent must not hold up the end.
                biased;
                () = self.cut.cancelled() => return Ok(true),
                piece = self.output.next() => piece,
            };
            let (piece, ended) = match (piece, &mut self.ending) {
                (Some(piece), Some(ending)) => (ending.take(piece), false),
                (Some(piece), None) => (piece, false),
                (None, Some(ending)) => (ending.mark.rest(), true),
                (None, None) => (Bytes::new(), true),
            };
            if !piece.is_empty() {
                tally.add(&piece);
                self.write(&piece).await.map_err(|source| Error::LocalStream {
                    what: self.what,
                    source,
                })?;
            }
            if ended {
                return Ok(self.output.is_cut());
            }
        }
    }

    async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        if let Some(writer) = &mut self.writer {
            writer.write_all(piece).await?;
            writer.flush().await?;
        }
        Ok(())
    }
}
