//! This process's terminal, when a command gets one.

use std::io::{IsTerminal as _, stderr, stdin, stdout};
use std::os::fd::AsFd;

use podbay_runtime::TerminalSize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether standard input is a terminal.
pub(crate) fn is_input_terminal() -> bool {
    stdin().is_terminal()
}

/// The size of the first of our streams that is a terminal; one that says 0 × 0 (a serial line) has the
/// default.
pub(crate) fn size() -> TerminalSize {
    let sized = tcgetwinsize(stdin())
        .or_else(|_| tcgetwinsize(stdout()))
        .or_else(|_| tcgetwinsize(stderr()));
    match sized {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => TerminalSize {
            width: size.ws_col,
            height: size.ws_row,
        },
        _ => TerminalSize::default(),
    }
}

/// The terminal on standard input in raw mode: every key goes to the command as it is typed, Ctrl-C too.
/// Dropping it, also while a panic unwinds, restores what was.
pub(crate) struct RawTerminal(Termios);

impl RawTerminal {
    /// Sets raw mode.
    pub(crate) fn set() -> rustix::io::Result<Self> {
        let before = tcgetattr(stdin().as_fd())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin().as_fd(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(stdin().as_fd(), OptionalActions::Now, &self.0);
    }
}

/// Tells `sizes` each new size of the terminal, as long as anyone listens.
pub(crate) async fn follow_size(sizes: watch::Sender<TerminalSize>) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else {
        return;
    };
    // The size may have changed between the command's start and the first signal heard.
    while sizes.send(size()).is_ok() && changes.recv().await.is_some() {}
}
