//! Who may see VS Code and the work ports of a sandbox: whoever has the session's key, and a browser that was let in by them.
//!
//! ```text
//!   claim.rs   what a request brings (pure)
//!   seal.rs    texts that only we can have made, for a while (pure)
//!   secret.rs the secret that several replicas have in common
//! ```
//!
//! The server behind a session's `url` checks the session's key itself. What a program in the sandbox serves checks nothing, and a
//! browser can't send a key in a header. So it is handed over: a link that works once on each replica, within a minute, puts a cookie into the
//! browser, for that host alone. Links are made for whoever asks the session's `url` for `/.podbay/links` with the key; a page asks
//! those for the key who come without one. Our cookie never reaches a sandbox; the key does only as VS Code's own `tkn`.

mod claim;
mod seal;
mod secret;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderValue, Response};
use podbay_manifests::{KeyHash, RuntimeId};
use secrecy::SecretBox;
use serde::Serialize;
use subtle::ConstantTimeEq as _;

use super::endpoint::Endpoint;
use super::page::see_other;
use super::url::{Scheme, SessionUrls, UrlStyle};
use crate::body::Body;

pub(super) use claim::{Claim, cookie_name};
use seal::{Nonce, Purpose, Sealer, Subject};
pub use secret::SecretError;

/// Below what the paths are that no sandbox is asked for.
const OWN_PATHS: &str = "/.podbay/";
/// Where a browser is let in.
const ENTER: &str = "/.podbay/enter";
/// Where a person brings a paused session back.
const WAKE: &str = "/.podbay/wake";
/// Where links are made.
const LINKS: &str = "/.podbay/links";
/// How long a link works, in seconds.
const LINK_SECONDS: u64 = 60;
/// How long a browser is let in, in seconds.
const COOKIE_SECONDS: u64 = 12 * 60 * 60;

/// Who is let in.
#[derive(Debug, Default)]
pub enum Access {
    /// Whoever has the session's key, and the browsers they let in.
    #[default]
    HandOver,
    /// The same, over several replicas, which have this secret in common.
    Shared(SecretBox<[u8; 32]>),
    /// Whoever knows the URL, which has 128 random bits.
    Public,
}

/// Lets in.
#[derive(Debug)]
pub(super) struct Entry {
    sealer: Option<Sealer>,
    /// Links that were used, until they would not work any longer.
    used: Mutex<HashMap<Nonce, u64>>,
}

/// What is done with a request for an endpoint that does not check a key itself.
#[derive(Debug)]
pub(super) enum Admission {
    /// It is passed on. With a cookie, the answer puts that into the browser.
    Pass(Option<HeaderValue>),
    /// It is answered.
    Answer(Response<Body>),
    /// The session is brought back, as a person wants it, who is then led here.
    Wake(HeaderValue),
    /// It is refused.
    Refuse,
}

/// What is known of the secrets of a session that its clients may present.
#[derive(Clone, Copy)]
pub(super) struct Hashes<'a> {
    /// Of its key.
    pub(super) key: Option<&'a KeyHash>,
    /// Of the token of VS Code that its agent tells those who have the key.
    pub(super) vscode_token: Option<&'a KeyHash>,
}

/// Links that work once.
#[derive(Serialize)]
struct Links {
    vscode: String,
    work: [String; 2],
    /// How long they work.
    seconds: u64,
}

impl Entry {
    pub(super) fn new(access: Access) -> Self {
        let sealer = match access {
            Access::HandOver => Some(Sealer::new(SecretBox::new(Box::new(rand::random())))),
            Access::Shared(secret) => Some(Sealer::new(secret)),
            Access::Public => None,
        };
        Self {
            sealer,
            used: Mutex::default(),
        }
    }

    /// Whether a request is for one of the paths that no sandbox is asked for.
    pub(super) fn is_own_path(&self, path: &str) -> bool {
        self.sealer.is_some() && path.starts_with(OWN_PATHS)
    }

    /// Whether it is the path at which a person brings a paused session back.
    pub(super) fn is_wake_path(path: &str) -> bool {
        path == WAKE
    }

    /// Looks at a form that is to bring a paused session back. It takes the key, or the cookie that lets a browser see the session's
    /// ports, sent by a page of the same host: a sibling's page can send one, too.
    pub(super) fn wake(
        &self,
        claim: &Claim,
        endpoint: Endpoint,
        id: &RuntimeId,
        key: Option<&KeyHash>,
        now: u64,
    ) -> Admission {
        let (Some(sealer), Some(key)) = (&self.sealer, key) else {
            return Admission::Refuse;
        };
        let subject = Subject { id, endpoint, key };
        let presented = claim
            .form_key
            .iter()
            .chain(&claim.key)
            .any(|presented| is_key(presented, key));
        let by_cookie = || {
            endpoint != Endpoint::Server
                && !claim.is_from_elsewhere
                && claim
                    .cookies
                    .iter()
                    .any(|cookie| sealer.open(Purpose::Cookie, &subject, cookie, now).is_some())
        };
        if presented || by_cookie() {
            Admission::Wake(claim.way_back())
        } else {
            Admission::Refuse
        }
    }

    /// Looks at a request for an endpoint other than the server, of a session whose secrets have these hashes, at `now` in seconds.
    pub(super) fn admit(
        &self,
        claim: &Claim,
        style: &UrlStyle,
        id: &RuntimeId,
        endpoint: Endpoint,
        Hashes { key, vscode_token }: Hashes<'_>,
        now: u64,
    ) -> Admission {
        let scheme = match style {
            // This machine's own user is whoever reaches it; and cookies there are for all ports.
            UrlStyle::Port => return Admission::Pass(None),
            UrlStyle::Host { scheme, .. } => Some(*scheme),
            // A cookie would be for all sandboxes.
            UrlStyle::Path { .. } => None,
        };
        let (Some(sealer), Some(key)) = (&self.sealer, key) else {
            return if self.sealer.is_none() {
                Admission::Pass(None)
            } else {
                Admission::Refuse
            };
        };
        if claim.path == ENTER {
            let subject = Subject { id, endpoint, key };
            return self.enter(sealer, claim, scheme, &subject, now);
        }
        if claim.key.as_ref().is_some_and(|presented| is_key(presented, key)) {
            return Admission::Pass(None);
        }
        let Some(scheme) = scheme else {
            return Admission::Refuse;
        };
        let subject = Subject { id, endpoint, key };
        let has_cookie = || {
            claim
                .cookies
                .iter()
                .any(|cookie| sealer.open(Purpose::Cookie, &subject, cookie, now).is_some())
        };
        if !claim.is_from_elsewhere && has_cookie() {
            return Admission::Pass(None);
        }
        // OpenHands' V1 app makes the links to VS Code with the session's key as its token, its V0 client with that which the
        // session's agent tells those who have the key.
        let is_token = |token: &HeaderValue| {
            [Some(key), vscode_token]
                .into_iter()
                .flatten()
                .any(|hash| is_key(token, hash))
        };
        if endpoint == Endpoint::VsCode && claim.token.as_ref().is_some_and(is_token) {
            return Admission::Pass(Some(cookie(sealer, scheme, &subject, now)));
        }
        Admission::Refuse
    }

    /// Lets a browser in that brings a link or the key.
    fn enter(
        &self,
        sealer: &Sealer,
        claim: &Claim,
        scheme: Option<Scheme>,
        subject: &Subject<'_>,
        now: u64,
    ) -> Admission {
        let by_link = || {
            let ticket = claim.ticket.as_ref()?;
            let nonce = sealer.open(Purpose::Link, subject, ticket, now)?;
            self.use_once(nonce, now).then_some(())
        };
        let by_key = || {
            claim
                .form_key
                .as_ref()
                .is_some_and(|presented| is_key(presented, subject.key))
        };
        match scheme {
            Some(scheme) if by_key() || by_link().is_some() => {
                Admission::Answer(entered(cookie(sealer, scheme, subject, now), claim.way_back()))
            }
            _ => Admission::Refuse,
        }
    }

    /// Whether a link was not used before.
    fn use_once(&self, nonce: Nonce, now: u64) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, until| *until >= now);
        used.insert(nonce, now + LINK_SECONDS).is_none()
    }

    /// Answers a request for the session's `url` with one of our own paths.
    pub(super) fn links(
        &self,
        claim: &Claim,
        urls: Option<SessionUrls>,
        style: &UrlStyle,
        id: &RuntimeId,
        key: Option<&KeyHash>,
        now: u64,
    ) -> Admission {
        let is_known = |key: &KeyHash| claim.key.as_ref().is_some_and(|presented| is_key(presented, key));
        let (Some(key), Some(urls)) = (key.filter(|key| is_known(key)), urls) else {
            return Admission::Refuse;
        };
        if claim.path != LINKS {
            return Admission::Refuse;
        }
        let link = |url: String, endpoint| match (&self.sealer, style) {
            (Some(sealer), UrlStyle::Host { .. }) => {
                let subject = Subject { id, endpoint, key };
                let ticket = sealer.seal(Purpose::Link, &subject, now + LINK_SECONDS, rand::random());
                format!("{url}{ENTER}?ticket={ticket}")
            }
            _ => url,
        };
        let [first, second] = urls.work;
        let links = Links {
            vscode: link(urls.vscode, Endpoint::VsCode),
            work: [link(first, Endpoint::Work1), link(second, Endpoint::Work2)],
            seconds: LINK_SECONDS,
        };
        let text = serde_json::to_string(&links).unwrap_or_default();
        let mut answer = Response::new(Body::from(text));
        let headers = answer.headers_mut();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Admission::Answer(answer)
    }
}

/// Whether the key that was presented has this hash.
fn is_key(presented: &HeaderValue, key: &KeyHash) -> bool {
    let presented = KeyHash::of(presented.as_bytes());
    presented
        .as_str()
        .as_bytes()
        .ct_eq(key.as_str().as_bytes())
        .into()
}

fn cookie(sealer: &Sealer, scheme: Scheme, subject: &Subject<'_>, now: u64) -> HeaderValue {
    let sealed = sealer.seal(Purpose::Cookie, subject, now + COOKIE_SECONDS, rand::random());
    let secure = match scheme {
        Scheme::Https => "; Secure",
        Scheme::Http => "",
    };
    let text = format!(
        "{}={sealed}; Path=/; HttpOnly; SameSite=Lax; Max-Age={COOKIE_SECONDS}{secure}",
        cookie_name(scheme)
    );
    // Digits and dots.
    let mut cookie = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    cookie.set_sensitive(true);
    cookie
}

/// To what was asked for, without the link in the address line.
fn entered(cookie: HeaderValue, to: HeaderValue) -> Response<Body> {
    let mut answer = see_other(to);
    answer.headers_mut().insert(SET_COOKIE, cookie);
    answer
}

#[cfg(test)]
mod tests;
