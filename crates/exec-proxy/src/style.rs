//! How the URLs of sessions are made, from the settings and from what this machine can do: a pure function.

use std::net::SocketAddr;

use podbay_config::{ServeConfig, UrlScheme, UrlStyle as Asked};

use crate::routing::domain::{Domain, DomainError};
use crate::routing::url::{Scheme, Separator, UrlStyle};

/// The domain whose names lead to this machine where it resolves them (RFC 6761, 6.3).
const LOCALHOST: &str = "localhost";

/// Why no URLs can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StyleError {
    /// The setting is no domain.
    #[error("the setting serve.domain can't be used")]
    Domain(#[from] DomainError),
    /// Hosts and paths need a domain.
    #[error("URLs in the style {0} need a domain that leads here: set serve.domain")]
    NoDomain(&'static str),
    /// Ports are this machine's own, and others can't reach them.
    #[error(
        "URLs in the style port lead to this machine alone, and the service listens on {0}: set serve.domain, whose wildcard leads \
         here, or listen on 127.0.0.1"
    )]
    NotThisMachine(SocketAddr),
}

/// What this machine can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// Where the service listens.
    pub listen: SocketAddr,
    /// Whether names below `localhost` lead to this machine.
    pub resolves_localhost: bool,
}

/// The style that the settings ask for, or the best one that there is.
pub fn choose(config: &ServeConfig, here: Surroundings) -> Result<UrlStyle, StyleError> {
    let scheme = match config.url_scheme {
        UrlScheme::Auto if config.tls_cert_file.is_some() || config.behind_proxy => Scheme::Https,
        UrlScheme::Auto | UrlScheme::Http => Scheme::Http,
        UrlScheme::Https => Scheme::Https,
    };
    let separator = if config.url_separator == "-" {
        Separator::Hyphen
    } else {
        Separator::Dot
    };
    let named = match &config.domain {
        // Behind a proxy the port is the proxy's, which the domain names where it is not the scheme's own.
        Some(domain) => Some(domain.parse::<Domain>()?),
        None => None,
    };
    let local = || -> Result<Domain, StyleError> {
        let domain: Domain = LOCALHOST.parse()?;
        Ok(domain.or_port(Some(here.listen.port())))
    };
    let host = |domain| UrlStyle::Host {
        scheme,
        domain,
        separator,
    };
    let is_local = here.listen.ip().is_loopback();
    match (config.url_style, named) {
        (Asked::Auto | Asked::Host, Some(domain)) => Ok(host(domain)),
        (Asked::Path, Some(domain)) => Ok(UrlStyle::Path { scheme, host: domain }),
        (Asked::Host, None) if is_local => Ok(host(local()?)),
        (Asked::Auto, None) if is_local && here.resolves_localhost => Ok(host(local()?)),
        (Asked::Auto | Asked::Port, _) if is_local => Ok(UrlStyle::Port),
        (Asked::Auto | Asked::Port, _) => Err(StyleError::NotThisMachine(here.listen)),
        (Asked::Host, None) => Err(StyleError::NoDomain("host")),
        (Asked::Path, None) => Err(StyleError::NoDomain("path")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(
        asked: Asked,
        domain: Option<&str>,
        listen: &str,
        resolves_localhost: bool,
    ) -> Result<String, StyleError> {
        let config = ServeConfig {
            url_style: asked,
            domain: domain.map(str::to_owned),
            ..ServeConfig::default()
        };
        let here = Surroundings {
            listen: listen.parse().unwrap(),
            resolves_localhost,
        };
        choose(&config, here).map(|style| style.to_string())
    }

    #[test]
    fn the_best_style_depends_on_the_domain_and_on_this_machine() {
        let (here, all) = ("127.0.0.1:8000", "0.0.0.0:8000");
        let named = Some("run.example.com:8443");
        let of_domain = "http://{runtime_id}.run.example.com:8443";
        for (asked, domain, listen, resolves, expected) in [
            (Asked::Auto, named, all, false, of_domain),
            (Asked::Host, named, here, false, of_domain),
            (
                Asked::Auto,
                None,
                here,
                true,
                "http://{runtime_id}.localhost:8000",
            ),
            (Asked::Auto, None, here, false, "http://127.0.0.1:{port}"),
            (
                Asked::Host,
                None,
                here,
                false,
                "http://{runtime_id}.localhost:8000",
            ),
            (Asked::Port, None, here, true, "http://127.0.0.1:{port}"),
            (Asked::Port, named, here, true, "http://127.0.0.1:{port}"),
            (
                Asked::Path,
                named,
                all,
                true,
                "http://run.example.com:8443/{runtime_id}",
            ),
        ] {
            let made = style(asked, domain, listen, resolves);
            assert_eq!(made.as_deref(), Ok(expected), "{asked} {domain:?} {listen}");
        }
    }

    #[test]
    fn what_others_could_not_reach_is_refused() {
        let all = "0.0.0.0:8000";
        for (asked, told) in [
            (Asked::Auto, "lead to this machine alone"),
            (Asked::Port, "lead to this machine alone"),
            (Asked::Host, "style host need a domain"),
            (Asked::Path, "style path need a domain"),
        ] {
            let refused = style(asked, None, all, true).unwrap_err();
            assert!(refused.to_string().contains(told), "{refused}");
        }
        let refused = style(Asked::Auto, Some("no domain"), all, true);
        assert!(matches!(refused, Err(StyleError::Domain(_))));
    }

    #[test]
    fn scheme_and_separator_are_those_of_the_settings() {
        let config = ServeConfig {
            domain: Some("run.example.com".to_owned()),
            url_scheme: UrlScheme::Https,
            url_separator: "-".to_owned(),
            ..ServeConfig::default()
        };
        let here = Surroundings {
            listen: "0.0.0.0:1".parse().unwrap(),
            resolves_localhost: false,
        };
        let style = choose(&config, here).unwrap();
        assert_eq!(style.to_string(), "https://{runtime_id}-run.example.com");
    }

    #[test]
    fn with_a_certificate_or_a_proxy_urls_are_https() {
        let here = Surroundings {
            listen: "0.0.0.0:1".parse().unwrap(),
            resolves_localhost: false,
        };
        let scheme = |change: fn(&mut ServeConfig)| {
            let mut config = ServeConfig {
                domain: Some("run.example.com".to_owned()),
                ..ServeConfig::default()
            };
            change(&mut config);
            choose(&config, here).unwrap().scheme()
        };
        assert_eq!(scheme(|_| {}), Scheme::Http);
        assert_eq!(
            scheme(|config| config.tls_cert_file = Some("/c".into())),
            Scheme::Https
        );
        assert_eq!(scheme(|config| config.behind_proxy = true), Scheme::Https);
        // Behind a proxy that speaks no TLS.
        let plain = |config: &mut ServeConfig| {
            config.behind_proxy = true;
            config.url_scheme = UrlScheme::Http;
        };
        assert_eq!(scheme(plain), Scheme::Http);
    }
}
