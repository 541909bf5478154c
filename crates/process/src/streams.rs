//! A process's streams, and connecting them to its caller.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::io::AsyncRead;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::process::{Input, Output, Process, ProcessEnd};
use crate::supervisor::Supervisor;
use crate::terminal::Terminal;
use crate::{pump, queue};

/// How long after a command's end its output is still waited for if processes it left behind keep it open.
/// Long enough for the last filter of a pipeline (`> >(tee log)`) to finish, short enough not to be a hang.
pub const LINGER: Duration = Duration::from_secs(1);

/// What a process's standard streams are connected to.
pub(crate) enum Streams {
    /// A pipe each.
    Pipes {
        /// Where its standard input is written, if it has one.
        stdin: Option<ChildStdin>,
        /// Where its standard output is read.
        stdout: Option<ChildStdout>,
        /// Where its standard error is read.
        stderr: Option<ChildStderr>,
    },
    /// One terminal for all.
    Terminal(Terminal),
}

impl Streams {
    /// Starts the tasks that carry the streams and wait for the end.
    pub(crate) fn into_process(self, supervisor: Supervisor) -> Process {
        let given_up = CancellationToken::new();
        let exited = CancellationToken::new();
        let lingered = CancellationToken::new();
        let (stdin, stdout, stderr, resize, delivered);
        match self {
            Self::Pipes {
                stdin: input,
                stdout: out,
                stderr: err,
            } => {
                stdin = input.map(|input| {
                    let (sender, receiver) = queue::input();
                    tokio::spawn(pump::feed(input, receiver, exited.clone()));
                    Input::new(sender)
                });
                let (out_stream, out_delivered) = output(out, &lingered);
                let (err_stream, err_delivered) = output(err, &lingered);
                (stdout, stderr, resize) = (out_stream, err_stream, None);
                delivered = vec![out_delivered, err_delivered];
            }
            Self::Terminal(terminal) => {
                let (sender, receiver) = queue::input();
                stdin = terminal.has_input().then(|| Input::new(sender));
                let (size, out) = terminal.carry(receiver, exited.clone());
                let (stream, out_delivered) = output(Some(out), &lingered);
                (stdout, stderr, resize) = (stream, Output::empty(), Some(size));
                delivered = vec![out_delivered];
            }
        }
        let (signals, signals_sent) = mpsc::unbounded_channel();
        let (end_sender, end) = oneshot::channel();
        let token = given_up.clone();
        tokio::spawn(async move {
            let end = supervisor.wait(token, signals_sent).await;
            exited.cancel();
            // Each either says that all was handed over, or is gone with the runtime.
            let mut delivered = futures::future::join_all(delivered);
            if tokio::time::timeout(LINGER, &mut delivered).await.is_err() {
                lingered.cancel();
                delivered.await;
            }
            end_sender.send(end).ok(); // Nobody may ask.
        });
        Process {
            stdin,
            stdout,
            stderr,
            resize,
            signals,
            end: end.map(known).boxed(),
            guard: given_up.drop_guard(),
        }
    }
}

/// Starts carrying an output stream; the receiver tells when all of it was handed over.
fn output<R: AsyncRead + AsFd + Unpin + Send + Sync + 'static>(
    pipe: Option<R>,
    lingered: &CancellationToken,
) -> (Output, oneshot::Receiver<()>) {
    let (sender, stream) = queue::output();
    let (done, delivered) = oneshot::channel();
    if let Some(pipe) = pipe {
        let (lingered, cut) = (lingered.clone(), stream.cut());
        tokio::spawn(async move {
            let open = pump::deliver(pipe, &sender, lingered).await;
            // Before the stream ends, so that whoever sees the end can ask.
            cut.store(open.is_some(), Ordering::Release);
            drop(sender);
            done.send(()).ok();
            if let Some(pipe) = open {
                pump::discard(pipe).await;
            }
        });
    }
    (stream, delivered)
}

fn known(end: Result<ProcessEnd, oneshot::error::RecvError>) -> ProcessEnd {
    end.unwrap_or_else(|_| ProcessEnd::Lost {
        message: "the runtime that waited for the command was shut down, and the command killed".to_owned(),
    })
}
