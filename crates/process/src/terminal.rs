//! Commands with a terminal.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use bytes::Bytes;
use podbay_protocol::TerminalSize;
use pty_process::{OwnedReadPty, OwnedWritePty, Pty, Size};
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWriteExt as _, ReadBuf};
use tokio::process::Command;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::start::Started;
use crate::start_error::StartError;
use crate::streams::Streams;

/// Ctrl-D, a terminal's end-of-file character unless it was changed (termios(3), `VEOF`).
const END_OF_FILE: u8 = 0x04;

/// The outer side of a command's terminal.
pub(crate) struct Terminal {
    read: TerminalOutput,
    write: OwnedWritePty,
    stdin: bool,
}

/// What a terminal prints. On Linux a terminal no process has open any more is an error to read (EIO); here it
/// is the end of the stream.
pub(crate) struct TerminalOutput {
    read: OwnedReadPty,
    /// The same terminal, to be asked how much there is to read.
    descriptor: OwnedFd,
}

/// Starts a process as the leader of a session whose controlling terminal is a new one. Without `stdin`
/// its input is empty, not the terminal.
pub(crate) fn start(command: Command, stdin: bool) -> Result<Started, StartError> {
    let (pty, inner) = pty_process::open().map_err(terminal_failed)?;
    resize(|size| pty.resize(size), TerminalSize::default());
    let descriptor = pty.as_fd().try_clone_to_owned().map_err(StartError::Terminal)?;
    let mut command = pty_process::Command::from(command);
    if !stdin {
        command = command.stdin(Stdio::null());
    }
    let child = command.spawn(inner).map_err(|error| match error {
        pty_process::Error::Io(error) => StartError::Process(error),
        other => terminal_failed(other),
    })?;
    let (read, write) = Pty::into_split(pty);
    let terminal = Terminal {
        read: TerminalOutput { read, descriptor },
        write,
        stdin,
    };
    Ok(Started {
        child: Box::new(child),
        streams: Streams::Terminal(terminal),
    })
}

fn terminal_failed(error: pty_process::Error) -> StartError {
    StartError::Terminal(match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(errno) => errno.into(),
        other => io::Error::other(other),
    })
}

impl Terminal {
    /// Whether what is typed reaches the command.
    pub(crate) const fn has_input(&self) -> bool {
        self.stdin
    }

    /// Starts typing what comes from `receiver` and following the size, until the command `exited`. Returns
    /// where the size is set, and what the terminal prints.
    pub(crate) fn carry(
        self,
        receiver: mpsc::Receiver<Bytes>,
        exited: CancellationToken,
    ) -> (watch::Sender<TerminalSize>, TerminalOutput) {
        let (size, sizes) = watch::channel(TerminalSize::default());
        let Self { read, write, stdin } = self;
        let receiver = stdin.then_some(receiver);
        tokio::spawn(async move {
            tokio::select! {
                () = follow(write, receiver, sizes) => {}
                () = exited.cancelled() => {}
            }
        });
        (size, read)
    }
}

/// Types and resizes until neither can come any more.
async fn follow(
    mut terminal: OwnedWritePty,
    mut input: Option<mpsc::Receiver<Bytes>>,
    sizes: watch::Receiver<TerminalSize>,
) {
    let mut sizes = Some(sizes);
    let mut last = b'\n';
    while input.is_some() || sizes.is_some() {
        tokio::select! {
            biased; // A size set before something is typed is there when it is read.
            changed = next_size(&mut sizes) => match changed {
                Some(size) => resize(|size| terminal.resize(size), size),
                None => sizes = None,
            },
            typed = next(&mut input) => {
                let written = if let Some(bytes) = &typed {
                    last = bytes.last().copied().unwrap_or(last);
                    terminal.write_all(bytes).await
                } else {
                    // In the middle of a line the first only hands the line over.
                    let times = if last == b'\n' { 1 } else { 2 };
                    terminal.write_all(&[END_OF_FILE; 2][..times]).await
                };
                if typed.is_none() || written.is_err() {
                    input = None;
                }
            }
        }
    }
}

/// The next bytes; pending when there is no input any more.
async fn next(input: &mut Option<mpsc::Receiver<Bytes>>) -> Option<Bytes> {
    match input {
        Some(input) => input.recv().await,
        None => std::future::pending().await,
    }
}

/// The next size; none when there will be no more, pending after that.
async fn next_size(sizes: &mut Option<watch::Receiver<TerminalSize>>) -> Option<TerminalSize> {
    let Some(sizes) = sizes else {
        return std::future::pending().await;
    };
    sizes.changed().await.ok()?;
    Some(*sizes.borrow_and_update())
}

/// Sets the size. A size that isn't taken is not worth a command.
fn resize(set: impl FnOnce(Size) -> pty_process::Result<()>, TerminalSize { width, height }: TerminalSize) {
    if let Err(error) = set(Size::new(height, width)) {
        tracing::debug!(%error, width, height, "setting a terminal's size");
    }
}

impl AsyncRead for TerminalOutput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.read).poll_read(cx, buffer) {
            Poll::Ready(Err(error)) if Errno::from_io_error(&error) == Some(Errno::IO) => Poll::Ready(Ok(())),
            other => other,
        }
    }
}

impl AsFd for TerminalOutput {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
