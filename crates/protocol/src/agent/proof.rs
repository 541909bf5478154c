//! The proof that a server knows the key of its session, asked for before the key is sent to it.
//!
//! Addresses of pods are used again. A client that has one therefore sends a random nonce first, and the server answers
//! with HMAC-SHA256, under the session's key, of [`message`]. A stranger learns nothing from the question and cannot answer
//! it; that the pod's uid is in it keeps the answer of one pod from being passed on as another's.

use serde::{Deserialize, Serialize};

use crate::hex::{from_hex, to_hex};

/// Bytes of a nonce, at least: nobody meets the same one twice.
pub const NONCE_MIN: usize = 16;
/// Bytes of a nonce, at most.
pub const NONCE_MAX: usize = 64;

/// Keeps what is signed here apart from all else that the key might ever sign.
const DOMAIN: &[u8] = b"podbay agent proof v1\0";

/// Asks for a proof: the body of a POST to [`super::path::PROOF`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProofRequest {
    /// The nonce.
    pub nonce: Nonce,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProofAnswer {
    /// Lower-case hexadecimal HMAC-SHA256 of [`message`].
    pub proof: String,
}

/// Random bytes that nobody used before, [`NONCE_MIN`] to [`NONCE_MAX`] of them; hexadecimal in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(value_type = String, pattern = "^([0-9a-f]{2}){16,64}$")
)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce(Vec<u8>);

/// The text or the bytes are no nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a nonce is {NONCE_MIN} to {NONCE_MAX} bytes in hexadecimal")]
pub struct InvalidNonce;

impl Nonce {
    /// A nonce of these random bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, InvalidNonce> {
        if (NONCE_MIN..=NONCE_MAX).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(InvalidNonce)
        }
    }
}

impl TryFrom<String> for Nonce {
    type Error = InvalidNonce;

    fn try_from(text: String) -> Result<Self, InvalidNonce> {
        from_hex(&text).ok_or(InvalidNonce).and_then(Self::new)
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> Self {
        to_hex(&nonce.0)
    }
}

/// What is signed: the domain, then the nonce and the pod's uid, each after its length as 32 bits, big-endian. No two
/// pairs of them have the same message.
pub fn message(nonce: &Nonce, pod_uid: &str) -> Vec<u8> {
    let mut message = DOMAIN.to_vec();
    for part in [nonce.0.as_slice(), pod_uid.as_bytes()] {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        message.extend(length.to_be_bytes());
        message.extend(part);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_has_bounds() {
        for (length, valid) in [(15, false), (16, true), (64, true), (65, false)] {
            let json = format!(r#"{{"nonce":"{}"}}"#, "0a".repeat(length));
            let request = serde_json::from_str::<ProofRequest>(&json);
            assert_eq!(request.is_ok(), valid, "{length}");
            if let Ok(request) = request {
                assert_eq!(serde_json::to_string(&request).unwrap(), json);
            }
        }
        assert!(serde_json::from_str::<ProofRequest>(r#"{"nonce":"xx"}"#).is_err());
    }

    #[test]
    fn messages_differ_where_nonce_or_pod_do() {
        let nonce = |byte: u8, length| Nonce::new(vec![byte; length]).unwrap();
        let messages = [
            message(&nonce(b'a', 16), "b"),
            message(&nonce(b'a', 17), "b"),
            message(&nonce(b'a', 16), "ab"),
            message(&nonce(b'b', 16), "b"),
            message(&nonce(b'a', 16), ""),
        ];
        for (index, one) in messages.iter().enumerate() {
            assert!(one.starts_with(DOMAIN));
            assert!(messages[index + 1..].iter().all(|other| other != one));
        }
    }
}
