//! What is known of the owners of a namespace's sessions, who are known by their labels there: their names, and how much they may have.

use std::collections::HashMap;
use std::sync::Arc;

use podbay_manifests::SessionOwner;

use super::{ApiKeys, Caller};

/// The owners that have a key for one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners(HashMap<SessionOwner, OwnerKnown>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct OwnerKnown {
    name: Arc<str>,
    /// How many sessions it may have at once where nobody presents a key; `None` is any number.
    limit: Option<u32>,
}

impl Owners {
    /// The owner's name, as the settings have it. `None` for one that has no key.
    pub(crate) fn name(&self, owner: &SessionOwner) -> Option<&str> {
        self.0.get(owner).map(|known| &*known.name)
    }

    /// How many sessions the owner may have at once, where nobody presents a key; `otherwise` for one that has none. `None` is any
    /// number.
    pub(crate) fn limit(&self, owner: &SessionOwner, otherwise: Option<u32>) -> Option<u32> {
        self.0.get(owner).map_or(otherwise, |known| known.limit)
    }
}

impl ApiKeys {
    /// The namespaces that keys name, each once.
    pub fn namespaces(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self
            .0
            .iter()
            .filter_map(|key| key.caller.namespace.as_deref())
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The owners of the keys whose namespace, or `None` where a key names none, is one of these. An owner with several keys may have as
    /// many sessions as the one of them allows that allows most.
    pub(crate) fn owners(&self, is_here: impl Fn(Option<&str>) -> bool) -> Owners {
        let mut owners: HashMap<SessionOwner, OwnerKnown> = HashMap::new();
        for key in &self.0 {
            let Caller {
                owner,
                owner_name,
                namespace,
                max_sessions,
                ..
            } = &key.caller;
            if !is_here(namespace.as_deref()) {
                continue;
            }
            let known = owners.entry(owner.clone()).or_insert_with(|| OwnerKnown {
                name: Arc::clone(owner_name),
                limit: *max_sessions,
            });
            known.limit = match (known.limit, *max_sessions) {
                (Some(one), Some(other)) => Some(one.max(other)),
                _ => None,
            };
        }
        Owners(owners)
    }
}

#[cfg(test)]
mod tests {
    use podbay_config::{ApiKeyEntry, ServeConfig};

    use super::super::Sources;
    use super::*;

    #[test]
    fn an_owner_may_have_what_the_best_of_its_keys_for_the_namespace_allows() {
        let key = |name: &str, owner: &str, namespace: Option<&str>, max_sessions: Option<u32>| ApiKeyEntry {
            name: name.to_owned(),
            owner: owner.to_owned(),
            sha256: format!(
                "{:064x}",
                name.as_bytes().iter().map(|byte| u32::from(*byte)).sum::<u32>()
            ),
            namespace: namespace.map(str::to_owned),
            max_sessions,
            ..ApiKeyEntry::default()
        };
        let config = ServeConfig {
            keys: vec![
                key("a", "alice", None, Some(2)),
                key("b", "alice", None, Some(5)),
                key("c", "alice", Some("ci"), Some(1)),
                key("d", "bob", Some("ci"), None),
                key("e", "carol", Some("ab"), Some(9)),
            ],
            max_sessions_per_owner: Some(3),
            ..ServeConfig::default()
        };
        let listen = "127.0.0.1:1".parse().unwrap();
        let (keys, _) = ApiKeys::gather(Sources {
            config: &config,
            listen,
        })
        .unwrap();
        assert_eq!(keys.namespaces(), ["ab", "ci"]);
        let owner = |name| SessionOwner::of(name).unwrap();
        let own = keys.owners(|namespace| namespace.is_none());
        assert_eq!(own.limit(&owner("alice"), None), Some(5));
        assert_eq!(
            (own.name(&owner("alice")), own.name(&owner("bob"))),
            (Some("alice"), None)
        );
        let ci = keys.owners(|namespace| namespace == Some("ci"));
        assert_eq!(ci.limit(&owner("alice"), None), Some(1));
        // What a key does not say, the setting does.
        assert_eq!(ci.limit(&owner("bob"), None), Some(3));
        assert_eq!(ci.limit(&owner("carol"), Some(8)), Some(8));
    }
}
