//! Keys and their files.
//!
//! A key's file is one line of text: what it is, its name, and its bytes in base64.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use base64ct::{Base64, Encoding as _};
use blockhouse_disk::Disk;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use crate::digest::{hex, unhex};
use crate::{Error, Name, file};

/// Largest file of a key.
pub const FILE_SIZE_MAX: u64 = 1 << 10;

const PUBLIC: Format = Format { what: "public key", prefix: "blockhouse-public-key" };
const SECRET: Format = Format { what: "secret key", prefix: "blockhouse-secret-key" };

/// A key's number: the first 8 bytes of the SHA-256 of its public bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl KeyId {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }
}

/// How a kind of key is written.
struct Format {
    what: &'static str,
    prefix: &'static str,
}

impl Format {
    fn wrong(&self, problem: &'static str) -> Error {
        Error::Key { what: self.what, problem }
    }

    fn parse(&self, text: &str) -> Result<(Name, [u8; 32]), Error> {
        let line = file::line(text).ok_or_else(|| self.wrong("it has more than one line"))?;
        let mut parts = line.splitn(3, ':');
        if parts.next() != Some(self.prefix) {
            return Err(self.wrong("it does not begin with the words of one"));
        }
        let (Some(name), Some(key)) = (parts.next(), parts.next()) else {
            return Err(self.wrong("it has no name or no bytes"));
        };
        let mut bytes = [0; 32];
        let decoded = Base64::decode(key, &mut bytes).map(<[u8]>::len);
        if decoded != Ok(32) {
            return Err(self.wrong("its bytes are not 32 in base64"));
        }
        Ok((name.parse()?, bytes))
    }

    fn line(&self, name: &Name, bytes: &[u8; 32]) -> String {
        format!("{}:{name}:{}\n", self.prefix, Base64::encode_string(bytes))
    }
}

fn text(bytes: &[u8], format: &Format) -> Result<String, Error> {
    String::from_utf8(bytes.to_vec()).map_err(|_| format.wrong("it is not text"))
}

/// Vouches for nothing itself: it tells whether its secret half signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: Name,
    key: VerifyingKey,
}

impl PublicKey {
    /// Its owner's name for it.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let digest = crate::Digest::of(self.key.as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&digest.bytes()[..8]);
        KeyId(id)
    }

    /// Reads its file.
    ///
    /// # Errors
    /// The disk fails, or it is no such file.
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        text(&file::read(disk, path, FILE_SIZE_MAX)?, &PUBLIC)?.parse()
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.key.verify_strict(message, &signature).is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, bytes) = PUBLIC.parse(text)?;
        let key = VerifyingKey::from_bytes(&bytes);
        let key = key.map_err(|_| PUBLIC.wrong("its bytes are no point of the curve"))?;
        // With such a key there are signatures that fit everything.
        if key.is_weak() {
            return Err(PUBLIC.wrong("its bytes are a weak key"));
        }
        Ok(Self { name, key })
    }
}

/// The line of its file.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&PUBLIC.line(&self.name, self.key.as_bytes()))
    }
}

/// Signs. Never shown but in its own file.
pub struct SecretKey {
    name: Name,
    key: SigningKey,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SecretKey {
    /// A new one.
    ///
    /// # Errors
    /// The operating system has no random numbers.
    pub fn generate(name: Name) -> Result<Self, Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| Error::Random(e.to_string()))?;
        Ok(Self::from_seed(name, &seed))
    }

    /// The one of this seed.
    #[must_use]
    pub fn from_seed(name: Name, seed: &[u8; 32]) -> Self {
        Self { name, key: SigningKey::from_bytes(seed) }
    }

    /// Its other half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// Reads its file, if nobody else can.
    ///
    /// # Errors
    /// The disk fails, others may read the file, or it is no such file.
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        let bytes = file::read(disk, path, FILE_SIZE_MAX)?;
        if !disk.is_private(path).map_err(|e| Error::disk("look at", path, e))? {
            return Err(Error::Exposed(path.to_owned()));
        }
        let (name, seed) = SECRET.parse(&text(&bytes, &SECRET)?)?;
        Ok(Self::from_seed(name, &seed))
    }

    /// Writes its file, which must not be there: a key that is gone cannot be had back.
    ///
    /// # Errors
    /// The disk fails, or there is such a file.
    pub fn write(&self, disk: &dyn Disk, path: &Path) -> Result<(), Error> {
        let fail = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
            _ => Error::disk("write", path, e),
        };
        let file = disk.create_private(path).map_err(fail)?;
        let line = SECRET.line(&self.name, self.key.as_bytes());
        file.write_at(line.as_bytes(), 0).and_then(|()| file.sync_data()).map_err(fail)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        disk.sync_dir(dir.unwrap_or(Path::new("."))).map_err(fail)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_disk::{MemDisk, RealDisk};
    use proptest::prelude::*;

    use super::*;

    const LINE: &str =
        "blockhouse-public-key:release:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n";

    fn key() -> SecretKey {
        let seed: Vec<u8> = (0..32).collect();
        SecretKey::from_seed("release".parse().unwrap(), &seed.try_into().unwrap())
    }

    #[test]
    fn a_public_key_is_a_line_of_text() {
        let public = key().public();
        assert_eq!(public.to_string(), LINE);
        assert_eq!(LINE.parse::<PublicKey>().unwrap(), public);
        assert_eq!(LINE.trim_end().parse::<PublicKey>().unwrap(), public);
        assert_eq!(public.id().to_string(), "56475aa75463474c");
    }

    #[test]
    fn other_texts_are_no_keys() {
        let identity = Base64::encode_string(&[&[1][..], &[0; 31]].concat());
        for (text, problem) in [
            ("", "words of one"),
            ("blockhouse-secret-key:a:AAAA", "words of one"),
            ("blockhouse-public-key:a", "no name or no bytes"),
            ("blockhouse-public-key:A:AAAA", "is not a name"),
            ("blockhouse-public-key:a:AAAA", "not 32 in base64"),
            (&LINE.replace('=', ""), "not 32 in base64"),
            (&format!("{LINE}\n"), "more than one line"),
            (&format!("blockhouse-public-key:a:{identity}"), "weak"),
        ] {
            let error = text.replace("A:AAAA", &format!("A:{identity}")).parse::<PublicKey>();
            let error = error.unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn a_secret_key_is_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("release.key");
        key().write(&RealDisk, &path).unwrap();
        assert!(RealDisk.is_private(&path).unwrap());
        let read = SecretKey::read(&RealDisk, &path).unwrap();
        assert_eq!(read.public(), key().public());
        assert!(matches!(key().write(&RealDisk, &path), Err(Error::Exists(_))));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        std::fs::set_permissions(&path, mode).unwrap();
        assert!(matches!(SecretKey::read(&RealDisk, &path), Err(Error::Exposed(_))));
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", key()), "SecretKey { name: Name(\"release\"), .. }");
        let disk = MemDisk::new();
        let path = Path::new("/k");
        let secret = "blockhouse-secret-key:release:c2VjcmV0";
        blockhouse_disk::whole::replace(&disk, path, secret.as_bytes()).unwrap();
        let error = SecretKey::read(&disk, path).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("c2VjcmV0"));
    }

    #[test]
    fn new_keys_differ() {
        let new = || SecretKey::generate("a".parse().unwrap()).unwrap().public();
        assert_ne!(new().id(), new().id());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(blockhouse-public-key:)?\\PC{0,80}") {
            let _whatever = text.parse::<PublicKey>().is_ok();
        }
    }
}
