//! One file of compiled code, and the key that vouches for it.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use blockhouse_disk::{Disk, whole};
use bytes::Bytes;

/// What a file begins with.
const MAGIC: [u8; 8] = *b"BHCODE\x02\n";
/// Bytes before the code.
const HEAD: usize = 8 + 32 + 8 + 8;
/// Bytes of a checksum.
const MAC: usize = 16;
/// Bytes after the code.
const TAIL: usize = NONCE_LEN + MAC;
/// Bytes around the code.
pub(super) const AROUND: usize = HEAD + TAIL;

/// What code is kept under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name(pub(super) [u8; 32]);

impl Name {
    /// Its file.
    pub(super) fn file(self) -> String {
        let mut text = String::with_capacity(69);
        for byte in self.0 {
            // Writing to a String does not fail.
            let _infallible = write!(text, "{byte:02x}");
        }
        text + ".code"
    }
}

/// The node's secret. Whoever has it can have the node run anything.
///
/// Checksums are those of AES-256-GCM over bytes that stay as they are (GMAC, NIST SP 800-38D). A processor
/// makes them several times as fast as a hash, and code is checked at each start. What they ask for is a
/// number that is never used twice: it is drawn for each file, of which a node makes few.
pub(super) struct Key(RandomizedNonceKey);

impl Key {
    const LEN: usize = 32;

    fn of(bytes: &[u8; Self::LEN]) -> io::Result<Self> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes);
        key.map(Self).map_err(|_| io::Error::other("it cannot be used"))
    }

    /// Makes one of the operating system's random numbers.
    pub(super) fn make(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let mut bytes = [0; Self::LEN];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        whole::replace_private(disk, path, &bytes)?;
        Self::of(&bytes)
    }

    /// The one that is there; `None` if it is no key.
    pub(super) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        let file = disk.open_read(path)?;
        let mut bytes = [0; Self::LEN];
        let read = file.read_at(&mut bytes, 0)?;
        if read != Self::LEN || file.len()? != Self::LEN as u64 {
            return Ok(None);
        }
        Self::of(&bytes).map(Some)
    }

    /// What vouches for `bytes`; `None` if there is no randomness.
    fn vouch(&self, bytes: &[u8]) -> Option<[u8; TAIL]> {
        let (nonce, mac) = self.0.seal_in_place_separate_tag(Aad::from(bytes), &mut []).ok()?;
        let tail = [nonce.as_ref().as_slice(), mac.as_ref()].concat();
        tail.try_into().ok()
    }

    /// Whether `tail` vouches for `bytes`. How long that takes does not tell where they differ.
    fn vouches(&self, bytes: &[u8], tail: &[u8; TAIL]) -> bool {
        let (nonce, mac) = tail.split_at(NONCE_LEN);
        let Ok(nonce) = Nonce::try_assume_unique_for_key(nonce) else { return false };
        self.0.open_in_place(nonce, Aad::from(bytes), &mut mac.to_vec()).is_ok()
    }
}

/// The file of some code; `None` if there is no randomness.
pub(super) fn seal(key: &Key, name: Name, made: i64, code: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(AROUND + code.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&name.0);
    bytes.extend_from_slice(&made.to_le_bytes());
    bytes.extend_from_slice(&(code.len() as u64).to_le_bytes());
    bytes.extend_from_slice(code);
    let tail = key.vouch(&bytes)?;
    bytes.extend_from_slice(&tail);
    Some(bytes)
}

/// The code of a file.
pub(super) fn open(key: &Key, name: Name, bytes: Vec<u8>) -> Result<Bytes, &'static str> {
    let split = bytes.split_last_chunk().filter(|(sealed, _)| sealed.len() >= HEAD);
    let (sealed, tail) = split.ok_or("it is cut off")?;
    // First of all: what is not ours is not looked into.
    if !key.vouches(sealed, tail) {
        return Err("its checksum is not that of this node");
    }
    let (magic, rest) = sealed.split_at(MAGIC.len());
    let (named, rest) = rest.split_at(name.0.len());
    let len = rest.get(8..16).and_then(|len| len.try_into().ok()).map(u64::from_le_bytes);
    if magic != MAGIC {
        return Err("it has another form");
    }
    if named != name.0 {
        return Err("it is of another component, or of other settings");
    }
    let end = sealed.len();
    if len != Some((end - HEAD) as u64) {
        return Err("its length is not the one it says");
    }
    Ok(Bytes::from(bytes).slice(HEAD..end))
}

/// When a file was made, unchecked; the oldest of all if it does not say.
pub(super) fn made(disk: &dyn Disk, path: &Path) -> i64 {
    let mut head = [0; HEAD];
    let read = disk.open_read(path).and_then(|file| file.read_at(&mut head, 0));
    match (read, head.get(40..48).and_then(|made| made.try_into().ok())) {
        (Ok(HEAD), Some(made)) => i64::from_le_bytes(made),
        _ => i64::MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A case of NIST's (`gcmEncryptExtIV256`) that has nothing but bytes that stay as they are.
    #[test]
    fn the_checksum_is_gmac_of_aes_256() {
        let bytes = |hex: &str| -> Vec<u8> {
            let digits = hex.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
            digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
        };
        let key = bytes("78dc4e0aaf52d935c3c01eea57428f00ca1fd475f5da86a49c8dd73d68c8e223");
        let key = Key::of(key.as_slice().try_into().unwrap()).unwrap();
        let text = bytes("b96baa8c1c75a671bfb2d08d06be5f36");
        let tail = bytes("d79cf22d504cc793c3fb6c8a3e5d486aa2e30b22e040b85723a06e76");
        let tail = tail.as_slice().try_into().unwrap();
        assert!(key.vouches(&text, tail) && !key.vouches(&text[1..], tail));
        let (one, other) = (key.vouch(&text).unwrap(), key.vouch(&text).unwrap());
        assert!(key.vouches(&text, &one) && key.vouches(&text, &other));
        assert_ne!(one[..NONCE_LEN], other[..NONCE_LEN]);
    }
}
