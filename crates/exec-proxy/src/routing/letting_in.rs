//! Whether a request for what checks no key itself is let in, and what a person does on our own pages.

use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderValue;
use http::uri::PathAndQuery;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use jiff::Timestamp;

use super::asked::Asked;
use super::endpoint::Endpoint;
use super::entry::{Admission, Claim, Entry, Hashes};
use super::page::see_other;
use super::refusal::Refusal;
use super::router::Router;
use super::target::Target;
use super::url::UrlStyle;
use crate::body::Body;
use crate::listen::request::RequestHost;
use crate::sessions::Sessions;

/// How long a form may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a form, at most: a key, and the address of a page, of which browsers tell no more than 4 KiB, each byte written as three.
const SMALL: usize = 16 * 1024;

impl<S: Sessions> Router<S> {
    /// What a request brings to be let in, with what the form holds that it may be. `None` of one that is passed on whatever it brings.
    pub(super) async fn claim(
        &self,
        request: &mut Request<Incoming>,
        host: &RequestHost,
        target: &Target,
        path: &PathAndQuery,
    ) -> Option<Claim> {
        let style = &self.settings.style;
        let is_own = self.is_own(path);
        let is_trusted = matches!(style, UrlStyle::Path { .. }) && self.settings.trusted_single_tenant;
        if (target.endpoint == Endpoint::Server && !is_own) || is_trusted {
            return None;
        }
        let claim = Claim::of(request.headers(), path, host, style.scheme());
        Some(if is_own && request.method() == Method::POST {
            claim.with_form(&small(request.body_mut()).await)
        } else {
            claim
        })
    }

    /// Whether it is one of the paths that no sandbox is asked for.
    fn is_own(&self, path: &PathAndQuery) -> bool {
        self.entry.is_own_path(path.path()) && !matches!(self.settings.style, UrlStyle::Port)
    }

    /// Whether a request with this claim is passed on, and the answers to those for our own paths.
    pub(super) async fn let_in(
        &self,
        claim: &Claim,
        target: &Target,
        path: &PathAndQuery,
    ) -> Result<Admission, Refusal> {
        let style = &self.settings.style;
        let is_for_server = target.endpoint == Endpoint::Server;
        let is_own = self.is_own(path);
        let is_wake = is_own && Entry::is_wake_path(path.path());
        let route = self.sessions.route(&target.id).await?.ok_or(Refusal::NoSession)?;
        let (id, key) = (&target.id, route.key.as_ref());
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        if is_wake {
            if !claim.is_form() {
                return Ok(Admission::Refuse);
            }
            let admission = self.entry.wake(claim, target.endpoint, id, key, now);
            return Ok(admission);
        }
        // Its owner shows what it serves to whoever knows the URL.
        let is_public = route.public && self.has_pages() && target.endpoint.is_work();
        if is_public && !is_own {
            return Ok(Admission::Pass(None));
        }
        Ok(if is_for_server {
            self.entry.links(claim, style.urls(id, None), style, id, key, now)
        } else {
            let vscode_token = route.vscode_token.as_ref();
            let hashes = Hashes { key, vscode_token };
            self.entry.admit(claim, style, id, target.endpoint, hashes, now)
        })
    }

    /// Brings a session back because a person wants it, and leads them to what there was to see.
    pub(super) async fn wake_by_page(
        &self,
        target: &Target,
        asked: &Asked,
        to: HeaderValue,
    ) -> Response<Body> {
        if !self.settings.hold.wake {
            return Refusal::Paused.answer(asked);
        }
        match self.sessions.wake(&target.id).await {
            Ok(()) => see_other(to),
            Err(refused) => Refusal::NotWoken(refused).answer(asked),
        }
    }
}

/// All of a body that is small; nothing of one that is not, or does not come.
async fn small(body: &mut Incoming) -> Bytes {
    let collected = tokio::time::timeout(PATIENCE, Limited::new(body, SMALL).collect()).await;
    match collected {
        Ok(Ok(body)) => body.to_bytes(),
        _ => Bytes::new(),
    }
}
