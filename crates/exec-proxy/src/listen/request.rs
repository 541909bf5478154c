//! Which host a request is for, and what is refused of what hyper lets through.
//!
//! hyper refuses by itself: a `Content-Length` that is no number or has two values, a `Transfer-Encoding` that does not end
//! with `chunked` or comes in HTTP/1.0, lines that are folded, a space before a colon, control characters. Of a request with
//! both `Content-Length` and `Transfer-Encoding` it takes the second, removes the first before anybody sees it, and closes the
//! connection after its answer (RFC 9112, 6.3), so that nothing which was smuggled behind its body is ever read. Here is refused what
//! makes it doubtful who is meant.

use std::fmt;

use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode, Uri, Version, header};

/// The host that a request is for: its name in lower case without a dot at its end, and its port if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHost {
    name: String,
    port: Option<u16>,
}

/// A request that nobody can be sure who is meant by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedRequest {
    /// There is no `Host`.
    #[error("the request names no host")]
    NoHost,
    /// There is more than one `Host`.
    #[error("the request has more than one Host header")]
    TwoHosts,
    /// What stands in `Host` is no host, with or without a port.
    #[error("the request's Host is no host name")]
    NotAHost,
    /// The request line, or `:authority`, names another host than `Host`.
    #[error("the request's target and its Host header name different hosts")]
    OtherHost,
    /// `Content-Length` with `Transfer-Encoding`.
    #[error("the request has both Content-Length and Transfer-Encoding")]
    TwoLengths,
    /// The target is neither a path nor a URL with http or https.
    #[error("the request's target is neither a path nor a URL of a web server")]
    Target,
    /// `CONNECT`: this is no proxy of that kind.
    #[error("this server makes no tunnels with CONNECT")]
    Connect,
}

impl RefusedRequest {
    /// The status of the answer.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl RequestHost {
    /// The host that a request is for, if there is exactly one.
    pub fn of(
        version: Version,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Self, RefusedRequest> {
        if method == Method::CONNECT {
            return Err(RefusedRequest::Connect);
        }
        if headers.contains_key(header::CONTENT_LENGTH) && headers.contains_key(header::TRANSFER_ENCODING) {
            return Err(RefusedRequest::TwoLengths);
        }
        check_target(method, uri)?;
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next();
        if hosts.next().is_some() {
            return Err(RefusedRequest::TwoHosts);
        }
        let host = match host {
            Some(host) => Some(Self::parse(host.as_bytes())?),
            // HTTP/2 has the authority instead, and HTTP/1.1 has to have both.
            None if version == Version::HTTP_2 => None,
            None => return Err(RefusedRequest::NoHost),
        };
        let target = match uri.authority() {
            Some(authority) => Some(Self::parse(authority.as_str().as_bytes())?),
            None => None,
        };
        let default_port = match uri.scheme_str() {
            Some("https") => 443,
            _ => 80,
        };
        match (host, target) {
            (None, None) => Err(RefusedRequest::NoHost),
            (Some(host), Some(target)) if !host.is_the_same(&target, default_port) => {
                Err(RefusedRequest::OtherHost)
            }
            (Some(host), _) | (None, Some(host)) => Ok(host),
        }
    }

    /// Reads a `Host`: a name, or an address, IPv6 in brackets, and perhaps a port.
    pub fn parse(text: &[u8]) -> Result<Self, RefusedRequest> {
        let authority = Authority::try_from(text).map_err(|_| RefusedRequest::NotAHost)?;
        let (text, host) = (authority.as_str(), authority.host());
        // What stands before the host is a user.
        let rest = text.strip_prefix(host).ok_or(RefusedRequest::NotAHost)?;
        let port = match rest.strip_prefix(':') {
            // A colon without a port means none (RFC 3986, 3.2.3).
            Some("") => None,
            Some(port) => Some(parse_port(port).ok_or(RefusedRequest::NotAHost)?),
            None if rest.is_empty() => None,
            None => return Err(RefusedRequest::NotAHost),
        };
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        // An IPv6 address has its own characters; of the others those are left that no name has and that some reader may take
        // for the end of one.
        let is_plain = |name: &str| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        };
        let is_address = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
        if name.is_empty() || !(is_plain(&name) || is_address) {
            return Err(RefusedRequest::NotAHost);
        }
        Ok(Self { name, port })
    }

    /// The name in lower case; an IPv6 address stands in brackets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port, if one is given.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether it is one of the names of this machine alone. Another name that leads here was made up by somebody who wants a browser to
    /// take our answers for those of his own host (DNS rebinding).
    pub fn is_this_machine(&self) -> bool {
        matches!(self.name.as_str(), "localhost" | "127.0.0.1" | "[::1]")
    }

    fn is_the_same(&self, other: &Self, default_port: u16) -> bool {
        self.name == other.name && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

impl fmt::Display for RequestHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

fn check_target(method: &Method, uri: &Uri) -> Result<(), RefusedRequest> {
    let is_asterisk = uri.path() == "*" && method == Method::OPTIONS;
    let has_scheme = uri
        .scheme_str()
        .is_none_or(|scheme| matches!(scheme, "http" | "https"));
    if has_scheme && (uri.path().starts_with('/') || is_asterisk) {
        Ok(())
    } else {
        Err(RefusedRequest::Target)
    }
}

/// Digits alone: the number's own parser takes a sign, too.
fn parse_port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests;
