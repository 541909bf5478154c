//! What a watch told its listener, in short.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use podbay_k8s_client::{ClusterClient as _, Error, Kind, LiveClient, Object, WatchEvent, WatchPolicy};

use super::setup::LONG;

/// A running watch.
pub(crate) struct Watched(BoxStream<'static, Result<WatchEvent, Error>>);

impl Watched {
    pub(crate) fn of(client: &LiveClient) -> Self {
        Self(client.watch(Kind::Pod, "team", "", WatchPolicy::FailFast))
    }

    /// One that never ends.
    pub(crate) fn persistent(client: &LiveClient) -> Self {
        Self(client.watch(Kind::Pod, "team", "", WatchPolicy::Persist))
    }

    /// The next event; none is the stream's end.
    pub(crate) async fn next(&mut self) -> Option<Result<WatchEvent, Error>> {
        tokio::time::timeout(LONG, self.0.next()).await.unwrap()
    }

    /// What it tells next: `reset a b`, `applied a 7`, `deleted a`, `interrupted Forbidden`, `resumed`,
    /// `failed Forbidden`; `end` at its end.
    pub(crate) async fn told(&mut self) -> String {
        match self.next().await {
            None => "end".to_owned(),
            Some(Ok(event)) => short(&event),
            Some(Err(error)) => format!("failed {:?}", error.kind),
        }
    }

    /// The next so many.
    pub(crate) async fn tells(&mut self, count: usize) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..count {
            told.push(self.told().await);
        }
        told
    }

    /// Whether nothing is told for so long.
    pub(crate) async fn silent(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.0.next()).await.is_err()
    }
}

fn short(event: &WatchEvent) -> String {
    let name = |object: &Object| object.metadata().name.clone().unwrap();
    match event {
        WatchEvent::Reset(objects) => {
            let names: Vec<_> = objects.iter().map(name).collect();
            format!("reset {}", names.join(" ")).trim().to_owned()
        }
        WatchEvent::Applied(object) => {
            let version = object.metadata().resource_version.clone().unwrap();
            format!("applied {} {version}", name(object))
        }
        WatchEvent::Deleted(object) => format!("deleted {}", name(object)),
        WatchEvent::Interrupted(interruption) => format!("interrupted {:?}", interruption.kind),
        WatchEvent::Resumed => "resumed".to_owned(),
    }
}
