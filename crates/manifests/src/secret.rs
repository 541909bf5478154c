//! The session's Secret: its key and the values of its environment. It is the only object that holds them.

use std::collections::BTreeMap;
use std::str::FromStr;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use podbay_protocol::agent::VSCODE_TOKEN_PREFIX;
use podbay_protocol::hex::to_hex;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::environment::EnvName;
use crate::hex::is_hex;
use crate::metadata::metadata;
use crate::owner::Owner;
use crate::session_spec::{SessionSecrets, SessionSpec};

/// Key of the session key in the Secret's data. No variable has it: theirs start with `env.`.
pub const SESSION_KEY: &str = "session-api-key";
/// Variable that servers read the session key from: OpenHands' V0 exec server, and its V1 agent-server as a
/// fallback.
pub const SESSION_KEY_VARIABLE: &str = "SESSION_API_KEY";
/// Variable that OpenHands' V1 agent-server reads its first session key from.
pub const AGENT_SERVER_KEY_VARIABLE: &str = "OH_SESSION_API_KEYS_0";
/// What the keys of variables start with.
const ENV_PREFIX: &str = "env.";

/// What a client must show to a session's server (`X-Session-API-Key`). `Debug` hides it.
#[derive(Clone, Debug)]
pub struct SessionKey(SecretString);

impl SessionKey {
    /// The key made of 256 random bits, in hexadecimal. The caller draws them from a cryptographic generator.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(to_hex(&bytes).into())
    }

    /// Stands for a key that is not made yet, or not shown.
    pub(crate) fn placeholder(text: &str) -> Self {
        Self(text.into())
    }

    /// The key's text.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What the session's record holds of the key.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.expose().as_bytes())
    }
}

/// SHA-256 of a session key's text, in lower-case hexadecimal: it tells whether a key is the session's, and with 256 random
/// bits in the key it tells nothing else. So the record may hold it, and nobody needs to read the Secret to check a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(String);

/// A text that is no hash of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hash of a session key is 64 hexadecimal digits in lower case")]
pub struct KeyHashError;

impl KeyHash {
    /// The hash of a key, as a client presented it.
    pub fn of(key: &[u8]) -> Self {
        Self(to_hex(&Sha256::digest(key)))
    }

    /// The hash of the token of VS Code that the agent of a session with this key makes of it.
    pub fn of_vscode_token(key: &[u8]) -> Self {
        let token = Sha256::new().chain_update(VSCODE_TOKEN_PREFIX).chain_update(key);
        Self::of(to_hex(&token.finalize()).as_bytes())
    }

    /// The hash of the key that a session's Secret holds; `None` if it holds none.
    pub fn of_secret(secret: &Secret) -> Option<Self> {
        let key = secret.data.as_ref()?.get(SESSION_KEY)?;
        Some(Self::of(&key.0))
    }

    /// The hash's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyHash {
    type Err = KeyHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        is_hex(text, 32)
            .then(|| Self(text.to_owned()))
            .ok_or(KeyHashError)
    }
}

/// Key of the variable `name` in the Secret's data.
pub(crate) fn env_key(name: &EnvName) -> String {
    format!("{ENV_PREFIX}{name}")
}

/// The Secret of the session `spec`.
///
/// It is immutable: a pod's environment does not follow its Secret anyway, and the kubelet need not watch it.
pub fn secret(spec: &SessionSpec, secrets: &SessionSecrets, key: &SessionKey, owner: &Owner) -> Secret {
    let bytes = |value: &str| ByteString(value.as_bytes().to_vec());
    let mut data: BTreeMap<_, _> = secrets
        .env()
        .map(|(name, value)| (env_key(name), bytes(value.expose_secret())))
        .collect();
    data.insert(SESSION_KEY.into(), bytes(key.expose()));
    Secret {
        metadata: metadata(spec, spec.names().secret(), Some(owner)),
        type_: Some("Opaque".into()),
        immutable: Some(true),
        data: Some(data),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hexadecimal_and_hidden() {
        let mut bytes = [0; 32];
        bytes[0] = 0xa5;
        bytes[31] = 0x0f;
        let key = SessionKey::from_random(bytes);
        assert_eq!(key.expose(), format!("a5{}0f", "00".repeat(30)));
        assert!(!format!("{key:?}").contains("a5"));
    }

    #[test]
    fn the_hash_of_a_key_is_that_of_its_text_wherever_it_is_found() {
        let key = SessionKey::from_random([0; 32]);
        // `printf %064d 0 | sha256sum`
        let text = "60e05bd1b195af2f94112fa7197a5c88289058840ce7c6df9693756bc6250f55";
        assert_eq!(key.hash().as_str(), text);
        assert_eq!(text.parse(), Ok(key.hash()));
        let mut secret = Secret::default();
        assert_eq!(KeyHash::of_secret(&secret), None);
        let bytes = ByteString(key.expose().as_bytes().to_vec());
        secret.data = Some(BTreeMap::from([(SESSION_KEY.to_owned(), bytes)]));
        assert_eq!(KeyHash::of_secret(&secret), Some(key.hash()));
        // `printf 'podbay vscode token v1\0key' | sha256sum | cut -c-64 | tr -d '\n' | sha256sum`
        let token = "23647e7f45c2ff417a9cf763fd7df419f62832a943a60372d66e6231ec935ef4";
        assert_eq!(KeyHash::of_vscode_token(b"key").as_str(), token);
        for other in ["", &text.to_uppercase(), &text[1..]] {
            assert_eq!(other.parse::<KeyHash>(), Err(KeyHashError));
        }
    }
}
