//! Following objects: one list, then watches from where the last one ended, for as long as anybody listens.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use kube::Api;
use kube::api::{WatchEvent as KubeEvent, WatchParams};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::call::Caller;
use super::failure::from_kube;
use super::pages;
use crate::client::{Interruption, WatchEvent, WatchPolicy};
use crate::error::{Error, ErrorKind};
use crate::object::Object;
use crate::retry::{self, Repeatable};

/// A watch that tells nothing and ends sooner is a failure, as with client-go: asking again without a pause would
/// be all this process does.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// Follows what `api` names and `selector` matches.
pub(super) fn follow<K>(
    caller: Arc<Caller>,
    api: Api<K>,
    operation: String,
    selector: String,
    policy: WatchPolicy,
) -> BoxStream<'static, Result<WatchEvent, Error>>
where
    K: Clone + DeserializeOwned + Debug + kube::Resource + Into<Object> + Send + 'static,
{
    let watch = Watch {
        caller,
        api,
        operation,
        selector,
        policy,
        state: State::Listing,
        failures: 0,
        connected: Instant::now(),
        heard: Instant::now(),
        interrupted: None,
    };
    stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some((event, watch))
    })
    .boxed()
}

struct Watch<K> {
    caller: Arc<Caller>,
    api: Api<K>,
    operation: String,
    selector: String,
    policy: WatchPolicy,
    state: State<K>,
    /// Failures since the last watch that told something or lasted; the pauses grow with it.
    failures: u32,
    /// When the last watch began.
    connected: Instant,
    /// When the server was last heard of.
    heard: Instant,
    /// What its listener was told of the interruption that is going on.
    interrupted: Option<ErrorKind>,
}

enum State<K> {
    /// Nothing is known, or what was known is too old.
    Listing,
    /// Known up to this resource version.
    Connecting(String),
    /// Receiving; the last version seen.
    Following(String, Events<K>),
    /// Waiting, after a failure.
    Pausing(Instant, Box<Self>),
    /// An error stands.
    Ended,
}

type Events<K> = BoxStream<'static, Result<KubeEvent<K>, kube::Error>>;

impl<K> Watch<K>
where
    K: Clone + DeserializeOwned + Debug + kube::Resource + Into<Object> + Send + 'static,
{
    /// The next change; none after an error that stands.
    async fn next(&mut self) -> Option<Result<WatchEvent, Error>> {
        loop {
            let step = match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return None,
                State::Pausing(until, next) => {
                    tokio::time::sleep_until(until).await;
                    Step::To(*next)
                }
                State::Listing => self.list().await,
                State::Connecting(version) => self.connect(version).await,
                State::Following(version, events) => self.receive(version, events).await,
            };
            match step {
                Step::To(state) => self.state = state,
                Step::Event(event, state) => {
                    self.state = state;
                    return Some(Ok(*event));
                }
                Step::Failed(error, back_to) => {
                    let interruption = self.interruption(&error);
                    // What was known is too old: for a watch, one more reason to begin anew.
                    let back_to = match error.kind {
                        ErrorKind::Expired => State::Listing,
                        _ => back_to,
                    };
                    self.failures = self.failures.saturating_add(1);
                    let error = waited_out(error);
                    let jitter = rand::random();
                    let pause = match retry::pause(&error, Repeatable::Always, self.failures, jitter) {
                        Some(pause) => pause,
                        None if self.policy == WatchPolicy::Persist => {
                            retry::persistent_pause(self.failures, jitter)
                        }
                        None => return Some(Err(error)),
                    };
                    // A server may ask for any pause, and a watch has no deadline that bounds it.
                    let pause = pause.min(self.caller.watch());
                    tracing::debug!(operation = self.operation, ?pause, error = %error, "watching again");
                    self.state = State::Pausing(Instant::now() + pause, Box::new(back_to));
                    if let Some(interruption) = interruption {
                        return Some(Ok(WatchEvent::Interrupted(interruption)));
                    }
                }
            }
        }
    }

    /// What is to be told of a failure, if anything.
    fn interruption(&mut self, error: &Error) -> Option<Interruption> {
        // Where the version has expired, the server has just said so.
        let is_news = error.kind != ErrorKind::Expired && self.interrupted != Some(error.kind);
        if self.policy != WatchPolicy::Persist || !is_news {
            return None;
        }
        self.interrupted = Some(error.kind);
        Some(Interruption {
            since: self.heard,
            kind: error.kind,
            message: error.to_string(),
        })
    }

    /// Reads all there is.
    async fn list(&mut self) -> Step<K> {
        match pages::read(&self.caller, &self.api, &self.operation, &self.selector).await {
            Ok((objects, version)) => {
                self.heard = Instant::now();
                self.interrupted = None;
                let objects = objects.into_iter().map(without_managed_fields).collect();
                Step::Event(Box::new(WatchEvent::Reset(objects)), State::Connecting(version))
            }
            Err(error) => Step::Failed(error, State::Listing),
        }
    }

    /// Asks for all changes since `version`.
    async fn connect(&mut self, version: String) -> Step<K> {
        let seconds = u32::try_from(self.caller.watch().as_secs())
            .unwrap_or(u32::MAX)
            .max(1);
        let params = WatchParams::default().labels(&self.selector).timeout(seconds);
        self.caller.admit().await;
        let deadline = self.caller.deadline();
        self.connected = Instant::now();
        match tokio::time::timeout(deadline, self.api.watch(&params, &version)).await {
            Ok(Ok(events)) => {
                self.heard = Instant::now();
                let state = State::Following(version, events.boxed());
                match self.interrupted.take() {
                    Some(_) => Step::Event(Box::new(WatchEvent::Resumed), state),
                    None => Step::To(state),
                }
            }
            Ok(Err(error)) => Step::Failed(from_kube(&self.operation, error), State::Connecting(version)),
            Err(_) => Step::Failed(
                Error::new(&self.operation, ErrorKind::Deadline(deadline)),
                State::Connecting(version),
            ),
        }
    }

    /// Waits for the next change.
    async fn receive(&mut self, version: String, mut events: Events<K>) -> Step<K> {
        let silence = self.caller.watch() * 7 / 6;
        let received = tokio::time::timeout(silence, events.next()).await;
        if matches!(received, Ok(None | Some(Ok(_)))) {
            self.heard = Instant::now();
        }
        match received {
            // Ended by the server, or silent beyond the server's own limit and so dead. Nothing is missed by
            // asking again from the last version seen.
            Err(_) | Ok(None) => {
                if self.failures == 0 || self.connected.elapsed() >= SHORTEST_WATCH {
                    // The next one that ends at once, with nothing told in between, is one too many.
                    self.failures = u32::from(self.connected.elapsed() < SHORTEST_WATCH);
                    return Step::To(State::Connecting(version));
                }
                let error = Error::new(&self.operation, ErrorKind::Disconnected)
                    .with_message("the watch ended as soon as it had begun");
                Step::Failed(error, State::Connecting(version))
            }
            Ok(Some(Err(error))) => {
                let error = from_kube(&self.operation, error);
                match error.kind {
                    // No event: what comes after this version can't be read, so all is read anew. If that can't
                    // be either, it ends there.
                    ErrorKind::Server { .. } => {
                        let kind = ErrorKind::Disconnected;
                        Step::Failed(Error { kind, ..error }, State::Listing)
                    }
                    _ => Step::Failed(error, State::Connecting(version)),
                }
            }
            Ok(Some(Ok(event))) => self.told(event, version, events),
        }
    }

    /// What `event` says.
    fn told(&mut self, event: KubeEvent<K>, version: String, events: Events<K>) -> Step<K> {
        if !matches!(event, KubeEvent::Error(_)) {
            self.failures = 0;
        }
        match event {
            KubeEvent::Added(object) | KubeEvent::Modified(object) => {
                let version = version_of(&object, version);
                Step::Event(
                    Box::new(WatchEvent::Applied(without_managed_fields(object))),
                    State::Following(version, events),
                )
            }
            KubeEvent::Deleted(object) => {
                let version = version_of(&object, version);
                Step::Event(
                    Box::new(WatchEvent::Deleted(without_managed_fields(object))),
                    State::Following(version, events),
                )
            }
            KubeEvent::Bookmark(bookmark) => {
                Step::To(State::Following(bookmark.metadata.resource_version, events))
            }
            KubeEvent::Error(status) => Step::Failed(
                from_kube(&self.operation, kube::Error::Api(status)),
                State::Connecting(version),
            ),
        }
    }
}

/// What one step came to.
enum Step<K> {
    To(State<K>),
    Event(Box<WatchEvent>, State<K>),
    Failed(Error, State<K>),
}

fn version_of<K: kube::Resource>(object: &K, before: String) -> String {
    object.meta().resource_version.clone().unwrap_or(before)
}

/// `managedFields` is the larger half of many objects, and nothing here reads it.
fn without_managed_fields<K: Into<Object>>(object: K) -> Object {
    let mut object: Object = object.into();
    object.metadata_mut().managed_fields = None;
    object
}

/// For a watch, a call that got no answer is one more lost connection, and so is a version that expired.
fn waited_out(error: Error) -> Error {
    match error.kind {
        ErrorKind::Deadline(_) | ErrorKind::Expired => Error {
            kind: ErrorKind::Disconnected,
            ..error
        },
        _ => error,
    }
}
