//! What a registry wants before it answers (RFC 9110, 11.6.1): pure.

/// What a registry wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token that is to be had there.
    Bearer { realm: String, service: Option<String> },
    /// Name and password.
    Basic,
}

impl Challenge {
    /// That of a field `WWW-Authenticate`.
    pub(super) fn parse(field: &str) -> Option<Self> {
        let field = field.trim();
        let (scheme, rest) = field.split_once(' ').unwrap_or((field, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        let mut rest = rest.trim_start();
        while let Some((name, after)) = rest.split_once('=') {
            let value;
            (value, rest) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').unwrap_or((after, "")),
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.trim().to_owned()),
                "service" => service = Some(value.trim().to_owned()),
                // The scope is what we ask for, whatever is proposed.
                _ => {}
            }
            rest = rest.trim_start_matches([',', ' ']);
        }
        realm.map(|realm| Self::Bearer { realm, service })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_want_tokens_or_passwords() {
        let hub = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull,push\"";
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
            })
        };
        assert_eq!(
            Challenge::parse(hub),
            bearer("https://auth.docker.io/token", Some("registry.docker.io"))
        );
        assert_eq!(
            Challenge::parse("bearer realm=https://a/b, x=1"),
            bearer("https://a/b", None)
        );
        assert_eq!(Challenge::parse("Basic realm=\"x\""), Some(Challenge::Basic));
        for none in [
            "",
            "Bearer",
            "Bearer service=\"x\"",
            "Digest realm=\"x\"",
            "Bearer realm=\"x",
        ] {
            assert_eq!(Challenge::parse(none), None, "{none}");
        }
    }
}
