//! The streams of a process, being carried.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use podbay_protocol::StreamName;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::descriptor::{sink, source};
use super::entry::Entry;
use super::input::{Pieces, feed};
use super::pump::{Phase, Pumped, carry};

/// The streams of a process, being carried.
pub(super) struct Carried {
    entry: Arc<Entry>,
    phase: watch::Sender<Phase>,
    outputs: Vec<(StreamName, JoinHandle<Pumped>)>,
    feeder: Option<JoinHandle<()>>,
}

impl Carried {
    pub(super) fn new(entry: Arc<Entry>) -> Self {
        Self {
            entry,
            phase: watch::Sender::new(Phase::Running),
            outputs: Vec::new(),
            feeder: None,
        }
    }

    pub(super) fn output(&mut self, name: StreamName, source: pipe::Receiver) {
        let pump = carry(Arc::clone(&self.entry), name, source, self.phase.subscribe());
        self.outputs.push((name, tokio::spawn(pump)));
    }

    pub(super) fn input(&mut self, sink: pipe::Sender, pieces: Pieces, is_terminal: bool) {
        self.feeder = Some(tokio::spawn(feed(sink, pieces, is_terminal)));
    }

    /// The outer side of a terminal, for both directions and for its size.
    pub(super) fn terminal(&mut self, terminal: OwnedFd, input: Option<Pieces>) -> io::Result<()> {
        if let Some(pieces) = input {
            self.input(sink(terminal.try_clone()?)?, pieces, true);
        }
        self.output(StreamName::Stdout, source(terminal.try_clone()?)?);
        self.entry.has_got_terminal(terminal);
        Ok(())
    }

    /// The process reads no more.
    pub(super) fn feeder_ends(&mut self) {
        if let Some(feeder) = self.feeder.take() {
            feeder.abort();
        }
    }

    /// Waits until all that the process has written is in its log, and a while for what it left behind.
    pub(super) async fn finish(self, linger: Duration) -> Vec<(StreamName, Option<Pumped>)> {
        self.phase.send_replace(Phase::Exited);
        let (names, tasks): (Vec<_>, Vec<_>) = self.outputs.into_iter().unzip();
        let mut done = join_all(tasks);
        let pumped = if let Ok(pumped) = tokio::time::timeout(linger, &mut done).await {
            pumped
        } else {
            self.phase.send_replace(Phase::Lingered);
            done.await
        };
        // A pump that panicked has nothing to say; its stream is told as cut.
        names
            .into_iter()
            .zip(pumped.into_iter().map(Result::ok))
            .collect()
    }
}
