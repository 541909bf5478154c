//! That the other side knows the session's key.

use hmac::{Hmac, Mac as _};
use podbay_protocol::agent::proof::{Nonce, message};
use podbay_protocol::hex::from_hex;
use sha2::Sha256;

/// Bytes of a nonce.
const NONCE: usize = 32;

/// A nonce of these random bytes.
pub(super) fn nonce(random: [u8; NONCE]) -> Option<Nonce> {
    Nonce::new(random.to_vec()).ok()
}

/// Whether `proof` is what the agent of the pod with `uid` says to `nonce` under the session's `key`.
pub(super) fn holds(key: &[u8], nonce: &Nonce, uid: &str, proof: &str) -> bool {
    let (Some(proof), Ok(mut mac)) = (from_hex(proof), Hmac::<Sha256>::new_from_slice(key)) else {
        return false;
    };
    mac.update(&message(nonce, uid));
    // In constant time.
    mac.verify_slice(&proof).is_ok()
}

#[cfg(test)]
mod tests {
    use podbay_protocol::hex::to_hex;

    use super::*;

    #[test]
    fn only_who_knows_key_and_pod_proves_it() {
        let nonce = nonce([7; NONCE]).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
        mac.update(&message(&nonce, "uid-1"));
        let proof = to_hex(&mac.finalize().into_bytes());
        assert!(holds(b"key", &nonce, "uid-1", &proof));
        assert!(!holds(b"other", &nonce, "uid-1", &proof));
        assert!(!holds(b"key", &nonce, "uid-2", &proof));
        assert!(!holds(
            b"key",
            &super::nonce([8; NONCE]).unwrap(),
            "uid-1",
            &proof
        ));
        for wrong in ["", "zz", &proof[2..], &format!("{proof}00")] {
            assert!(!holds(b"key", &nonce, "uid-1", wrong), "{wrong}");
        }
    }
}
