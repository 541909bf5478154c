//! Waiting for a state: by a watch, so that no state between two looks is missed.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use podbay_k8s_client::{ClusterClient, Error, Object, ObjectKey, WatchEvent, WatchPolicy};
use serde_json::Value;

use super::stage::to_json;

/// How long a cluster may take for anything. A small one that runs all cases at once is slow.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How often to look where nothing can be watched.
pub const LOOK: Duration = Duration::from_millis(200);

/// The states of one object, from some time on.
pub struct Follow {
    key: ObjectKey,
    watch: BoxStream<'static, Result<WatchEvent, Error>>,
    /// The last state seen; null for none.
    state: Value,
}

#[expect(clippy::expect_used, reason = "tests fail by panicking")]
impl Follow {
    /// Starts with the state there is now.
    pub async fn start(client: &dyn ClusterClient, key: ObjectKey) -> Self {
        let watch = client.watch(key.kind, &key.namespace, "", WatchPolicy::FailFast);
        let mut follow = Self {
            key,
            watch,
            state: Value::Null,
        };
        follow.next().await;
        follow
    }

    /// The first state, from the last one seen on, of which `holds` is true. The state of what is not there is null.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            while !holds(&self.state) {
                self.next().await;
            }
        };
        let in_time = tokio::time::timeout(LIMIT, found).await.is_ok();
        assert!(
            in_time,
            "{} was not {what} within {LIMIT:?}: {}",
            self.key, self.state
        );
        self.state.clone()
    }

    async fn next(&mut self) {
        let name = &self.key.name;
        let is_it = |object: &Object| object.metadata().name.as_ref() == Some(name);
        match self
            .watch
            .next()
            .await
            .expect("a watch is endless")
            .expect("a watch")
        {
            WatchEvent::Reset(objects) => {
                let object = objects.iter().find(|object| is_it(object));
                self.state = object.map(to_json).unwrap_or_default();
            }
            WatchEvent::Applied(object) if is_it(&object) => self.state = to_json(&object),
            WatchEvent::Deleted(object) if is_it(&object) => self.state = Value::Null,
            WatchEvent::Applied(_)
            | WatchEvent::Deleted(_)
            | WatchEvent::Interrupted(_)
            | WatchEvent::Resumed => {}
        }
    }
}
