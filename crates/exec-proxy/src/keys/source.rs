//! Where API keys come from: the configuration, a file, a variable; on a laptop one that is made.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podbay_config::{ApiKeyEntry, ServeConfig};
use podbay_manifests::{DnsError, DnsLabel, SessionOwner, SessionOwnerError};
use podbay_protocol::hex::from_hex;
use secrecy::{ExposeSecret as _, SecretString};

use super::{ApiKey, ApiKeys, Caller, Hash, hash_of};

/// What logs call the key of the setting `serve.api_key`.
const OF_SETTING: &str = "serve.api_key";
/// What logs call the key that is made.
const MADE: &str = "made-at-start";

/// Where API keys come from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The settings of the service.
    pub config: &'a ServeConfig,
    /// Where the service listens.
    pub listen: SocketAddr,
}

/// A key that was made because none was configured. It is told once.
pub type GeneratedKey = SecretString;

/// Why there are no keys to start with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// None is configured, and others than this machine's users could ask.
    #[error(
        "no API key is configured, and the service would listen on {listen}, where others can reach it: set serve.keys, \
         serve.keys_file or the variable PODBAY_API_KEY, or listen on 127.0.0.1"
    )]
    None {
        /// Where it would listen.
        listen: SocketAddr,
    },
    /// The file of keys can't be read.
    #[error("the file of API keys {} can't be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: std::io::Error,
    },
    /// The file of keys is none.
    #[error("the file of API keys {} can't be used: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The owner of a key is none.
    #[error("API key {key:?}: {owner:?} is no owner's name")]
    Owner {
        /// The key's name.
        key: String,
        /// The owner's.
        owner: String,
        /// What is wrong with it.
        #[source]
        source: SessionOwnerError,
    },
    /// The namespace of a key is none.
    #[error("API key {key:?}: {namespace:?} is no name of a namespace")]
    Namespace {
        /// The key's name.
        key: String,
        /// The namespace's.
        namespace: String,
        /// What is wrong with it.
        #[source]
        source: DnsError,
    },
    /// Two keys have one name or one hash.
    #[error("API key {key:?} is there twice, by its name or by its hash")]
    Twice {
        /// The key's name.
        key: String,
    },
}

impl ApiKeys {
    /// The keys of all sources. Where there are none and the service listens on this machine alone, one is made.
    pub fn gather(sources: Sources<'_>) -> Result<(Self, Option<GeneratedKey>), KeysError> {
        let Sources { config, listen } = sources;
        let mut entries: Vec<(ApiKeyEntry, Hash)> = Vec::new();
        let unnamed = |name: &str| ApiKeyEntry {
            name: name.to_owned(),
            owner: config.api_key_owner.clone(),
            ..ApiKeyEntry::default()
        };
        let mut listed = config.keys.clone();
        if let Some(path) = &config.keys_file {
            listed.extend(of_file(path)?);
        }
        for entry in listed {
            let hash = hash_in(&entry.sha256);
            entries.push((entry, hash));
        }
        if let Some(key) = &config.api_key {
            let hash = hash_of(key.expose_secret().as_bytes());
            entries.push((unnamed(OF_SETTING), hash));
        }
        let mut made = None;
        if entries.is_empty() {
            if !listen.ip().is_loopback() {
                return Err(KeysError::None { listen });
            }
            let key: SecretString =
                format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>()).into();
            let hash = hash_of(key.expose_secret().as_bytes());
            entries.push((unnamed(MADE), hash));
            made = Some(key);
        }
        let (mut names, mut hashes) = (BTreeSet::new(), BTreeSet::new());
        let mut keys = Vec::new();
        for (entry, hash) in entries {
            if !names.insert(entry.name.clone()) || !hashes.insert(hash) {
                return Err(KeysError::Twice { key: entry.name });
            }
            let caller = caller(entry, config)?;
            keys.push(ApiKey { hash, caller });
        }
        Ok((Self(keys), made))
    }
}

/// Who presents the key of an entry.
fn caller(entry: ApiKeyEntry, config: &ServeConfig) -> Result<Caller, KeysError> {
    let ApiKeyEntry {
        name,
        owner,
        sha256: _,
        namespace,
        max_sessions,
        starts_per_minute,
    } = entry;
    let owner_name = Arc::from(&*owner);
    let owner = SessionOwner::of(&owner).map_err(|source| KeysError::Owner {
        key: name.clone(),
        owner,
        source,
    })?;
    let namespace = namespace.map(|namespace| match namespace.parse::<DnsLabel>() {
        Ok(_) => Ok(Arc::from(namespace)),
        Err(source) => Err(KeysError::Namespace {
            key: name.clone(),
            namespace,
            source,
        }),
    });
    Ok(Caller {
        namespace: namespace.transpose()?,
        key: Arc::from(name),
        owner,
        owner_name,
        max_sessions: max_sessions.or(config.max_sessions_per_owner),
        starts_per_minute: starts_per_minute.or(config.starts_per_minute),
    })
}

fn of_file(path: &Path) -> Result<Vec<ApiKeyEntry>, KeysError> {
    let text = std::fs::read_to_string(path).map_err(|source| KeysError::File {
        path: path.to_owned(),
        source,
    })?;
    ApiKeyEntry::list_of_json(&text).map_err(|message| KeysError::Content {
        path: path.to_owned(),
        message,
    })
}

/// The bytes of 64 hexadecimal digits, which the setting has checked.
fn hash_in(digits: &str) -> Hash {
    from_hex(digits)
        .and_then(|bytes| bytes.try_into().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use podbay_protocol::hex::to_hex;

    use super::*;

    fn entry(name: &str, owner: &str, key: &str) -> ApiKeyEntry {
        let hash = hash_of(key.as_bytes());
        ApiKeyEntry {
            name: name.to_owned(),
            owner: owner.to_owned(),
            sha256: to_hex(&hash),
            ..ApiKeyEntry::default()
        }
    }

    fn gather(config: &ServeConfig, listen: &str) -> Result<(ApiKeys, Option<GeneratedKey>), KeysError> {
        ApiKeys::gather(Sources {
            config,
            listen: listen.parse().unwrap(),
        })
    }

    fn owner(keys: &ApiKeys, key: &str) -> Option<SessionOwner> {
        keys.caller(key.as_bytes()).map(|caller| caller.owner.clone())
    }

    #[test]
    fn keys_of_all_sources_have_their_owners() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let ApiKeyEntry { sha256, .. } = entry("", "", "of-file");
        let json = format!(r#"[{{"name": "f", "owner": "bob", "sha256": "{sha256}"}}]"#);
        std::fs::write(file.path(), json).unwrap();
        let config = ServeConfig {
            keys: vec![entry("old", "alice", "one"), entry("new", "alice", "two")],
            keys_file: Some(file.path().to_owned()),
            api_key: Some("three".into()),
            api_key_owner: "carol".to_owned(),
            ..ServeConfig::default()
        };
        let (keys, made) = gather(&config, "0.0.0.0:8000").unwrap();
        assert!(made.is_none() && keys.len() == 4);
        for (key, expected) in [
            ("one", "alice"),
            ("two", "alice"),
            ("of-file", "bob"),
            ("three", "carol"),
        ] {
            assert_eq!(owner(&keys, key), SessionOwner::of(expected).ok(), "{key}");
        }
        for none in ["", "One", "one ", "four"] {
            assert_eq!(owner(&keys, none), None, "{none}");
        }
    }

    #[test]
    fn a_key_is_made_where_only_this_machine_can_ask() {
        let config = ServeConfig::default();
        let (keys, made) = gather(&config, "[::1]:8000").unwrap();
        let made = made.unwrap();
        assert_eq!(
            owner(&keys, made.expose_secret()),
            SessionOwner::of("default").ok()
        );
        let (_, other) = gather(&config, "127.0.0.1:0").unwrap();
        assert_ne!(other.unwrap().expose_secret(), made.expose_secret());
        let refused = gather(&config, "0.0.0.0:8000").unwrap_err();
        assert!(refused.to_string().contains("PODBAY_API_KEY"), "{refused}");
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        let keys = |keys: Vec<ApiKeyEntry>| ServeConfig {
            keys,
            ..ServeConfig::default()
        };
        for twice in [
            vec![entry("a", "x", "1"), entry("a", "x", "2")],
            vec![entry("a", "x", "1"), entry("b", "y", "1")],
        ] {
            assert!(matches!(
                gather(&keys(twice), "127.0.0.1:1"),
                Err(KeysError::Twice { .. })
            ));
        }
        let config = keys(vec![entry("a", " x", "1")]);
        assert!(matches!(
            gather(&config, "127.0.0.1:1"),
            Err(KeysError::Owner { .. })
        ));
        let config = keys(vec![ApiKeyEntry {
            namespace: Some("No_Namespace".to_owned()),
            ..entry("a", "x", "1")
        }]);
        let refused = gather(&config, "127.0.0.1:1").unwrap_err();
        assert!(matches!(refused, KeysError::Namespace { .. }), "{refused}");
        let config = ServeConfig {
            keys_file: Some("/nowhere".into()),
            ..ServeConfig::default()
        };
        assert!(matches!(
            gather(&config, "127.0.0.1:1"),
            Err(KeysError::File { .. })
        ));
    }
}
