//! The session's key: where it comes from, what it is compared with, and what this process keeps from those who share
//! its user.
//!
//! Hostile code runs as the same user as this process. What it must not get is the key: it could then pose as the
//! server's client to others that trust the key, and as the server to a client. So the key
//!
//! * comes from a file that is unlinked once it is read, else from the environment ([`source`]);
//! * is not in `/proc/PID/environ`: a process that finds it in its environment replaces itself, by exec, with one that
//!   gets it through a pipe ([`handover`]);
//! * is not in reach of `/proc/PID/mem` and ptrace: the process is not dumpable ([`protect`]);
//! * is never printed, is compared in constant time and wiped when it is dropped ([`SessionKey`]).
//!
//! What that does not cover: the sandbox's root, who may read all memory, and a key that somebody else put where the
//! sandbox's user can read it (the environment of other processes of the container, a mounted Secret).

pub mod handover;
pub mod protect;
pub mod source;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac as _};
use podbay_protocol::agent::VSCODE_TOKEN_PREFIX;
use podbay_protocol::agent::proof::{self, Nonce};
use podbay_protocol::hex::to_hex;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub use source::KeyError;

/// Bytes of a key, at most: it is sent in a header.
pub const LENGTH_LIMIT: usize = 4096;

/// The key of the session. Neither `Debug` nor `Display` shows it, and it is wiped when it is dropped.
#[derive(Clone, Debug)]
pub struct SessionKey(SecretString);

impl SessionKey {
    /// Takes a text as key, without white space around it (files end with a newline): 1 to [`LENGTH_LIMIT`] printable
    /// characters of ASCII.
    pub fn new(text: &SecretString) -> Result<Self, KeyError> {
        let key = text.expose_secret().trim();
        if key.is_empty() || key.len() > LENGTH_LIMIT || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::Invalid);
        }
        Ok(Self(key.into()))
    }

    /// Whether somebody who presents this has the key. How long that takes tells neither where they differ nor how
    /// long the key is: what is compared are hashes.
    pub fn is(&self, presented: &[u8]) -> bool {
        let own = Sha256::digest(self.0.expose_secret().as_bytes());
        Sha256::digest(presented).ct_eq(&own).into()
    }

    /// The proof, for whoever chose the nonce, that this process knows the key and believes to be in this pod:
    /// lower-case hexadecimal HMAC-SHA256 of [`proof::message`].
    pub fn prove(&self, nonce: &Nonce, pod_uid: &str) -> String {
        let key = self.0.expose_secret().as_bytes();
        // A key that is longer than a block is hashed first (RFC 2104, 2).
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        if key.len() > block.len() {
            let hash = Sha256::digest(key);
            block[..hash.len()].copy_from_slice(&hash);
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let mut hmac = <Hmac<Sha256> as KeyInit>::new(&block);
        hmac.update(&proof::message(nonce, pod_uid));
        to_hex(&hmac.finalize().into_bytes())
    }

    /// The token of this session's VS Code: it lets in by [`VSCODE_TOKEN_PREFIX`] who has the key, and tells nothing of it.
    pub fn vscode_token(&self) -> SecretString {
        let token = Sha256::new()
            .chain_update(VSCODE_TOKEN_PREFIX)
            .chain_update(self.expose());
        to_hex(&token.finalize()).into()
    }

    /// The key itself, for the process that takes this one's place.
    fn expose(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SessionKey {
        SessionKey::new(&text.into()).unwrap()
    }

    #[test]
    fn the_key_alone_is_the_key_and_nothing_shows_it() {
        let secret = key(" s3cret\n");
        assert!(secret.is(b"s3cret"));
        for other in ["", "s3cre", "s3cret ", "S3cret", "s3crets"] {
            assert!(!secret.is(other.as_bytes()), "{other:?}");
        }
        assert!(!format!("{secret:?}").contains("s3c"));
        for wrong in ["", " \n", "a b", "é", &"x".repeat(LENGTH_LIMIT + 1)] {
            assert!(SessionKey::new(&wrong.into()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_token_of_vscode_is_made_of_the_key() {
        // `printf 'podbay vscode token v1\0key' | sha256sum`
        let token = "eb8f653dfafea85e6f2fb9bacbfd61f48b82c0d5951190ea03723e529c32197f";
        assert_eq!(key("key").vscode_token().expose_secret(), token);
    }

    #[test]
    fn a_proof_is_hmac_sha256_over_nonce_and_pod() {
        let nonce = Nonce::new((0..16).collect()).unwrap();
        // From Python: hmac.new(b"key", b"podbay agent proof v1\0" + b"\0\0\0\x10" + bytes(range(16)) +
        //              b"\0\0\0\x03uid", "sha256").hexdigest()
        assert_eq!(
            key("key").prove(&nonce, "uid"),
            "7aa1a55fac5899d911f9f2a58621cc2febc690b9a28984acba31e97b98820ff1"
        );
        // The same with b"k" * 100.
        assert_eq!(
            key(&"k".repeat(100)).prove(&nonce, "uid"),
            "2113da21bedb46dc11021b64fe4707ad3825d46030ae8a122b715f063f676cdb"
        );
        assert_ne!(key("key").prove(&nonce, "uid"), key("key").prove(&nonce, "other"));
        assert_ne!(key("key").prove(&nonce, "uid"), key("kez").prove(&nonce, "uid"));
    }
}
