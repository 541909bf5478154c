//! The proxy that stands between us and the server, named in what goes wrong on the way.

use http::Uri;
use tower::BoxError;

/// A failure on the way through a proxy.
#[derive(Debug, thiserror::Error)]
#[error("through the proxy {proxy}")]
pub(super) struct ThroughProxy {
    /// Where it is, without credentials.
    proxy: String,
    #[source]
    source: BoxError,
}

impl ThroughProxy {
    pub(super) const fn new(proxy: String, source: BoxError) -> Self {
        Self { proxy, source }
    }
}

/// A proxy's address without the user and password it may hold.
pub(super) fn address(proxy: &Uri) -> String {
    let scheme = proxy.scheme_str().unwrap_or("http");
    let host = proxy.host().unwrap_or_default();
    let port = proxy
        .port_u16()
        .map_or_else(String::new, |port| format!(":{port}"));
    format!("{scheme}://{host}{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_password_is_not_told() {
        let told = |uri: &str| address(&uri.parse().unwrap());
        assert_eq!(
            told("http://me:secret@proxy.example:3128"),
            "http://proxy.example:3128"
        );
        assert_eq!(told("socks5://10.0.0.1"), "socks5://10.0.0.1");
    }
}
