//! One file of compiled code, and the key that vouches for it.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use blockhouse_disk::{Disk, whole};
use bytes::Bytes;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What a file begins with.
const MAGIC: [u8; 8] = *b"BHCODE\x01\n";
/// Bytes before the code.
const HEAD: usize = 8 + 32 + 8 + 8;
/// Bytes after it.
const TAIL: usize = 32;
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
pub(super) struct Key(Hmac<Sha256>);

impl Key {
    const LEN: usize = 32;

    fn new(bytes: &[u8]) -> io::Result<Self> {
        // It takes keys of any length.
        Hmac::new_from_slice(bytes).map(Self).map_err(io::Error::other)
    }

    /// Makes one of the operating system's random numbers.
    pub(super) fn make(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let mut bytes = [0; Self::LEN];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        whole::replace_private(disk, path, &bytes)?;
        Self::new(&bytes)
    }

    /// The one that is there; `None` if it is no key.
    pub(super) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        let mut bytes = [0; Self::LEN + 1];
        let read = disk.open_read(path)?.read_at(&mut bytes, 0)?;
        if read != Self::LEN {
            return Ok(None);
        }
        Self::new(&bytes[..read]).map(Some)
    }

    fn of(&self, bytes: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update(bytes)
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
    let mac = key.of(&bytes).finalize().into_bytes();
    bytes.extend_from_slice(&mac);
    bytes
}

/// The code of a file.
pub(super) fn open(key: &Key, name: Name, bytes: Vec<u8>) -> Result<Bytes, &'static str> {
    let end = bytes.len().checked_sub(TAIL).filter(|end| *end >= HEAD);
    let end = end.ok_or("it is cut off")?;
    let (sealed, mac) = bytes.split_at(end);
    // First of all: what is not ours is not looked into.
    key.of(sealed).verify_slice(mac).map_err(|_| "its checksum is not that of this node")?;
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
