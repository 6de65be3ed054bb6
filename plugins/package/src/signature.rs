//! What is signed, and signatures as they stand beside a component.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Encoding as _};

use crate::{Digest, Error, KeyId, Manifest, PublicKey, SecretKey};

/// Most signatures of one plugin.
pub const COUNT_MAX: usize = 16;
/// Largest file of signatures.
pub const FILE_SIZE_MAX: u64 = 4 << 10;
/// Keeps a signature of ours from being taken for one of something else.
const DOMAIN: &[u8] = b"blockhouse-plugin-v1\0";
const PREFIX: &str = "blockhouse-signature";

/// One key's signature of a component with its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    key: KeyId,
    bytes: [u8; 64],
}

/// What is signed. Its parts have fixed lengths, so that no two plugins have the same.
fn message(component: Digest, manifest: &Manifest) -> Vec<u8> {
    let manifest = Digest::of(manifest.canonical().as_bytes());
    [DOMAIN, component.bytes(), manifest.bytes()].concat()
}

impl Signature {
    /// Signs.
    #[must_use]
    pub fn sign(key: &SecretKey, component: Digest, manifest: &Manifest) -> Self {
        let bytes = key.sign(&message(component, manifest));
        Self { key: key.public().id(), bytes }
    }

    /// Which key it says it is of.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// Checks it.
    ///
    /// # Errors
    /// It is not this key's, or not of this component with this manifest.
    pub fn verify(
        &self,
        key: &PublicKey,
        component: Digest,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        if key.id() == self.key && key.verifies(&message(component, manifest), &self.bytes) {
            return Ok(());
        }
        Err(Error::BadSignature { key: key.name().clone() })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}:{}:{}", self.key, Base64::encode_string(&self.bytes))
    }
}

impl FromStr for Signature {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self, Error> {
        let parse = || {
            let (key, text) = line.strip_prefix(PREFIX)?.strip_prefix(':')?.split_once(':')?;
            let mut bytes = [0; 64];
            let len = Base64::decode(text, &mut bytes).ok()?.len();
            (len == 64).then_some(Self { key: KeyId::parse(key)?, bytes })
        };
        parse().ok_or(Error::Signatures("a line is not blockhouse-signature:KEY:BASE64"))
    }
}

/// The signatures beside a component, a line each; at most one of each key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signatures(Vec<Signature>);

impl Signatures {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Signature> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one, in place of an older one of the same key.
    ///
    /// # Errors
    /// There are too many.
    pub fn add(&mut self, signature: Signature) -> Result<(), Error> {
        self.0.retain(|other| other.key != signature.key);
        if self.0.len() == COUNT_MAX {
            return Err(Error::Signatures("there are more than 16"));
        }
        self.0.push(signature);
        Ok(())
    }

    /// Reads their file.
    ///
    /// # Errors
    /// It is no such file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() as u64 > FILE_SIZE_MAX {
            return Err(Error::Signatures("it has more than 4096 bytes"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Error::Signatures("it is not text"))?;
        let mut signatures = Self::default();
        for line in text.lines() {
            let signature: Signature = line.parse()?;
            if signatures.0.iter().any(|other| other.key == signature.key) {
                return Err(Error::Signatures("there are two of one key"));
            }
            signatures.add(signature)?;
        }
        Ok(signatures)
    }
}

/// The lines of their file.
impl fmt::Display for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(format!("key-{seed}").parse().unwrap(), &[seed; 32])
    }

    fn manifest(version: &str) -> Manifest {
        let text = format!("name = \"a\"\nversion = \"{version}\"\nabi = \"0.1\"\nhooks = []\n");
        Manifest::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_signature_is_of_one_key_one_component_and_one_manifest() {
        let (digest, manifest_1) = (Digest::of(b"component"), manifest("1.0.0"));
        let signature = Signature::sign(&key(1), digest, &manifest_1);
        let public = key(1).public();
        signature.verify(&public, digest, &manifest_1).unwrap();
        assert!(signature.verify(&key(2).public(), digest, &manifest_1).is_err());
        assert!(signature.verify(&public, Digest::of(b"componenu"), &manifest_1).is_err());
        assert!(signature.verify(&public, digest, &manifest("1.0.1")).is_err());
    }

    #[test]
    fn flipped_bits_are_noticed() {
        let (digest, manifest) = (Digest::of(b"component"), manifest("1.0.0"));
        let signature = Signature::sign(&key(1), digest, &manifest);
        for bit in (0..512).step_by(5) {
            let mut other = signature.clone();
            other.bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(other.verify(&key(1).public(), digest, &manifest).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn signatures_are_lines_one_of_each_key() {
        let digest = Digest::of(b"");
        let sign = |seed| Signature::sign(&key(seed), digest, &manifest("1.0.0"));
        let mut signatures = Signatures::default();
        for seed in 0..16 {
            signatures.add(sign(seed)).unwrap();
        }
        signatures.add(sign(3)).unwrap();
        assert!(signatures.add(sign(16)).is_err());
        let text = signatures.to_string();
        assert_eq!(text.lines().count(), 16);
        assert_eq!(Signatures::parse(text.as_bytes()).unwrap(), signatures);
        let twice = format!("{}\n{}\n", sign(1), sign(1));
        assert!(Signatures::parse(twice.as_bytes()).is_err());
        assert!(Signatures::parse(b"").unwrap().is_empty());
        assert!(Signatures::parse(&[b'\n'; 5000]).is_err());
        assert!(Signatures::parse(b"blockhouse-signature:00:AA").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _whatever = Signatures::parse(&bytes).is_ok();
        }
    }
}
