//! A watch that lags behind.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use podbay_k8s_client::{Error, WatchEvent};
use tokio::time::{Instant, sleep_until};

use super::watches::Events;

struct Lagging {
    /// `None` after its end.
    events: Option<Events>,
    lag: Duration,
    /// What happened and is not told yet, with when it is to be.
    held: VecDeque<(Instant, Result<WatchEvent, Error>)>,
}

/// Tells what `events` tell, each change `lag` later.
pub(super) fn lagging(events: Events, lag: Duration) -> Events {
    let lagging = Lagging {
        events: Some(events),
        lag,
        held: VecDeque::new(),
    };
    stream::unfold(lagging, |mut lagging| async move {
        let event = lagging.next().await?;
        Some((event, lagging))
    })
    .fuse()
    .boxed()
}

impl Lagging {
    async fn next(&mut self) -> Option<Result<WatchEvent, Error>> {
        loop {
            let due = self.held.front().map(|(due, _)| *due);
            if due.is_none() && self.events.is_none() {
                return None;
            }
            let is_due = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let happens = async {
                match &mut self.events {
                    Some(events) => events.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = is_due => return self.held.pop_front().map(|(_, event)| event),
                event = happens => match event {
                    // A list knows all that is held here, and more.
                    Some(Ok(WatchEvent::Reset(objects))) => {
                        self.held.clear();
                        return Some(Ok(WatchEvent::Reset(objects)));
                    }
                    Some(event) => self.held.push_back((Instant::now() + self.lag, event)),
                    None => self.events = None,
                },
            }
        }
    }
}
