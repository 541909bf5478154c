//! Who knows the URLs of sessions.

use async_trait::async_trait;
use podbay_manifests::RuntimeId;

use crate::listen::{Answer, PortListeners};
use crate::routing::url::{SessionUrls, UrlStyle};

/// Who knows the URLs of sessions.
#[async_trait]
pub trait Urls: Send + Sync + 'static {
    /// The URLs of the session with this runtime id. Whoever gives them sees to it that they lead to the session. `None` if
    /// there are none to be had: all ports of this machine that sessions may have are taken.
    async fn of(&self, id: &RuntimeId) -> Option<SessionUrls>;
}

/// Hosts, and paths, follow from the id alone.
#[async_trait]
impl Urls for UrlStyle {
    async fn of(&self, id: &RuntimeId) -> Option<SessionUrls> {
        self.urls(id, None)
    }
}

/// Ports are listened on before they are told.
#[async_trait]
impl<A: Answer> Urls for PortListeners<A> {
    async fn of(&self, id: &RuntimeId) -> Option<SessionUrls> {
        self.urls(id).await
    }
}
