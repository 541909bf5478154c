//! Texts that only we can have made, for a while.

use hmac::{Hmac, Mac as _};
use podbay_manifests::{KeyHash, RuntimeId};
use podbay_protocol::hex::{from_hex, to_hex};
use secrecy::{ExposeSecret as _, SecretBox};
use sha2::Sha256;

use crate::routing::endpoint::Endpoint;

/// Tells one text from the next.
pub(super) type Nonce = [u8; 16];

/// What a text is for: one kind is never taken for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A link that works once.
    Link = 1,
    /// A cookie.
    Cookie = 2,
}

/// What a text lets in to. With the session's key it changes, too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) id: &'a RuntimeId,
    pub(super) endpoint: Endpoint,
    pub(super) key: &'a KeyHash,
}

/// Makes such texts, `{until}.{nonce}.{HMAC-SHA256}`, and knows them again.
#[derive(Debug)]
pub(super) struct Sealer(SecretBox<[u8; 32]>);

impl Sealer {
    pub(super) const fn new(secret: SecretBox<[u8; 32]>) -> Self {
        Self(secret)
    }

    /// A text that is good until then, in seconds.
    pub(super) fn seal(&self, purpose: Purpose, subject: &Subject<'_>, until: u64, nonce: Nonce) -> String {
        let mac = self
            .mac(purpose, subject, until, &nonce)
            .map(|mac| to_hex(&mac.finalize().into_bytes()));
        format!("{until}.{}.{}", to_hex(&nonce), mac.unwrap_or_default())
    }

    /// The nonce of a text that is ours, for this purpose and subject, and still good.
    pub(super) fn open(
        &self,
        purpose: Purpose,
        subject: &Subject<'_>,
        text: &[u8],
        now: u64,
    ) -> Option<Nonce> {
        let mut parts = std::str::from_utf8(text).ok()?.split('.');
        let (until, nonce, mac) = (parts.next()?, parts.next()?, parts.next()?);
        let until: u64 = until.parse().ok().filter(|_| parts.next().is_none())?;
        let nonce: Nonce = from_hex(nonce)?.try_into().ok()?;
        let expected = self.mac(purpose, subject, until, &nonce)?;
        // In constant time.
        expected.verify_slice(&from_hex(mac)?).ok()?;
        (now < until).then_some(nonce)
    }

    /// `None` never: any key is one for HMAC.
    fn mac(
        &self,
        purpose: Purpose,
        subject: &Subject<'_>,
        until: u64,
        nonce: &Nonce,
    ) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).ok()?;
        // All of them have one length.
        mac.update(&[purpose as u8, subject.endpoint as u8]);
        mac.update(subject.id.as_str().as_bytes());
        mac.update(subject.key.as_str().as_bytes());
        mac.update(&until.to_be_bytes());
        mac.update(nonce);
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(SecretBox::new(Box::new([byte; 32])))
    }

    #[test]
    fn a_text_is_good_for_what_it_was_made_for() {
        let (id, other) = (RuntimeId::from_random([1; 16]), RuntimeId::from_random([2; 16]));
        let (key, new_key) = (KeyHash::of(b"key"), KeyHash::of(b"new"));
        let subject = Subject {
            id: &id,
            endpoint: Endpoint::Work1,
            key: &key,
        };
        let sealer = sealer(7);
        let text = sealer.seal(Purpose::Link, &subject, 100, [9; 16]);
        let opens = |purpose, subject: &Subject<'_>, text: &str, now| {
            sealer.open(purpose, subject, text.as_bytes(), now).is_some()
        };
        assert!(opens(Purpose::Link, &subject, &text, 99));
        assert!(!opens(Purpose::Link, &subject, &text, 100));
        assert!(!opens(Purpose::Cookie, &subject, &text, 99));
        assert!(!opens(
            Purpose::Link,
            &Subject {
                id: &other,
                ..subject
            },
            &text,
            99
        ));
        assert!(!opens(
            Purpose::Link,
            &Subject {
                key: &new_key,
                ..subject
            },
            &text,
            99
        ));
        let elsewhere = Subject {
            endpoint: Endpoint::Work2,
            ..subject
        };
        assert!(!opens(Purpose::Link, &elsewhere, &text, 99));
        assert!(
            super::tests::sealer(8)
                .open(Purpose::Link, &subject, text.as_bytes(), 99)
                .is_none()
        );
        for broken in [
            text.replacen("100", "999", 1),
            text.replacen("0909", "0908", 1),
            format!("{text}.x"),
            format!("{text}0"),
            text[..text.len() - 2].to_owned(),
            String::new(),
            "..".to_owned(),
        ] {
            assert!(!opens(Purpose::Link, &subject, &broken, 99), "{broken}");
        }
    }
}
