//! Watches: the API's own, from a resource version, and the endless one of the client trait made of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use podbay_k8s_client::{Error, Object, WatchEvent};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::Selector;
use super::denial::Denial;
use super::history::{Change, Cursor, Next};
use super::kept::Kept;

/// What a watch of the API yields. Each object carries the `resourceVersion` to go on from.
#[derive(Debug)]
pub enum RawEvent {
    /// An object was created, came to match the selector, or was there when the watch began without a version.
    Added(Object),
    /// An object changed.
    Modified(Object),
    /// An object was deleted, or ceased to match the selector; its last state that did.
    Deleted(Object),
    /// Nothing; all up to this version was sent.
    Bookmark {
        /// The `resourceVersion` to go on from.
        resource_version: String,
    },
    /// The watch ends: as a rule [`podbay_k8s_client::ErrorKind::Expired`] (410), for a watch so slow that the
    /// changes it waits for were forgotten.
    Error(Error),
}

/// A watch of the API over one kind in one namespace. Ends after an error, and with its cluster.
pub type RawWatch = BoxStream<'static, RawEvent>;

/// A watch about to begin.
pub(crate) struct Following {
    /// What an error of it calls it.
    pub operation: String,
    /// What it is about.
    pub selector: Selector,
    /// What is there already and not known to the watcher.
    pub initial: VecDeque<Arc<Kept>>,
    /// Where it goes on from.
    pub cursor: Cursor,
    /// How often to say how far the watch has come while nothing happens; none asks for no bookmarks.
    pub bookmarks: Option<Duration>,
}

impl Following {
    /// The watch.
    pub(crate) fn into_stream(self) -> RawWatch {
        let ticks = self.bookmarks.map(|period| {
            let mut ticks = tokio::time::interval_at(Instant::now() + period, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        stream::unfold(Some((self, ticks)), |state| async move {
            let (mut following, mut ticks) = state?;
            let event = following.next(ticks.as_mut()).await?;
            let ended = matches!(event, RawEvent::Error(_));
            Some((event, (!ended).then_some((following, ticks))))
        })
        .fuse()
        .boxed()
    }

    async fn next(&mut self, mut ticks: Option<&mut Interval>) -> Option<RawEvent> {
        if let Some(object) = self.initial.pop_front() {
            return Some(RawEvent::Added(object.whole()));
        }
        loop {
            match self.cursor.next() {
                Next::Change(change) => {
                    if let Some(event) = self.event(&change) {
                        return Some(event);
                    }
                }
                Next::Gone { seen, oldest } => {
                    let error = Denial::expired(seen, oldest).during(&self.operation);
                    return Some(RawEvent::Error(error));
                }
                Next::UpToDate(revision) => {
                    let tick = async {
                        match &mut ticks {
                            Some(ticks) => ticks.tick().await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        biased;
                        more = self.cursor.grown() => if !more {
                            return None;
                        },
                        _ = tick => return Some(RawEvent::Bookmark { resource_version: revision.to_string() }),
                    }
                }
            }
        }
    }

    /// The change as this watch sees it: an object whose labels come to match appears, one whose labels cease to
    /// match disappears.
    fn event(&self, change: &Change) -> Option<RawEvent> {
        let seen = |object: &Option<Arc<Kept>>| {
            let object = object.as_ref()?;
            self.selector
                .matches(object.metadata().labels.as_ref())
                .then(|| Arc::clone(object))
        };
        match (seen(&change.before), seen(&change.after)) {
            (None, Some(after)) => Some(RawEvent::Added(after.whole())),
            (Some(_), Some(after)) => Some(RawEvent::Modified(after.whole())),
            (Some(before), None) => {
                let mut last = before.whole();
                last.metadata_mut().resource_version = Some(change.revision.to_string());
                Some(RawEvent::Deleted(last))
            }
            (None, None) => None,
        }
    }
}

/// Lists what there is and watches from there; none once the cluster is gone.
pub(crate) type Relist = Box<dyn Fn() -> Option<(Vec<Object>, RawWatch)> + Send>;

/// The watch of the client trait: starts with `first`, goes on over expired versions.
pub(crate) fn endless(
    first: (Vec<Object>, RawWatch),
    relist: Relist,
) -> BoxStream<'static, Result<WatchEvent, Error>> {
    let (objects, watch) = first;
    let state = (Some(objects), watch, relist);
    stream::unfold(state, |(mut reset, mut watch, relist)| async move {
        loop {
            if let Some(objects) = reset.take() {
                return Some((Ok(WatchEvent::Reset(objects)), (None, watch, relist)));
            }
            match watch.next().await? {
                RawEvent::Added(object) | RawEvent::Modified(object) => {
                    return Some((Ok(WatchEvent::Applied(object)), (None, watch, relist)));
                }
                RawEvent::Deleted(object) => {
                    return Some((Ok(WatchEvent::Deleted(object)), (None, watch, relist)));
                }
                RawEvent::Bookmark { .. } => {}
                RawEvent::Error(error) => {
                    tracing::debug!(%error, "listing again");
                    let (objects, next) = relist()?;
                    (reset, watch) = (Some(objects), next);
                }
            }
        }
    })
    .fuse()
    .boxed()
}
