//! Watches that fall silent, miss events, or end.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::stream::{self, BoxStream, StreamExt as _};
use podbay_k8s_client::{ClusterClient, Error, ErrorKind, Interruption, Kind, WatchEvent, WatchPolicy};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::matching::{About, On};
use super::recording::Operation;

pub(super) type Events = BoxStream<'static, Result<WatchEvent, Error>>;

/// The watches that are open.
#[derive(Default)]
pub(super) struct Watches(Mutex<Vec<Weak<Open>>>);

struct Open {
    kind: Kind,
    namespace: String,
    selector: String,
    policy: WatchPolicy,
    mode: watch::Sender<Mode>,
}

/// What a watch does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// Hands events on.
    #[default]
    Flowing,
    /// Says nothing.
    Stalled,
    /// Is out of touch: says so if it persists, and then nothing.
    Cut,
    /// Misses this many events, then starts over.
    Losing(usize),
    /// Ends.
    Failing(ErrorKind),
}

/// What a watch is over.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) selector: String,
    pub(super) policy: WatchPolicy,
}

impl Watches {
    pub(super) fn stall(&self, on: &On) {
        self.set(on, Mode::Stalled);
    }

    pub(super) fn cut(&self, on: &On) {
        self.set(on, Mode::Cut);
    }

    pub(super) fn lose(&self, on: &On, events: usize) {
        self.set(on, Mode::Losing(events));
    }

    pub(super) fn fail(&self, on: &On, kind: ErrorKind) {
        self.set(on, Mode::Failing(kind));
    }

    pub(super) fn resume(&self) {
        self.each(|open| {
            open.mode.send_if_modified(|mode| {
                let stalled = matches!(mode, Mode::Stalled | Mode::Cut);
                if stalled {
                    *mode = Mode::Losing(0);
                }
                stalled
            });
        });
    }

    /// Opens a watch over `client`; it goes on for as long as it is read, unless the client's process `crashed`.
    pub(super) fn open(
        &self,
        client: Arc<dyn ClusterClient>,
        subject: Subject,
        cut: bool,
        crashed: CancellationToken,
    ) -> Events {
        let Subject {
            kind,
            namespace,
            selector,
            policy,
        } = subject;
        let events = client.watch(kind, &namespace, &selector, policy);
        let mode = if cut { Mode::Cut } else { Mode::Flowing };
        let (mode, changes) = watch::channel(mode);
        let open = Arc::new(Open {
            kind,
            namespace,
            selector,
            policy,
            mode,
        });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|open| open.strong_count() > 0);
        all.push(Arc::downgrade(&open));
        drop(all);
        let following = Following {
            client,
            open,
            changes,
            events,
            crashed,
        };
        stream::unfold(Some(following), |following| async move {
            let mut following = following?;
            let event = following.next().await?;
            let ended = event.is_err();
            Some((event, (!ended).then_some(following)))
        })
        .fuse()
        .boxed()
    }

    fn set(&self, on: &On, mode: Mode) {
        self.each(|open| {
            let about = About {
                operation: Operation::Watch,
                kind: Some(open.kind),
                namespace: &open.namespace,
                name: &open.selector,
            };
            if on.matches(&about) {
                open.mode.send_replace(mode);
            }
        });
    }

    fn each(&self, act: impl Fn(&Open)) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for open in all.iter().filter_map(Weak::upgrade) {
            act(&open);
        }
    }
}

impl Open {
    /// What a watch that persists tells of a failure.
    fn interrupted(&self, kind: ErrorKind) -> WatchEvent {
        let operation = format!("watch {} in {}", self.kind.resource(), self.namespace);
        interrupted(&Error::new(operation, kind))
    }
}

/// What a watch that persists tells of an error that comes now.
pub(super) fn interrupted(error: &Error) -> WatchEvent {
    WatchEvent::Interrupted(Interruption {
        since: Instant::now(),
        kind: error.kind,
        message: error.to_string(),
    })
}

struct Following {
    client: Arc<dyn ClusterClient>,
    open: Arc<Open>,
    changes: watch::Receiver<Mode>,
    events: Events,
    crashed: CancellationToken,
}

impl Following {
    async fn next(&mut self) -> Option<Result<WatchEvent, Error>> {
        loop {
            if self.crashed.is_cancelled() {
                return std::future::pending().await;
            }
            let mode = *self.changes.borrow_and_update();
            match mode {
                Mode::Flowing => tokio::select! {
                    biased;
                    // What is to happen to it happens before what is told next. The sender is in `open`.
                    _ = self.changes.changed() => {}
                    event = self.events.next() => return event,
                },
                Mode::Stalled => {
                    let _changed = self.changes.changed().await;
                }
                Mode::Cut => {
                    self.open.mode.send_replace(Mode::Stalled);
                    if self.open.policy == WatchPolicy::Persist {
                        return Some(Ok(self.open.interrupted(ErrorKind::Unreachable)));
                    }
                }
                Mode::Losing(0) => {
                    self.open.mode.send_replace(Mode::Flowing);
                    let Open {
                        kind,
                        namespace,
                        selector,
                        policy,
                        mode: _,
                    } = &*self.open;
                    self.events = self.client.watch(*kind, namespace, selector, *policy);
                }
                Mode::Losing(events) => tokio::select! {
                    biased;
                    _ = self.changes.changed() => {}
                    event = self.events.next() => match event {
                        Some(Ok(_)) => {
                            self.open.mode.send_replace(Mode::Losing(events - 1));
                        }
                        ended => return ended,
                    },
                },
                Mode::Failing(kind) if self.open.policy == WatchPolicy::Persist => {
                    self.open.mode.send_replace(Mode::Stalled);
                    return Some(Ok(self.open.interrupted(kind)));
                }
                Mode::Failing(kind) => {
                    let operation = format!("watch {} in {}", self.open.kind.resource(), self.open.namespace);
                    return Some(Err(Error::new(operation, kind)));
                }
            }
        }
    }
}
