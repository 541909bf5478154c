//! Which registries may be asked, and where their API and their tokens are: pure.

use std::fmt;

/// The registry of Docker Hub, as images name it.
const HUB: &str = "docker.io";
/// Where its API is, and its tokens.
const HUB_API: &str = "registry-1.docker.io";
const HUB_TOKENS: &str = "auth.docker.io";

/// Where something is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) is_tls: bool,
    /// In lower case.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether its addresses may be private.
    pub(super) may_be_private: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        if self.port != default_port(self.is_tls) {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

/// A registry that may be asked, and how images name it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    name: String,
    place: Place,
}

/// The registries that may be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules(Vec<Listed>);

impl Rules {
    /// Those of the settings: entries `[http://]HOST[:PORT]`. The text says which one is none.
    pub(super) fn new(public: &[String], private: &[String]) -> Result<Self, String> {
        let public = public.iter().map(|entry| (entry, false));
        let all = public.chain(private.iter().map(|entry| (entry, true)));
        let listed = all.map(|(entry, may_be_private)| {
            let (is_tls, name) = match entry.trim().split_once("://") {
                Some(("http", name)) => (false, name),
                Some(("https", name)) => (true, name),
                Some(_) => return Err(format!("{entry:?} is no registry: HOST[:PORT]")),
                None => (true, entry.trim()),
            };
            let name = name.trim_end_matches('/').to_ascii_lowercase();
            let mut place = place(&name, is_tls, may_be_private)
                .ok_or_else(|| format!("{entry:?} is no registry: HOST[:PORT]"))?;
            if name == HUB {
                HUB_API.clone_into(&mut place.host);
            }
            Ok(Listed { name, place })
        });
        Ok(Self(listed.collect::<Result<_, _>>()?))
    }

    /// Where the registry is asked that images name so.
    pub(super) fn registry(&self, name: &str) -> Option<&Place> {
        let name = name.to_ascii_lowercase();
        self.0
            .iter()
            .find(|listed| listed.name == name)
            .map(|listed| &listed.place)
    }

    /// Where a token for a registry is asked for, if that may be: at the registry itself, at the place that is known for it, or at
    /// one that is listed. Gives the place and the path with its query.
    pub(super) fn realm(&self, of: &Place, realm: &str) -> Option<(Place, String)> {
        let (scheme, rest) = realm.split_once("://")?;
        let is_tls = match scheme {
            "https" => true,
            // Never with less than the registry has.
            "http" if !of.is_tls => false,
            _ => return None,
        };
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        // `user@host` would be read otherwise by others.
        if authority.contains('@') || path.contains('#') || !path.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return None;
        }
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        let found = place(&authority.to_ascii_lowercase(), is_tls, false)?;
        let is_same = |place: &Place| {
            (&place.host, place.port, place.is_tls) == (&found.host, found.port, found.is_tls)
        };
        if is_same(of) {
            return Some((of.clone(), path));
        }
        if of.host == HUB_API && found.host == HUB_TOKENS && found.port == of.port && is_tls {
            return Some((found, path));
        }
        let listed = self
            .0
            .iter()
            .map(|listed| &listed.place)
            .find(|place| is_same(place));
        listed.map(|place| (place.clone(), path))
    }
}

/// `HOST[:PORT]`; a host as it stands in images, which have no brackets.
fn place(name: &str, is_tls: bool, may_be_private: bool) -> Option<Place> {
    let (host, port) = match name.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        None => (name, default_port(is_tls)),
    };
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    is_host.then(|| Place {
        is_tls,
        host: host.to_owned(),
        port,
        may_be_private,
    })
}

const fn default_port(is_tls: bool) -> u16 {
    if is_tls { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let public = ["docker.io", "ghcr.io", "Tokens.example:8443"].map(str::to_owned);
        Rules::new(&public, &["http://registry.internal:5000".to_owned()]).unwrap()
    }

    #[test]
    fn what_is_not_listed_is_not_asked() {
        let rules = rules();
        assert_eq!(
            rules.registry("docker.io").unwrap().to_string(),
            "registry-1.docker.io"
        );
        assert_eq!(rules.registry("GHCR.io").unwrap().port, 443);
        let private = rules.registry("registry.internal:5000").unwrap();
        assert!(!private.is_tls && private.may_be_private);
        for name in [
            "ghcr.io:444",
            "quay.io",
            "registry.internal",
            "127.0.0.1",
            "localhost:5000",
            "xghcr.io",
            "",
        ] {
            assert_eq!(rules.registry(name), None, "{name}");
        }
        for entry in ["", "ftp://a", "a b", "a:0", "a:x", "[::1]:5", "a/b", "user@a"] {
            assert!(Rules::new(&[entry.to_owned()], &[]).is_err(), "{entry}");
        }
    }

    #[test]
    fn tokens_are_asked_for_at_the_registry_or_where_it_is_known_to_have_them() {
        let rules = rules();
        let [hub, github, private] =
            ["docker.io", "ghcr.io", "registry.internal:5000"].map(|name| rules.registry(name).unwrap());
        let at = |of, realm| {
            rules
                .realm(of, realm)
                .map(|(place, path)| format!("{place}{path}"))
        };
        assert_eq!(
            at(github, "https://ghcr.io/token").as_deref(),
            Some("ghcr.io/token")
        );
        assert_eq!(
            at(github, "https://GHCR.io:443?x=1").as_deref(),
            Some("ghcr.io/?x=1")
        );
        assert_eq!(
            at(hub, "https://auth.docker.io/token").as_deref(),
            Some("auth.docker.io/token")
        );
        assert_eq!(
            at(github, "https://tokens.example:8443/t").as_deref(),
            Some("tokens.example:8443/t")
        );
        assert_eq!(
            at(private, "http://registry.internal:5000/auth").as_deref(),
            Some("registry.internal:5000/auth")
        );
        for realm in [
            "https://evil.example/token",
            "http://ghcr.io/token",
            "https://ghcr.io@evil.example/",
            "https://ghcr.io.evil.example/",
            "https://auth.docker.io/token",
            "file:///etc/passwd",
            "//ghcr.io/x",
            "",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://ghcr.io/a b",
            "https://ghcr.io\\@evil.example/",
        ] {
            assert_eq!(at(github, realm), None, "{realm}");
        }
    }
}
