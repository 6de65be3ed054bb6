//! One file of compiled code, and the key that vouches for it.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use blockhouse_disk::{Disk, whole};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// What a file begins with.
const MAGIC: [u8; 8] = *b"BHCODE\x01\n";
/// Bytes before the code.
const HEAD: usize = 8 + 32 + 8 + 8;
/// Bytes after it.
const TAIL: usize = 32;
/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;
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
pub(super) struct Key([u8; Self::LEN]);

impl Key {
    const LEN: usize = 32;

    /// Makes one of the operating system's random numbers.
    pub(super) fn make(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let mut bytes = [0; Self::LEN];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        whole::replace_private(disk, path, &bytes)?;
        Ok(Self(bytes))
    }

    /// The one that is there; `None` if it is no key.
    pub(super) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        let file = disk.open_read(path)?;
        let mut bytes = [0; Self::LEN];
        let read = file.read_at(&mut bytes, 0)?;
        Ok((read == Self::LEN && file.len()? == Self::LEN as u64).then_some(Self(bytes)))
    }

    /// HMAC-SHA256 of `bytes` (RFC 2104), for a key that is shorter than a block.
    fn mac(&self, bytes: &[u8]) -> [u8; TAIL] {
        let padded = |pad: u8| {
            let mut block = [pad; BLOCK];
            block.iter_mut().zip(self.0).for_each(|(byte, key)| *byte ^= key);
            Sha256::new().chain_update(block)
        };
        let inner = padded(0x36).chain_update(bytes).finalize();
        padded(0x5c).chain_update(inner).finalize().into()
    }

    /// Whether `mac` is the one of `bytes`. How long that takes does not tell where they differ.
    fn vouches(&self, bytes: &[u8], mac: &[u8]) -> bool {
        let wanted = self.mac(bytes);
        let differ = wanted.iter().zip(mac).fold(0, |differ, (a, b)| differ | (a ^ b));
        mac.len() == TAIL && std::hint::black_box(differ) == 0
    }
}

/// The file of some code.
pub(super) fn seal(key: &Key, name: Name, made: i64, code: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(AROUND + code.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&name.0);
    bytes.extend_from_slice(&made.to_le_bytes());
    bytes.extend_from_slice(&(code.len() as u64).to_le_bytes());
    bytes.extend_from_slice(code);
    let mac = key.mac(&bytes);
    bytes.extend_from_slice(&mac);
    bytes
}

/// The code of a file.
pub(super) fn open(key: &Key, name: Name, bytes: Vec<u8>) -> Result<Bytes, &'static str> {
    let end = bytes.len().checked_sub(TAIL).filter(|end| *end >= HEAD);
    let end = end.ok_or("it is cut off")?;
    let (sealed, mac) = bytes.split_at(end);
    // First of all: what is not ours is not looked into.
    if !key.vouches(sealed, mac) {
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

    /// Cases 1 and 2 of RFC 4231, whose keys zeros fill up to any length below a block.
    #[test]
    fn the_checksum_is_hmac_sha256() {
        let of = |key: &[u8], text: &[u8]| {
            let mut bytes = [0; Key::LEN];
            bytes[..key.len()].copy_from_slice(key);
            let mac = Key(bytes).mac(text);
            assert!(Key(bytes).vouches(text, &mac) && !Key(bytes).vouches(text, &mac[1..]));
            mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let first = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert_eq!(of(&[0x0b; 20], b"Hi There"), first);
        let second = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(of(b"Jefe", b"what do ya want for nothing?"), second);
    }
}
