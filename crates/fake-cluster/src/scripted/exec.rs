//! Commands in scripted pods: what they answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, stream};
use podbay_k8s_client::{ExecEnd, ExecOutput, ExecProcess, ExecRequest, ExecStdin, TerminalSize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::status::KILLED;

/// Pieces of output that wait to be read, before whoever writes waits too.
const QUEUE: usize = 16;

/// A command someone runs in a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecCall {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// What is to be run.
    pub request: ExecRequest,
}

/// The command's side of its streams. A dropped sender is an end of file.
#[derive(Debug)]
pub struct ExecStreams {
    /// What is written to it; none if it was given no standard input. Ends with the end of file.
    pub stdin: Option<mpsc::Receiver<Bytes>>,
    /// Its standard output.
    pub stdout: mpsc::Sender<Bytes>,
    /// Its standard error.
    pub stderr: mpsc::Sender<Bytes>,
}

/// What a command does.
///
/// ```
/// use podbay_fake_cluster::ExecAnswer;
///
/// let fails = ExecAnswer::exit(2).stderr("no such test\n");
/// let never_ends = ExecAnswer::hangs();
/// # drop((fails, never_ends));
/// ```
#[derive(Clone)]
pub struct ExecAnswer(Answer);

#[derive(Clone)]
enum Answer {
    Plain {
        after: Duration,
        stdout: Bytes,
        stderr: Bytes,
        /// None hangs.
        end: Option<ExecEnd>,
    },
    By(Arc<Behaviour>),
}

type Behaviour = dyn Fn(ExecCall, ExecStreams) -> BoxFuture<'static, ExecEnd> + Send + Sync;

/// The answer to a command, if the rule is for it.
pub(super) type ExecRule = Box<dyn Fn(&ExecCall) -> Option<ExecAnswer> + Send>;

impl ExecAnswer {
    /// It exits at once.
    pub fn exit(code: i32) -> Self {
        Self::ends(ExecEnd::Exited { code })
    }

    /// It ends so, at once.
    pub fn ends(end: ExecEnd) -> Self {
        Self::plain(Some(end))
    }

    /// It writes what it has to and goes on until it is given up or its pod ends.
    pub fn hangs() -> Self {
        Self::plain(None)
    }

    /// The connection breaks: how it ended is never known.
    pub fn lost(message: impl Into<String>) -> Self {
        Self::ends(ExecEnd::Lost {
            message: message.into(),
        })
    }

    /// It does what a function does with its streams.
    pub fn by<F, E>(behaviour: F) -> Self
    where
        F: Fn(ExecCall, ExecStreams) -> E + Send + Sync + 'static,
        E: Future<Output = ExecEnd> + Send + 'static,
    {
        Self(Answer::By(Arc::new(move |call, streams| {
            behaviour(call, streams).boxed()
        })))
    }

    /// What it writes to its standard output. (One that follows a function has its own words.)
    #[must_use]
    pub fn stdout(mut self, text: impl Into<Bytes>) -> Self {
        if let Answer::Plain { stdout, .. } = &mut self.0 {
            *stdout = text.into();
        }
        self
    }

    /// What it writes to its standard error.
    #[must_use]
    pub fn stderr(mut self, text: impl Into<Bytes>) -> Self {
        if let Answer::Plain { stderr, .. } = &mut self.0 {
            *stderr = text.into();
        }
        self
    }

    /// How long it runs before it writes anything.
    #[must_use]
    pub const fn after(mut self, time: Duration) -> Self {
        if let Answer::Plain { after, .. } = &mut self.0 {
            *after = time;
        }
        self
    }

    const fn plain(end: Option<ExecEnd>) -> Self {
        Self(Answer::Plain {
            after: Duration::ZERO,
            stdout: Bytes::new(),
            stderr: Bytes::new(),
            end,
        })
    }

    async fn run(self, call: ExecCall, streams: ExecStreams) -> ExecEnd {
        match self.0 {
            Answer::By(behaviour) => behaviour(call, streams).await,
            Answer::Plain {
                after,
                stdout,
                stderr,
                end,
            } => {
                if !after.is_zero() {
                    tokio::time::sleep(after).await;
                }
                for (stream, text) in [(&streams.stdout, stdout), (&streams.stderr, stderr)] {
                    if !text.is_empty() {
                        // Nobody may be reading it.
                        stream.send(text).await.ok();
                    }
                }
                match end {
                    Some(end) => end,
                    None => std::future::pending().await,
                }
            }
        }
    }
}

impl Default for ExecAnswer {
    /// Success without a word.
    fn default() -> Self {
        Self::exit(0)
    }
}

impl fmt::Debug for ExecAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecAnswer").finish_non_exhaustive()
    }
}

/// Matches a command by the words a user gave: those at the end of its argv. What a client puts before them (a shell
/// that prepares the command) doesn't matter.
///
/// ```
/// use podbay_fake_cluster::command;
/// use podbay_fake_cluster::ExecCall;
/// use podbay_k8s_client::ExecRequest;
///
/// let argv = ["sh", "-c", "exec \"$@\"", "sh", "git", "status"].map(str::to_owned).to_vec();
/// let request = ExecRequest { container: "main".to_owned(), argv, stdin: false, tty: false };
/// let call = ExecCall { namespace: "ns".to_owned(), pod: "p".to_owned(), request };
/// assert!(command(["git", "status"])(&call));
/// assert!(!command(["git"])(&call));
/// ```
pub fn command<W: Into<String>>(
    words: impl IntoIterator<Item = W>,
) -> impl Fn(&ExecCall) -> bool + Send + Sync + 'static {
    let words: Vec<String> = words.into_iter().map(Into::into).collect();
    move |call| call.request.argv.ends_with(&words)
}

/// Runs a command in a container that lives until `alive` is cancelled.
pub(super) fn start(answer: ExecAnswer, call: ExecCall, alive: CancellationToken) -> ExecProcess {
    let (stdout, stdout_read) = mpsc::channel(QUEUE);
    let (stderr, stderr_read) = mpsc::channel(QUEUE);
    let (stdin_write, stdin) = mpsc::channel(QUEUE);
    let (wants_stdin, tty) = (call.request.stdin, call.request.tty);
    let given_up = CancellationToken::new();
    let guard = given_up.clone().drop_guard();
    let (tell, end) = oneshot::channel();
    let (exits, exit) = watch::channel(None);
    let shell = CarryingShell::of(&call.request, exit);
    let streams = ExecStreams {
        stdin: wants_stdin.then_some(stdin),
        stdout,
        stderr,
    };
    tokio::spawn(async move {
        let end = tokio::select! {
            biased;
            () = given_up.cancelled() => return,
            // What runs in a container is killed with it.
            () = alive.cancelled() => ExecEnd::Exited { code: KILLED },
            end = answer.run(call, streams) => end,
        };
        if let ExecEnd::Exited { code } = end
            && !alive.is_cancelled()
        {
            exits.send_replace(Some(code));
        }
        // The caller may have stopped waiting.
        tell.send(end).ok();
    });
    let lost = || ExecEnd::Lost {
        message: "the cluster is gone".to_owned(),
    };
    ExecProcess {
        stdin: wants_stdin.then(|| ExecStdin::new(stdin_write)),
        stdout: output(stdout_read, shell.clone()),
        stderr: output(stderr_read, shell),
        resize: tty.then(|| watch::Sender::new(TerminalSize::default())),
        signals: None,
        end: end.map(move |end| end.unwrap_or_else(|_| lost())).boxed(),
        guard,
    }
}

/// The shell that a client has carry its command: it holds both streams open until the command has ended, and then writes into
/// each a word that the client chose, which begins with ASCII's record separator, and the exit code. With a terminal it is gone
/// by then; one that is killed with its container writes nothing.
#[derive(Clone)]
struct CarryingShell {
    end_mark: String,
    /// The last bytes of what came, fewer than the mark has: it may be cut anywhere.
    tail: Vec<u8>,
    /// The exit code, once there is one; closed when there will be none.
    exit: watch::Receiver<Option<i32>>,
}

impl CarryingShell {
    fn of(request: &ExecRequest, exit: watch::Receiver<Option<i32>>) -> Option<Self> {
        let mut words = request.argv.iter().filter(|_| !request.tty);
        let end_mark = words.find(|word| word.starts_with('\u{1e}'))?.clone();
        Some(Self {
            end_mark,
            tail: Vec::new(),
            exit,
        })
    }

    /// Whether the mark has come already, with `piece` at the latest: some behaviours play the shell too.
    fn has_written(&mut self, piece: &Bytes) -> bool {
        let length = self.end_mark.len();
        self.tail.extend_from_slice(piece);
        let has_come = self
            .tail
            .windows(length)
            .any(|bytes| bytes == self.end_mark.as_bytes());
        let surplus = self.tail.len().saturating_sub(length.saturating_sub(1));
        self.tail.drain(..surplus);
        has_come
    }

    /// What it writes when the command has exited.
    async fn last_words(mut self) -> Option<Bytes> {
        let code = self
            .exit
            .wait_for(Option::is_some)
            .await
            .ok()?
            .unwrap_or_default();
        Some(Bytes::from(format!("{}{code}\n", self.end_mark)))
    }
}

fn output(pieces: mpsc::Receiver<Bytes>, shell: Option<CarryingShell>) -> ExecOutput {
    ExecOutput::new(stream::unfold(
        (pieces, shell),
        |(mut pieces, mut shell)| async move {
            let piece = match pieces.recv().await {
                Some(piece) => {
                    shell = shell.and_then(|mut shell| (!shell.has_written(&piece)).then_some(shell));
                    piece
                }
                None => shell.take()?.last_words().await?,
            };
            Some((piece, (pieces, shell)))
        },
    ))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    /// A behaviour that plays the shell writes the mark in pieces of any size; it does not come once more.
    #[tokio::test]
    async fn a_mark_that_was_written_is_seen_wherever_it_is_cut() {
        let mark = "\u{1e}0123456789abcdef:";
        let written = format!("output{mark}0\n");
        for cut in 0..=written.len() {
            let (_codes, exit) = watch::channel(Some(0));
            let shell = CarryingShell {
                end_mark: mark.to_owned(),
                tail: Vec::new(),
                exit,
            };
            let (write, read) = mpsc::channel(2);
            for piece in [&written[..cut], &written[cut..]] {
                write
                    .send(Bytes::copy_from_slice(piece.as_bytes()))
                    .await
                    .unwrap();
            }
            drop(write);
            let pieces: Vec<Bytes> = output(read, Some(shell)).collect().await;
            assert_eq!(pieces.concat(), written.as_bytes(), "{cut}");
        }
    }
}
