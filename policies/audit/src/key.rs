//! The log's key: a file that only its owner may read, made at the first start.

use std::path::Path;

use base64ct::{Base64, Encoding as _};
use blockhouse_disk::{Disk, whole};
use zeroize::Zeroizing;

use crate::Error;
use crate::note::{PublicKey, SecretKey};

/// The secret half.
const SECRET: &str = "key";
/// The public half.
const PUBLIC: &str = "key.pub";
const PREFIX: &str = "blockhouse-audit-key:";

/// Reads the key, or makes one if there is none yet and `may_make` says so.
pub(crate) fn load(disk: &dyn Disk, dir: &Path, may_make: bool) -> Result<SecretKey, Error> {
    let path = dir.join(SECRET);
    let wrong = |problem| Error::Key { path: path.clone(), problem };
    let key = match whole::read(disk, &path).map_err(Error::disk(&path))? {
        Some(bytes) => {
            let bytes = Zeroizing::new(bytes);
            if !disk.is_private(&path).map_err(Error::disk(&path))? {
                return Err(wrong("others may read this key: chmod 600"));
            }
            parse(&bytes).ok_or_else(|| wrong("this is no key of an audit log"))?
        }
        None if may_make => make(disk, &path)?,
        None => return Err(wrong("the key is gone, but there are records that it signed")),
    };
    let public = format!("{}\n", key.public());
    let beside = dir.join(PUBLIC);
    if whole::read(disk, &beside).map_err(Error::disk(&beside))?.as_deref()
        != Some(public.as_bytes())
    {
        whole::replace(disk, &beside, public.as_bytes()).map_err(Error::disk(&beside))?;
    }
    Ok(key)
}

fn make(disk: &dyn Disk, path: &Path) -> Result<SecretKey, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|_| Error::Key {
        path: path.to_owned(),
        problem: "the system gives no random bytes to make a key of",
    })?;
    let encoded = Zeroizing::new(Base64::encode_string(&*bytes));
    let line = Zeroizing::new(format!("{PREFIX}{}\n", *encoded));
    whole::replace_private(disk, path, line.as_bytes()).map_err(Error::disk(path))?;
    Ok(SecretKey::of(&bytes))
}

fn parse(bytes: &[u8]) -> Option<SecretKey> {
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.strip_prefix(PREFIX)?.strip_suffix('\n')?;
    let mut bytes = Zeroizing::new([0; 32]);
    (Base64::decode(text, &mut *bytes).ok()?.len() == 32).then(|| SecretKey::of(&bytes))
}

/// The public key that lies beside the log.
///
/// # Errors
/// There is none, or it is not readable.
pub fn public(disk: &dyn Disk, dir: &Path) -> Result<PublicKey, Error> {
    let path = dir.join(PUBLIC);
    let bytes = whole::read(disk, &path).map_err(Error::disk(&path))?;
    let bytes = bytes.ok_or_else(|| Error::Missing(dir.to_owned()))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::PublicKey("it is not text"))?;
    text.parse()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use blockhouse_disk::RealDisk;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = load(&RealDisk, dir.path(), true).unwrap();
        let again = load(&RealDisk, dir.path(), false).unwrap();
        assert_eq!(first.public(), again.public());
        assert_eq!(&public(&RealDisk, dir.path()).unwrap(), first.public());
        let mode = |name: &str| dir.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode(SECRET) & 0o777, 0o600);
        let secret = whole::read(&RealDisk, &dir.path().join(SECRET)).unwrap().unwrap();
        let secret = String::from_utf8(secret).unwrap();
        let secret = secret.strip_prefix(PREFIX).unwrap().trim_end();
        assert!(!format!("{first:?}").contains(secret));

        std::fs::set_permissions(dir.path().join(SECRET), std::fs::Permissions::from_mode(0o644))
            .unwrap();
        assert!(load(&RealDisk, dir.path(), false).unwrap_err().to_string().contains("chmod 600"));
        RealDisk.remove(&dir.path().join(SECRET)).unwrap();
        assert!(load(&RealDisk, dir.path(), false).unwrap_err().to_string().contains("is gone"));
    }
}
