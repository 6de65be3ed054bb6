//! Checkpoints: how many records there are and what their root is, signed. C2SP `tlog-checkpoint`.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::tree::{Hash, Tree};

/// Largest text of a checkpoint or a public key.
pub const TEXT_MAX: usize = 4 << 10;
/// The kind of signature, in the words of the standard: Ed25519.
const ED25519: u8 = 1;
const SIGNED_BY: &str = "\u{2014} ";
/// Bytes of a root in base64.
const ROOT_LEN: usize = 44;

/// What was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many records.
    pub size: u64,
    /// The root of their tree.
    pub root: [u8; 32],
}

/// Tells whether a log's key signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

/// Signs. Its bytes are wiped when it goes, and it is never printed.
pub(crate) struct SecretKey {
    key: SigningKey,
    public: PublicKey,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SecretKey {
    pub(crate) fn of(bytes: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(bytes);
        let verifying = key.verifying_key();
        let digest: Hash = Sha256::digest(verifying.as_bytes()).into();
        let name = format!("blockhouse-audit-{}", hex(&digest[..8]));
        Self { key, public: PublicKey { name, key: verifying } }
    }

    /// Its public half.
    #[must_use]
    pub(crate) const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The checkpoint of a tree, as text.
    #[must_use]
    pub(crate) fn sign(&self, tree: &Tree) -> String {
        let PublicKey { name, .. } = &self.public;
        let text = format!("{name}\n{}\n{}\n", tree.size(), Base64::encode_string(&tree.root()));
        let mut signed = self.public.id().to_vec();
        signed.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n{SIGNED_BY}{name} {}\n", Base64::encode_string(&signed))
    }
}

impl PublicKey {
    /// The log's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        let mut id = [0; 4];
        id.copy_from_slice(&digest[..4]);
        id
    }

    /// Checks a checkpoint. Signatures of others (witnesses) may stand in it.
    ///
    /// # Errors
    /// It is no checkpoint, of another log, or this key did not sign it.
    pub fn open(&self, note: &str) -> Result<Checkpoint, Error> {
        let wrong = |what| Err(Error::Checkpoint(what));
        if note.len() > TEXT_MAX {
            return wrong("is longer than one can be");
        }
        let Some((text, signatures)) = note.split_once("\n\n") else {
            return wrong("has no signature");
        };
        let mut lines = text.split('\n');
        let (Some(name), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return wrong("is no checkpoint");
        };
        if name != self.name {
            return wrong("is of another log");
        }
        let canonical = size.parse::<u64>().ok().filter(|n| n.to_string() == size);
        let (Some(size), Some(root)) = (canonical, hash(root)) else {
            return wrong("has no size or no root");
        };
        // With the line end that the split took.
        let signed = format!("{text}\n");
        if signatures.lines().any(|line| self.signed(line, signed.as_bytes())) {
            return Ok(Checkpoint { size, root });
        }
        wrong("is not signed by the key of this log")
    }

    fn signed(&self, line: &str, text: &[u8]) -> bool {
        let Some((name, bytes)) =
            line.strip_prefix(SIGNED_BY).and_then(|line| line.split_once(' '))
        else {
            return false;
        };
        let mut buf = [0; 68];
        let Ok(bytes) = Base64::decode(bytes, &mut buf) else { return false };
        let Some((id, signature)) = bytes.split_first_chunk::<4>() else { return false };
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        name == self.name && *id == self.id() && self.key.verify_strict(text, &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex(&self.id()), Base64::encode_string(&bytes))
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::PublicKey("it must be NAME+HEX+BASE64");
        let mut parts = text.trim_end_matches('\n').splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let is_plain = !name.is_empty() && !name.contains(|c: char| c.is_whitespace());
        let mut buf = [0; 33];
        let bytes = Base64::decode(key, &mut buf).map_err(|_| wrong())?;
        let Some((&[ED25519], key)) = bytes.split_first_chunk::<1>() else {
            return Err(Error::PublicKey("it is not of the kind Ed25519"));
        };
        let key = <[u8; 32]>::try_from(key).map_err(|_| wrong())?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| wrong())?;
        let public = Self { name: name.to_owned(), key };
        if !is_plain || hex(&public.id()) != id {
            return Err(Error::PublicKey("its name and its bytes do not belong together"));
        }
        Ok(public)
    }
}

/// A SHA-256 in base64.
pub(crate) fn hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    let is_whole = text.len() == ROOT_LEN && Base64::decode(text, &mut hash).ok()?.len() == 32;
    is_whole.then_some(hash)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Text takes everything.
        let _always = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::leaf;

    fn signed() -> (SecretKey, String) {
        let key = SecretKey::of(&[7; 32]);
        let mut tree = Tree::default();
        tree.push(leaf(b"a"));
        tree.push(leaf(b"b"));
        let note = key.sign(&tree);
        (key, note)
    }

    #[test]
    fn what_was_signed_is_read_back() {
        let (key, note) = signed();
        let public: PublicKey = key.public().to_string().parse().unwrap();
        assert_eq!(&public, key.public());
        assert_eq!(public.open(&note).unwrap().size, 2);
        let cosigned = format!("{note}\u{2014} witness.example AAAA\n");
        assert_eq!(public.open(&cosigned).unwrap().size, 2);
        let first = note.lines().next().unwrap();
        assert!(first.starts_with("blockhouse-audit-") && first == public.name(), "{note}");
    }

    #[test]
    fn no_changed_byte_is_taken() {
        let (key, note) = signed();
        for at in 0..note.len() {
            for bit in [1, 4] {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                // The line end behind the signature says nothing.
                let is_end = at == note.len() - 1;
                assert!(is_end || key.public().open(&changed).is_err(), "{at} {changed}");
            }
        }
        assert!(SecretKey::of(&[8; 32]).public().open(&note).is_err());
    }

    #[test]
    fn a_wrong_public_key_is_refused() {
        let text = signed().0.public().to_string();
        for wrong in ["", "a+b", &text.replace('+', "-"), &text.replacen("audit", "audix", 1)] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
    }
}
