//! HMAC-SHA1, as RocketMQ's clients sign.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64ct::{Base64, Encoding as _};

/// Bytes of a signature.
pub const LEN: usize = 20;

/// A secret, ready to sign: what is kept is the state of the MAC after its key, not the key.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// The key of a secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret))
    }

    fn mac(&self, parts: [&[u8]; 2]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        context.sign()
    }

    /// What a client puts into the field `Signature`.
    #[must_use]
    pub fn sign(&self, fields: &[u8], body: &[u8]) -> String {
        Base64::encode_string(self.mac([fields, body]).as_ref())
    }

    /// Whether `signature` is of this key, after the same time whatever it is. None that can be decoded
    /// is none that is right.
    #[must_use]
    pub fn verifies(&self, signature: Option<[u8; LEN]>, parts: [&[u8]; 2]) -> bool {
        let mac = self.mac(parts);
        let claimed = signature.unwrap_or_default();
        let same = verify_slices_are_equal(mac.as_ref(), &claimed).is_ok();
        same && signature.is_some()
    }
}

/// The bytes of a signature in Base64. What somebody claims is no secret: unlike with secrets, it need not
/// take the same time whatever it is.
#[must_use]
pub fn decode(text: &str) -> Option<[u8; LEN]> {
    // The decoder wants room for whole groups of three.
    let mut bytes = [0; LEN + 1];
    let len = STANDARD.decode_slice(text, &mut bytes).ok()?;
    let (decoded, _) = bytes.split_first_chunk::<LEN>()?;
    (len == LEN).then_some(*decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_java_client() {
        let key = SigningKey::new(b"12345678");
        for (fields, body, signature) in [
            ("ak1PGTopicTest", "hello", "MluzUTgyUK9WxYw9Sl4EoYzy5d8="),
            ("ak1tokPGTopicTest", "hello", "JZHsuYXU8QpKfbw+xRdGyoOYWsY="),
        ] {
            assert_eq!(key.sign(fields.as_bytes(), body.as_bytes()), signature);
            let claimed = decode(signature);
            assert!(claimed.is_some());
            assert!(key.verifies(claimed, [fields.as_bytes(), body.as_bytes()]));
            assert!(!key.verifies(claimed, [fields.as_bytes(), b"hellp"]));
            assert!(!SigningKey::new(b"12345679").verifies(claimed, [fields.as_bytes(), b"hello"]));
        }
    }

    #[test]
    fn what_is_no_signature_verifies_nothing() {
        let key = SigningKey::new(b"12345678");
        for text in
            ["", "=", "MluzUTgyUK9WxYw9Sl4EoYzy5d8", "MluzUTgyUK9WxYw9Sl4EoYzy5d8=\n", "AAAA"]
        {
            assert_eq!(decode(text), None, "{text:?}");
        }
        assert!(!key.verifies(None, [b"", b""]));
        assert!(!key.verifies(Some([0; LEN]), [b"", b""]));
    }
}
