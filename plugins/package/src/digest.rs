//! A plugin's identity.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::Error;

/// The SHA-256 of some bytes; that of a component is the plugin's identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits, without `sha256:`.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Bytes of exactly `2 * N` lower-case digits, so that there is one way to write them.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// Bytes with their digest, so that it is computed once, however many want to know it.
#[derive(Clone, Debug)]
pub struct Hashed {
    bytes: Bytes,
    digest: Digest,
}

impl Hashed {
    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Their digest.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

impl From<Bytes> for Hashed {
    fn from(bytes: Bytes) -> Self {
        Self { digest: Digest::of(&bytes), bytes }
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = text.strip_prefix("sha256:").and_then(unhex);
        bytes.map(Self).ok_or_else(|| Error::Digest(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_is_written_in_one_way() {
        let digest = Digest::of(b"");
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), digest);
        assert_eq!(Hashed::from(Bytes::new()).digest(), digest);
        let short = EMPTY.get(..70).unwrap();
        for bad in
            ["", short, &EMPTY.to_uppercase(), &format!("{EMPTY}0"), &EMPTY.replace('e', "g")]
        {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        let no_prefix = EMPTY.strip_prefix("sha256:").unwrap();
        assert!(no_prefix.parse::<Digest>().is_err());
    }
}
