//! The URLs of a session.
//!
//! | style | `url` | the others |
//! |---|---|---|
//! | host | `https://{id}.{domain}`, or `{id}-{domain}` | `vscode-`, `work-1-`, `work-2-` before the host |
//! | path | `https://{host}/{id}` | `/vscode`, `/work-1`, `/work-2` after it |
//! | port | `http://127.0.0.1:{port}` | the three ports after it |
//!
//! OpenHands' clients derive the others from `url` by the rules of the first two rows; in port style they have to take them
//! from `work_hosts`. [`Target::of`](super::target::Target) is the way back.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use podbay_manifests::RuntimeId;

use super::domain::Domain;
use super::endpoint::Endpoint;
use super::ports::PortBlock;

/// The scheme of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// As it stands in URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that is meant where none is given.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// What stands between a runtime id and the domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Separator {
    /// `{id}.{domain}`: needs a name for all below the domain, and a certificate for these.
    #[default]
    Dot,
    /// `{id}-{domain}`: siblings, for a domain that is itself below one that there is a wildcard certificate for.
    Hyphen,
}

impl Separator {
    /// As it stands in URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dot => ".",
            Self::Hyphen => "-",
        }
    }
}

/// How the URLs of sessions are made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UrlStyle {
    /// A host for each of a session's endpoints. The only style in which one sandbox is another origin to browsers than the
    /// next, other than by its port.
    Host {
        /// The scheme that clients use.
        scheme: Scheme,
        /// What the hosts are below, or beside.
        domain: Domain,
        /// What stands before it.
        separator: Separator,
    },
    /// One host for all, for those who get no certificate for a wildcard: all sandboxes are one origin.
    Path {
        /// The scheme that clients use.
        scheme: Scheme,
        /// The host, on which there is nothing else.
        host: Domain,
    },
    /// Ports of this machine, which need no names at all.
    Port,
}

/// The URLs of a session, without a slash at their ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUrls {
    /// What clients know as `url`.
    pub server: String,
    /// VS Code.
    pub vscode: String,
    /// The two work hosts.
    pub work: [String; 2],
}

/// The address that port style listens on.
pub const PORT_STYLE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl UrlStyle {
    /// The scheme of the URLs.
    pub const fn scheme(&self) -> Scheme {
        match self {
            Self::Host { scheme, .. } | Self::Path { scheme, .. } => *scheme,
            Self::Port => Scheme::Http,
        }
    }

    /// The URLs of a session by its runtime id. In port style it is the ports that name it, and so there are none without.
    pub fn urls(&self, id: &RuntimeId, ports: Option<PortBlock>) -> Option<SessionUrls> {
        let [server, vscode, first, second] = Endpoint::ALL.map(|endpoint| self.url(id, endpoint, ports));
        Some(SessionUrls {
            server: server?,
            vscode: vscode?,
            work: [first?, second?],
        })
    }

    fn url(&self, id: &RuntimeId, endpoint: Endpoint, ports: Option<PortBlock>) -> Option<String> {
        let name = endpoint.name();
        let hyphen = if name.is_empty() { "" } else { "-" };
        let slash = if name.is_empty() { "" } else { "/" };
        Some(match self {
            Self::Host {
                scheme,
                domain,
                separator,
            } => format!(
                "{}://{name}{hyphen}{id}{}{domain}",
                scheme.as_str(),
                separator.as_str()
            ),
            Self::Path { scheme, host } => format!("{}://{host}/{id}{slash}{name}", scheme.as_str()),
            Self::Port => format!("http://{PORT_STYLE_ADDRESS}:{}", ports?.port(endpoint)),
        })
    }
}

impl SessionUrls {
    /// The runtime API's `work_hosts`: which port of the sandbox a URL leads to.
    pub fn work_hosts(&self, ports: [u16; 2]) -> BTreeMap<String, u16> {
        self.work.iter().cloned().zip(ports).collect()
    }
}

impl fmt::Display for UrlStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host {
                scheme,
                domain,
                separator,
            } => write!(
                f,
                "{}://{{runtime_id}}{}{domain}",
                scheme.as_str(),
                separator.as_str()
            ),
            Self::Path { scheme, host } => write!(f, "{}://{host}/{{runtime_id}}", scheme.as_str()),
            Self::Port => write!(f, "http://{PORT_STYLE_ADDRESS}:{{port}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> RuntimeId {
        RuntimeId::from_random([0xa5; 16])
    }

    fn urls(style: &UrlStyle, ports: Option<PortBlock>) -> [String; 4] {
        let SessionUrls {
            server,
            vscode,
            work: [first, second],
        } = style.urls(&id(), ports).unwrap();
        [server, vscode, first, second].map(|url| url.replace(id().as_str(), "ID"))
    }

    #[test]
    fn a_host_for_each_endpoint() {
        let style = |domain: &str, separator| UrlStyle::Host {
            scheme: Scheme::Https,
            domain: domain.parse().unwrap(),
            separator,
        };
        assert_eq!(
            urls(&style("example.com", Separator::Dot), None),
            [
                "https://ID.example.com",
                "https://vscode-ID.example.com",
                "https://work-1-ID.example.com",
                "https://work-2-ID.example.com",
            ]
        );
        assert_eq!(
            urls(&style("run.example.com:8443", Separator::Hyphen), None)[1],
            "https://vscode-ID-run.example.com:8443"
        );
    }

    /// What stock clients make of a `url` (reference: V0's `_get_vscode_url` and the app server's exposed URLs).
    #[test]
    fn clients_derive_the_same_ones() {
        let host = UrlStyle::Host {
            scheme: Scheme::Http,
            domain: "localhost:8000".parse().unwrap(),
            separator: Separator::Dot,
        };
        let [server, vscode, first, _] = urls(&host, None);
        let (scheme, netloc) = server.split_once("://").unwrap();
        assert_eq!(vscode, format!("{scheme}://vscode-{netloc}"));
        assert_eq!(first, format!("{scheme}://work-1-{netloc}"));

        let path = UrlStyle::Path {
            scheme: Scheme::Https,
            host: "run.example.com".parse().unwrap(),
        };
        let [server, vscode, _, second] = urls(&path, None);
        assert_eq!(server, "https://run.example.com/ID");
        assert_eq!(vscode, format!("{server}/vscode"));
        assert_eq!(second, format!("{server}/work-2"));
    }

    #[test]
    fn ports_name_a_session_where_hosts_do_not() {
        let block = PortBlock::starting_at(21_000).unwrap();
        assert_eq!(
            urls(&UrlStyle::Port, Some(block)),
            [
                "http://127.0.0.1:21000",
                "http://127.0.0.1:21001",
                "http://127.0.0.1:21002",
                "http://127.0.0.1:21003",
            ]
        );
        assert_eq!(UrlStyle::Port.urls(&id(), None), None);
        let urls = UrlStyle::Port.urls(&id(), Some(block)).unwrap();
        let hosts = urls.work_hosts([12_000, 12_001]);
        assert_eq!(hosts["http://127.0.0.1:21003"], 12_001);
    }
}
