//! Names and passwords for registries, from a file as `docker login` writes it.

use std::collections::HashMap;
use std::fmt;

use http::HeaderValue;
use serde_json::Value;

/// What is presented to each registry, by the name that images have for it.
#[derive(Clone, Default)]
pub(super) struct Credentials(HashMap<String, HeaderValue>);

impl Credentials {
    /// Those of a file's text: `{"auths": {"REGISTRY": {"auth": "…"}}}`, where `auth` is name and password in base64.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let Some(auths) = value.get("auths").and_then(Value::as_object) else {
            return Err("it has no table \"auths\"".to_owned());
        };
        let mut all = HashMap::new();
        for (registry, auth) in auths {
            // What a helper program keeps is not asked for.
            let auth = auth.get("auth").and_then(Value::as_str);
            let Some(basic) = auth.filter(|auth| !auth.is_empty()) else {
                continue;
            };
            let mut header = HeaderValue::try_from(format!("Basic {basic}"))
                .map_err(|_| format!("the credentials of {registry:?} are no text of base64"))?;
            // Not shown by whatever prints it.
            header.set_sensitive(true);
            all.insert(name_of(registry), header);
        }
        Ok(Self(all))
    }

    /// What is presented to the registry that images name so.
    pub(super) fn of(&self, registry: &str) -> Option<&HeaderValue> {
        self.0.get(&registry.to_ascii_lowercase())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// `https://index.docker.io/v1/` is what Docker Hub is called there.
fn name_of(key: &str) -> String {
    let name = key.split_once("://").map_or(key, |(_, name)| name);
    let name = name.split('/').next().unwrap_or(name).to_ascii_lowercase();
    match name.as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_registry_has_its_own_and_none_is_shown() {
        let text = br#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOmh1bnRlcjI="},
            "GHCR.io": {"auth": "bWU6aHVudGVyMg=="},
            "helped.example": {}
        }, "credsStore": "x"}"#;
        let all = Credentials::parse(text).unwrap();
        assert_eq!(all.of("docker.io").unwrap(), "Basic aHViOmh1bnRlcjI=");
        assert_eq!(all.of("ghcr.io").unwrap(), "Basic bWU6aHVudGVyMg==");
        assert!(all.of("helped.example").is_none() && all.of("evil.example").is_none());
        let shown = format!("{all:?} {:?}", all.of("ghcr.io"));
        assert!(
            !shown.contains("aHVudGVyMg") && shown.contains("ghcr.io"),
            "{shown}"
        );
        assert!(Credentials::parse(b"{}").is_err() && Credentials::parse(b"{").is_err());
        assert!(Credentials::parse(br#"{"auths": {"a": {"auth": "a\nb"}}}"#).is_err());
    }
}
