//! Which session a request is for: the way back from [`UrlStyle::urls`].

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, header};
use podbay_manifests::RuntimeId;

use super::endpoint::Endpoint;
use super::url::{Separator, UrlStyle};
use crate::listen::request::RequestHost;

/// Who a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meant {
    /// The API: the host is none of sessions.
    Api,
    /// This session.
    Session(Target),
    /// Nobody: the host is one that has sessions alone, and the request names none.
    Nobody,
}

/// What of which session a request is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The session.
    pub id: RuntimeId,
    /// What of its sandbox.
    pub endpoint: Endpoint,
    /// What stands before the sandbox's own paths, without a slash at its end; empty unless in path style.
    pub prefix: String,
}

impl UrlStyle {
    /// Who a request for this host and with this path is for. A path is looked at as it was sent: nothing is decoded, and no
    /// dots are resolved. In port style the listener says which session is meant, and the requests for other listeners are
    /// the API's.
    pub fn meant(&self, host: &RequestHost, path: &str) -> Meant {
        match self {
            Self::Host {
                domain, separator, ..
            } => match label_of(host.name(), *separator, domain.name()) {
                None => Meant::Api,
                Some(label) => of_label(label).map_or(Meant::Nobody, Meant::Session),
            },
            Self::Path { host: own, .. } if host.name() != own.name() => Meant::Api,
            Self::Path { .. } => of_path(path).map_or(Meant::Nobody, Meant::Session),
            Self::Port => Meant::Api,
        }
    }

    /// Whether a host is one of sessions, on which the API is never served.
    pub fn is_host_of_sessions(&self, host: &RequestHost) -> bool {
        self.meant(host, "/") != Meant::Api
    }
}

/// What stands before the domain, if it can be meant for a session.
fn label_of<'a>(host: &'a str, separator: Separator, domain: &str) -> Option<&'a str> {
    let label = host.strip_suffix(domain)?.strip_suffix(separator.as_str())?;
    let is_named = match separator {
        // All that is below the domain.
        Separator::Dot => true,
        // The domain's siblings are other people's, but for those that look like a session.
        Separator::Hyphen => of_label(label).is_some(),
    };
    (is_named && !label.is_empty()).then_some(label)
}

fn of_label(label: &str) -> Option<Target> {
    let (endpoint, id) = match label.rsplit_once('-') {
        None => (Endpoint::Server, label),
        Some((name, id)) => (Endpoint::named(name)?, id),
    };
    Some(Target {
        id: id.parse().ok()?,
        endpoint,
        prefix: String::new(),
    })
}

fn of_path(path: &str) -> Option<Target> {
    let mut segments = path.strip_prefix('/')?.split('/');
    let id: RuntimeId = segments.next()?.parse().ok()?;
    let endpoint = match (segments.next().and_then(Endpoint::named), segments.next()) {
        // The server's own path, at which V0's clients ask it for the token.
        (Some(Endpoint::VsCode), Some("connection_token")) if segments.next().is_none() => Endpoint::Server,
        (endpoint, _) => endpoint.unwrap_or(Endpoint::Server),
    };
    let prefix = match endpoint {
        Endpoint::Server => format!("/{id}"),
        other => format!("/{id}/{}", other.name()),
    };
    Some(Target { id, endpoint, prefix })
}

impl Target {
    /// One that a listener of port style stands for.
    pub fn of_listener(id: RuntimeId, endpoint: Endpoint) -> Self {
        Self {
            id,
            endpoint,
            prefix: String::new(),
        }
    }

    /// The path that the sandbox is asked for, and the query.
    pub fn path_in_sandbox(&self, asked: Option<&PathAndQuery>) -> PathAndQuery {
        let Some(asked) = asked else {
            return PathAndQuery::from_static("/");
        };
        if self.prefix.is_empty() {
            return asked.clone();
        }
        let rest = asked.as_str().strip_prefix(self.prefix.as_str());
        match rest {
            Some(rest) if rest.starts_with('/') => PathAndQuery::try_from(rest),
            // A query alone, or nothing.
            Some(rest) => PathAndQuery::try_from(format!("/{rest}")),
            None => return asked.clone(),
        }
        // What was a part of a path and query is one.
        .unwrap_or_else(|_| PathAndQuery::from_static("/"))
    }

    /// Tells the sandbox what stands before its paths, which it does not see itself. VS Code's server makes its pages' paths with it.
    pub(crate) fn tell_prefix(&self, headers: &mut HeaderMap) {
        if let Ok(prefix) = HeaderValue::from_str(&self.prefix)
            && !self.prefix.is_empty()
        {
            headers.insert(header::HeaderName::from_static("x-forwarded-prefix"), prefix);
        }
    }
}

#[cfg(test)]
mod tests;
