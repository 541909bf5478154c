//! The session's Secret: its key and the values of its environment. It is the only object that holds them.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use secrecy::{ExposeSecret, SecretString};

use crate::environment::EnvName;
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
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        Self(
            digits
                .map(|digit| char::from(HEX[usize::from(digit)]))
                .collect::<String>()
                .into(),
        )
    }

    /// Stands for a key that is not made yet, or not shown.
    pub(crate) fn placeholder(text: &str) -> Self {
        Self(text.into())
    }

    /// The key's text.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
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
}
