//! Following objects: one list, then watches from where the last one ended, for as long as anybody listens.

use std::fmt::Debug;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use kube::Api;
use kube::api::{ListParams, WatchEvent as KubeEvent, WatchParams};
use serde::de::DeserializeOwned;

use super::call::Caller;
use super::failure::from_kube;
use crate::client::WatchEvent;
use crate::error::{Error, ErrorKind};
use crate::object::Object;
use crate::retry::{self, Repeatable};

/// Objects a page of the first list.
const PAGE: u32 = 500;

/// Follows what `api` names and `selector` matches.
pub(super) fn follow<K>(
    caller: Arc<Caller>,
    api: Api<K>,
    operation: String,
    selector: String,
) -> BoxStream<'static, Result<WatchEvent, Error>>
where
    K: Clone + DeserializeOwned + Debug + kube::Resource + Into<Object> + Send + 'static,
{
    let watch = Watch {
        caller,
        api,
        operation,
        selector,
        state: State::Listing,
        failures: 0,
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
    state: State<K>,
    /// Failures since the last success; the pauses grow with it.
    failures: u32,
}

enum State<K> {
    /// Nothing is known, or what was known is too old.
    Listing,
    /// Known up to this resource version.
    Connecting(String),
    /// Receiving; the last version seen.
    Following(String, Events<K>),
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
                State::Listing => self.list().await,
                State::Connecting(version) => self.connect(version).await,
                State::Following(version, events) => self.receive(version, events).await,
            };
            match step {
                Step::To(state) => self.state = state,
                Step::Event(event, state) => {
                    self.failures = 0;
                    self.state = state;
                    return Some(Ok(*event));
                }
                Step::Failed(error, back_to) => {
                    if matches!(error.kind, ErrorKind::Expired) {
                        self.state = State::Listing;
                        continue;
                    }
                    self.failures += 1;
                    let error = timed_out_is_disconnected(error);
                    match retry::pause(&error, Repeatable::Always, self.failures, rand::random()) {
                        Some(pause) => {
                            tracing::debug!(operation = self.operation, ?pause, error = %error, "watching again");
                            tokio::time::sleep(pause).await;
                            self.state = back_to;
                        }
                        None => return Some(Err(error)),
                    }
                }
            }
        }
    }

    /// Reads all there is, page by page.
    async fn list(&mut self) -> Step<K> {
        let mut objects: Vec<Object> = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut params = ListParams::default().labels(&self.selector).limit(PAGE);
            params.continue_token = token;
            let page = self
                .caller
                .call(&self.operation, Repeatable::Always, || self.api.list(&params))
                .await;
            match page {
                Ok(page) => {
                    objects.extend(page.items.into_iter().map(without_managed_fields));
                    token = page.metadata.continue_.filter(|token| !token.is_empty());
                    if token.is_none() {
                        let version = page.metadata.resource_version.unwrap_or_default();
                        return Step::Event(Box::new(WatchEvent::Reset(objects)), State::Connecting(version));
                    }
                }
                Err(error) => return Step::Failed(error, State::Listing),
            }
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
        match tokio::time::timeout(deadline, self.api.watch(&params, &version)).await {
            Ok(Ok(events)) => Step::To(State::Following(version, events.boxed())),
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
        match tokio::time::timeout(silence, events.next()).await {
            // Ended by the server, or silent beyond the server's own limit and so dead. Nothing is missed by
            // asking again from the last version seen.
            Err(_) | Ok(None) => Step::To(State::Connecting(version)),
            Ok(Some(Err(error))) => {
                Step::Failed(from_kube(&self.operation, error), State::Connecting(version))
            }
            Ok(Some(Ok(event))) => match event {
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
            },
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

/// For a watch, a call that got no answer is one more lost connection.
fn timed_out_is_disconnected(error: Error) -> Error {
    match error.kind {
        ErrorKind::Deadline(_) => Error {
            kind: ErrorKind::Disconnected,
            ..error
        },
        _ => error,
    }
}
