//! Files that are read whole, up to a size.

use std::path::Path;

use blockhouse_disk::Disk;
use bytes::Bytes;

use crate::Error;

/// All bytes of a file, if they are not too many; `None` if there is none.
pub(crate) fn read_if_there(
    disk: &dyn Disk,
    path: &Path,
    max: u64,
) -> Result<Option<Bytes>, Error> {
    let fail = |e| Error::disk("read", path, e);
    let file = match disk.open_read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(fail)?,
    };
    let len = file.len().map_err(fail)?;
    let what = || path.display().to_string();
    if len > max {
        return Err(Error::TooLarge { what: what(), len, max });
    }
    let len = usize::try_from(len).map_err(|_| Error::TooLarge { what: what(), len, max })?;
    let mut bytes = vec![0; len];
    let n = file.read_at(&mut bytes, 0).map_err(fail)?;
    bytes.truncate(n);
    Ok(Some(bytes.into()))
}

/// All bytes of a file, if they are not too many.
pub(crate) fn read(disk: &dyn Disk, path: &Path, max: u64) -> Result<Bytes, Error> {
    let missing = || Error::disk("read", path, std::io::ErrorKind::NotFound.into());
    read_if_there(disk, path, max)?.ok_or_else(missing)
}

/// A file of one line: the line.
pub(crate) fn line(text: &str) -> Option<&str> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    (!line.contains(['\n', '\r'])).then_some(line)
}
