//! Names of a session's objects, from its id, and its owner if it has one.
//!
//! A DNS-like id of at most 32 characters is used as it is, so that the names are those OpenHands gives. Any
//! other id becomes `{slug}-x{hash}`: a readable rest of the id and 100 bits of its SHA-256. An id that
//! already has that form is hashed too, so the two kinds of name can't meet.
//!
//! Two owners may use one id, so the names of an owned session are always hashed, from owner and id together.

use crate::base32::{ALPHABET, sha256_base32};
use crate::dns::is_label;
use crate::session_id::SessionId;
use crate::session_owner::SessionOwner;

/// What every object's name starts with (OpenHands: `openhands-runtime-{sid}`).
const PREFIX: &str = "openhands-runtime-";
/// Longest part of a name that stands for the id: the prefix (18), this, and the longest suffix
/// `-ingress-code` (13) make 63, the longest DNS label.
const MAX_STEM: usize = 32;
/// Stands before the hash; with the length of the hash it is how a hashed name is told from a plain one.
const MARKER: char = 'x';
/// Characters of the hash, 5 bits each. 100 bits: a chance meeting needs about 10^15 sessions in one
/// namespace. Who makes one on purpose is stopped by the raw id in the record, which is compared before a
/// session is adopted.
const HASH_CHARS: usize = 20;
/// Characters left for the slug beside `-`, the marker and the hash.
const MAX_SLUG: usize = MAX_STEM - HASH_CHARS - 2;
/// Slug of an id that has no letter or digit of ASCII.
const EMPTY_SLUG: &str = "id";
/// Stands between owner and id in what is hashed. No id contains it, so that the names of an owned session never meet those
/// of a session without an owner.
const SEPARATOR: char = '\0';

/// The names of one session's objects: valid RFC 1123 labels, the same for the same owner and id, different for
/// different ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionNames {
    stem: String,
}

impl SessionNames {
    /// The names for `id`, of `owner` if the session has one.
    pub fn of(owner: Option<&SessionOwner>, id: &SessionId) -> Self {
        let text = id.as_str();
        let stem = match owner {
            Some(owner) => hashed(text, &format!("{}{SEPARATOR}{text}", owner.as_str())),
            None if text.len() <= MAX_STEM && is_label(text) && !looks_hashed(text) => text.to_owned(),
            None => hashed(text, text),
        };
        Self { stem }
    }

    /// Name of the record (a ConfigMap) and of the Pod.
    pub fn object(&self) -> String {
        format!("{PREFIX}{}", self.stem)
    }

    /// Name of the Secret with the session key and the environment's values.
    pub fn secret(&self) -> String {
        format!("{PREFIX}{}-env", self.stem)
    }

    /// Name of the persistent claim of the workspace.
    pub fn claim(&self) -> String {
        format!("{PREFIX}{}-pvc", self.stem)
    }

    /// Name of the Service of the session's server and ports.
    pub fn service(&self) -> String {
        format!("{PREFIX}{}-svc", self.stem)
    }

    /// Name of the Service of VS Code.
    pub fn code_service(&self) -> String {
        format!("{PREFIX}{}-svc-code", self.stem)
    }

    /// Name of the Ingress, or the route, of the session's ports.
    pub fn ingress(&self) -> String {
        format!("{PREFIX}{}-ingress", self.stem)
    }

    /// Name of the Ingress, or the route, of VS Code.
    pub fn code_ingress(&self) -> String {
        format!("{PREFIX}{}-ingress-code", self.stem)
    }

    /// Name of the NetworkPolicy of a session with rules of its own.
    pub fn network_policy(&self) -> String {
        format!("{PREFIX}{}-network", self.stem)
    }

    /// Value of the label `session`. At most 32 characters.
    pub fn label(&self) -> &str {
        &self.stem
    }
}

/// A readable rest of the id, and the hash of what tells the session from all others.
fn hashed(id: &str, identity: &str) -> String {
    format!(
        "{}-{MARKER}{}",
        slug(id),
        sha256_base32(identity.as_bytes(), HASH_CHARS)
    )
}

/// The id's ASCII letters and digits in lower case, runs of anything else as one `-`.
fn slug(id: &str) -> String {
    let mut slug = String::with_capacity(MAX_SLUG);
    for character in id.chars() {
        if slug.len() == MAX_SLUG {
            break;
        }
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        EMPTY_SLUG.to_owned()
    } else {
        slug.to_owned()
    }
}

/// Whether `stem` has the form [`hashed`] gives, whatever it was made from.
fn looks_hashed(stem: &str) -> bool {
    let Some((_, last)) = stem.rsplit_once('-') else {
        return false;
    };
    last.strip_prefix(MARKER)
        .is_some_and(|hash| hash.len() == HASH_CHARS && hash.bytes().all(|byte| ALPHABET.contains(&byte)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn names(id: &str) -> SessionNames {
        SessionNames::of(None, &id.parse().unwrap())
    }

    fn owned(owner: &str, id: &str) -> SessionNames {
        SessionNames::of(Some(&SessionOwner::of(owner).unwrap()), &id.parse().unwrap())
    }

    /// Ids of all kinds: plain ones, ones that come near the limits, hashed-looking ones, any text.
    fn ids() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z0-9-]{1,40}",
            "[A-Za-z0-9_./-]{1,70}",
            "[a-z0-9-]{1,10}-x[a-z2-7]{19,21}",
            "[ab-]{1,4}",
            "\\PC{1,80}",
        ]
    }

    #[test]
    fn dns_like_ids_keep_the_names_of_openhands() {
        let names = names("demo");
        assert_eq!(names.object(), "openhands-runtime-demo");
        assert_eq!(names.secret(), "openhands-runtime-demo-env");
        assert_eq!(names.claim(), "openhands-runtime-demo-pvc");
        assert_eq!(names.service(), "openhands-runtime-demo-svc");
        assert_eq!(names.code_service(), "openhands-runtime-demo-svc-code");
        assert_eq!(names.ingress(), "openhands-runtime-demo-ingress");
        assert_eq!(names.code_ingress(), "openhands-runtime-demo-ingress-code");
        assert_eq!(names.network_policy(), "openhands-runtime-demo-network");
        assert_eq!(names.label(), "demo");
        let hex = "0123456789abcdef0123456789abcdef";
        assert_eq!(self::names(hex).label(), hex);
    }

    #[test]
    fn other_ids_become_slug_and_hash() {
        // The hash is `printf %s ID | sha256sum | xxd -r -p | base32 | tr A-Z a-z | cut -c1-20`.
        assert_eq!(names("Demo").label(), "demo-xriwmazz3drbigfp6qtab");
        assert_eq!(
            names("SWE-bench/django__django-11099").label(),
            "swe-bench-xk34yjsfmcbo7h4alhcg7"
        );
        assert_eq!(names("日本").label().split_once('-').unwrap().0, "id");
    }

    #[test]
    fn an_id_that_looks_hashed_is_hashed_too() {
        let first = names("Demo");
        let second = names(first.label());
        assert_ne!(first, second);
        assert!(looks_hashed(second.label()));
    }

    #[test]
    fn case_and_length_tell_ids_apart() {
        let ids = [
            "demo",
            "Demo",
            "DEMO",
            "demo ",
            "demo-",
            &"a".repeat(32),
            &"a".repeat(33),
            &"a".repeat(64),
        ];
        let labels: HashMap<_, _> = ids.iter().map(|id| (names(id).label().to_owned(), id)).collect();
        assert_eq!(labels.len(), ids.len());
    }

    #[test]
    fn one_id_of_two_owners_and_of_none_has_three_names() {
        let labels = [names("demo"), owned("alice", "demo"), owned("bob", "demo")];
        assert_eq!(labels[0].label(), "demo");
        // `printf '%s\\0demo' OWNER_LABEL | sha256sum`, and on as above.
        assert_eq!(labels[1].label(), "demo-x627eehtchjfy5o47wlvg");
        assert_ne!(labels[1], labels[2]);
        assert_eq!(owned("alice", "demo"), labels[1]);
        // An id that is the other's name, or spells owner and id, is no way to it.
        let owner = SessionOwner::of("alice").unwrap();
        for id in [
            labels[1].label().to_owned(),
            format!("{owner}demo"),
            format!("{owner}/demo"),
        ] {
            assert_ne!(names(&id), labels[1], "{id}");
        }
    }

    proptest! {
        #[test]
        fn names_are_labels_with_room_for_the_longest_suffix(id in ids()) {
            prop_assume!(id.parse::<SessionId>().is_ok());
            let names = names(&id);
            let all = [
                names.object(), names.secret(), names.claim(), names.service(), names.code_service(),
                names.ingress(), names.code_ingress(), names.network_policy(),
            ];
            for name in &all {
                prop_assert!(is_label(name), "{name}");
            }
            prop_assert_eq!(std::collections::BTreeSet::from(all).len(), 8);
            prop_assert!(is_label(names.label()));
        }

        #[test]
        fn names_are_deterministic_and_distinct(ids in proptest::collection::hash_set(ids(), 1..60)) {
            let mut seen = HashMap::new();
            for id in ids.iter().filter(|id| id.parse::<SessionId>().is_ok()) {
                prop_assert_eq!(names(id), names(id));
                // The name of one session is itself a possible id: add it, it must map elsewhere or be the
                // same id.
                for id in [id.clone(), names(id).label().to_owned()] {
                    if let Some(other) = seen.insert(names(&id).label().to_owned(), id.clone()) {
                        prop_assert_eq!(other, id);
                    }
                }
            }
        }
    }
}
