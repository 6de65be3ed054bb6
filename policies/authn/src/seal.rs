//! Secrets at rest: AES-256-GCM under a key that lies elsewhere.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use base64ct::{Base64, Encoding as _};
use blockhouse_disk::Disk;
use zeroize::Zeroizing;

use crate::{Error, Secret, secret};

const KEY_LEN: usize = 32;

/// The key that seals.
pub struct SealKey(RandomizedNonceKey);

/// What is sealed cannot be opened: it was changed, or belongs elsewhere, or the key is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl SealKey {
    fn new(bytes: &[u8; KEY_LEN]) -> Result<Self, Broken> {
        RandomizedNonceKey::new(&AES_256_GCM, bytes).map(Self).map_err(|_| Broken)
    }

    /// Reads the key, one line of Base64. If the file is missing and it may be made, it is.
    ///
    /// # Errors
    /// It cannot be read or made, others can read it, or something else is in it.
    pub fn open(disk: &dyn Disk, path: &Path, may_be_made: bool) -> Result<Self, Error> {
        if may_be_made && !disk.exists(path) {
            return Self::make(disk, path);
        }
        let text = secret::read_private(disk, path)?;
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        let wrong = || Error::file(path, "is no key: it must hold 32 bytes in Base64");
        let decoded = Base64::decode(text.trim_end(), &mut *bytes).map_err(|_| wrong())?;
        if decoded.len() != KEY_LEN {
            return Err(wrong());
        }
        Self::new(&bytes).map_err(|_| wrong())
    }

    fn make(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        let bytes = random()?;
        let mut line = Zeroizing::new(Base64::encode_string(&*bytes));
        line.push('\n');
        let file = disk.create_private(path).map_err(Error::io(path))?;
        file.write_at(line.as_bytes(), 0).map_err(Error::io(path))?;
        file.sync_data().map_err(Error::io(path))?;
        match path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            Some(dir) => disk.sync_dir(dir).map_err(Error::io(dir))?,
            None => disk.sync_dir(Path::new(".")).map_err(Error::io(path))?,
        }
        tracing::info!(path = %path.display(), "made the key that seals the users' secrets");
        Self::new(&bytes).map_err(|_| Error::file(path, "is no key"))
    }

    /// Seals a secret; it can be opened together with `about` only.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn seal(&self, secret: &Secret, about: &str) -> Result<String, Broken> {
        let mut bytes = Zeroizing::new(secret.expose().as_bytes().to_vec());
        let aad = Aad::from(about.as_bytes());
        let nonce = self.0.seal_in_place_append_tag(aad, &mut *bytes).map_err(|_| Broken)?;
        let nonce: &[u8] = nonce.as_ref();
        Ok(Base64::encode_string(&[nonce, &bytes].concat()))
    }

    /// Opens what was sealed.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn unseal(&self, sealed: &str, about: &str) -> Result<Secret, Broken> {
        let mut bytes = Zeroizing::new(Base64::decode_vec(sealed).map_err(|_| Broken)?);
        let (nonce, rest) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Broken)?;
        let aad = Aad::from(about.as_bytes());
        let plain = self.0.open_in_place(nonce, aad, rest).map_err(|_| Broken)?;
        let text = std::str::from_utf8(plain).map_err(|_| Broken)?;
        Secret::new(text).map_err(|_| Broken)
    }
}

fn random() -> Result<Zeroizing<[u8; KEY_LEN]>, Error> {
    let mut bytes = Zeroizing::new([0; KEY_LEN]);
    let failed = |_| Error::Io {
        path: "the system's randomness".to_owned(),
        source: std::io::Error::other("not available"),
    };
    rand::fill(&mut *bytes).map_err(failed)?;
    Ok(bytes)
}

/// A secret that nobody knows.
///
/// # Errors
/// There is no randomness.
pub fn random_secret() -> Result<Secret, Error> {
    let text = Zeroizing::new(Base64::encode_string(&*random()?));
    Secret::new(&text).map_err(|problem| Error::File { path: "a new secret".to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use blockhouse_disk::{MemDisk, RealDisk};

    use super::*;

    #[test]
    fn a_secret_is_opened_only_where_it_belongs() {
        let disk = MemDisk::new();
        let key = SealKey::open(&disk, Path::new("/k"), true).unwrap();
        let secret = Secret::new("a canary secret").unwrap();
        let sealed = key.seal(&secret, "alice").unwrap();
        assert_ne!(sealed, key.seal(&secret, "alice").unwrap(), "a nonce of its own each time");
        assert_eq!(key.unseal(&sealed, "alice").ok().unwrap().expose(), secret.expose());
        assert!(key.unseal(&sealed, "bob").is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(key.unseal(&changed, "alice").is_err(), "{at}");
        }
        for short in ["", "AAAA", "no base64"] {
            assert!(key.unseal(short, "alice").is_err());
        }
        let again = SealKey::open(&disk, Path::new("/k"), false).unwrap();
        assert_eq!(again.unseal(&sealed, "alice").ok().unwrap().expose(), secret.expose());
    }

    #[test]
    fn the_key_is_its_owners_alone_and_is_made_only_where_it_may() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.key");
        assert!(SealKey::open(&RealDisk, &path, false).is_err());
        assert!(!path.exists());
        SealKey::open(&RealDisk, &path, true).unwrap();
        assert!(RealDisk.is_private(&path).unwrap());
        SealKey::open(&RealDisk, &path, true).unwrap();
        blockhouse_disk::whole::replace(&RealDisk, &path, b"AAAA\n").unwrap();
        let error = SealKey::open(&RealDisk, &path, true).err().unwrap().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        blockhouse_disk::whole::replace_private(&RealDisk, &path, b"AAAA\n").unwrap();
        let error = SealKey::open(&RealDisk, &path, true).err().unwrap().to_string();
        assert!(error.contains("is no key"), "{error}");
    }
}
