//! Secrets, and the files that bring them.

use std::path::Path;

use base64ct::{Base64, Encoding as _};
use blockhouse_disk::Disk;
use zeroize::Zeroizing;

use crate::{Error, SigningKey, users};

/// Bytes of a secret.
pub const SECRET_LEN: std::ops::RangeInclusive<usize> = 8..=256;
/// Longest file that a secret is read from.
const FILE_LEN_MAX: u64 = 4 << 10;

/// A text that nobody is shown: it is wiped when it goes, and has neither `Debug` nor `Display`.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret, if it may be one.
    ///
    /// # Errors
    /// A sentence without the text itself.
    pub fn new(text: &str) -> Result<Self, String> {
        let visible = text.chars().all(|c| !c.is_control());
        if !SECRET_LEN.contains(&text.len()) || !visible {
            let (min, max) = (SECRET_LEN.start(), SECRET_LEN.end());
            return Err(format!("a secret has {min} to {max} bytes and no control characters"));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Who somebody is, and with what to prove it.
pub struct Credential {
    /// The access key.
    pub name: String,
    /// The secret.
    pub secret: Secret,
}

impl Credential {
    /// The key to sign with.
    #[must_use]
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::new(self.secret.expose().as_bytes())
    }

    /// The value of an HTTP request's `Authorization`.
    #[must_use]
    pub fn basic(&self) -> Zeroizing<String> {
        let pair = Zeroizing::new([&*self.name, ":", self.secret.expose()].concat());
        let encoded = Zeroizing::new(Base64::encode_string(pair.as_bytes()));
        Zeroizing::new(["Basic ", &*encoded].concat())
    }

    /// Reads `NAME:SECRET`.
    ///
    /// # Errors
    /// The file cannot be read, others can read it as well, or something else is in it.
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        let text = read_private(disk, path)?;
        let line = text.trim_end_matches(['\r', '\n']);
        let (name, secret) =
            line.split_once(':').ok_or_else(|| Error::file(path, "must hold NAME:SECRET"))?;
        if !users::is_name(name) {
            return Err(Error::file(path, users::NAME_RULE));
        }
        let secret = Secret::new(secret).map_err(|rule| unusable(path, &rule))?;
        Ok(Self { name: name.to_owned(), secret })
    }

    /// Reads a file of a tool: the secret alone, or RocketMQ's `tools.yml` with both. A name that is
    /// given (not empty) stands.
    ///
    /// # Errors
    /// As [`Self::read`], or there is no name.
    pub fn read_tool(disk: &dyn Disk, path: &Path, name: &str) -> Result<Self, Error> {
        let text = read_private(disk, path)?;
        let member = |key: &str| {
            text.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(found, _)| found.trim() == key)
                .map(|(_, value)| value.trim().trim_matches(['"', '\'']))
        };
        let (found, secret) = match member("secretKey") {
            Some(secret) => (member("accessKey"), secret),
            None => (None, text.trim_end_matches(['\r', '\n'])),
        };
        let name = if name.is_empty() { found.unwrap_or_default() } else { name };
        if !users::is_name(name) {
            return Err(Error::file(path, "needs an access key to go with it"));
        }
        let secret = Secret::new(secret).map_err(|rule| unusable(path, &rule))?;
        Ok(Self { name: name.to_owned(), secret })
    }
}

/// The secret alone, of a file.
///
/// # Errors
/// As [`Credential::read`].
pub fn read(disk: &dyn Disk, path: &Path) -> Result<Secret, Error> {
    let text = read_private(disk, path)?;
    let text = text.trim_end_matches(['\r', '\n']);
    Secret::new(text).map_err(|rule| unusable(path, &rule))
}

fn unusable(path: &Path, rule: &str) -> Error {
    Error::file(path, format!("cannot be used: {rule}"))
}

pub(crate) fn read_private(disk: &dyn Disk, path: &Path) -> Result<Zeroizing<String>, Error> {
    let file = disk.open_read(path).map_err(Error::io(path))?;
    if !disk.is_private(path).map_err(Error::io(path))? {
        return Err(Error::file(path, "can be read by others: chmod 600"));
    }
    let len = file.len().map_err(Error::io(path))?;
    if len > FILE_LEN_MAX {
        return Err(Error::file(path, format!("is longer than {FILE_LEN_MAX} bytes")));
    }
    let mut bytes = Zeroizing::new(vec![0; usize::try_from(len).unwrap_or(0)]);
    let n = file.read_at(&mut bytes, 0).map_err(Error::io(path))?;
    bytes.truncate(n);
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::file(path, "is no text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use blockhouse_disk::{MemDisk, whole};

    use super::*;

    #[test]
    fn a_file_with_a_secret_that_is_none_is_named_in_a_sentence() {
        let (disk, path) = (MemDisk::new(), Path::new("/s"));
        whole::replace(&disk, path, b"me:short\n").unwrap();
        let told = "/s cannot be used: a secret has 8 to 256 bytes and no control characters";
        assert_eq!(Credential::read(&disk, path).err().unwrap().to_string(), told);
        whole::replace(&disk, path, b"short").unwrap();
        assert_eq!(Credential::read_tool(&disk, path, "me").err().unwrap().to_string(), told);
        assert_eq!(read(&disk, path).err().unwrap().to_string(), told);
    }
}
