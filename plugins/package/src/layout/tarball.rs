//! A layout as a tar file.
//!
//! Nothing of it is unpacked to disk. Only plain files with the paths of a layout are taken, and
//! none of tar's extensions (long names, sparse files, PAX): no layout needs them, and each is a
//! second way to say where something goes or how long it is.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use blockhouse_disk::{Disk, DiskFile, whole};
use bytes::Bytes;
use tar::{Archive, Builder, Entry, EntryType, Header};

use super::{BLOBS, Files, INDEX, MARKER, PLUGINS_MAX, SIZE_MAX};
use crate::{Digest, Error, component};

/// Five blobs a plugin, three other files, and the directories.
const ENTRIES_MAX: usize = 5 * PLUGINS_MAX + 8;

/// The files of a tar file, by their paths.
pub(super) struct Tarball(BTreeMap<String, Bytes>);

impl Files for Tarball {
    fn read(&self, path: &str, max: u64) -> Result<Bytes, Error> {
        let bytes = self.0.get(path).ok_or_else(|| Error::layout(path, "is missing"))?;
        let len = bytes.len() as u64;
        if len > max {
            return Err(Error::TooLarge { what: path.to_owned(), len, max });
        }
        Ok(bytes.clone())
    }
}

impl Tarball {
    pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        let fail = |e| Error::disk("read", path, e);
        let file = disk.open_read(path).map_err(fail)?;
        let len = file.len().map_err(fail)?;
        // Heads and padding come on top of what is in it.
        let max = SIZE_MAX + (1 << 20);
        if len > max {
            return Err(Error::TooLarge { what: path.display().to_string(), len, max });
        }
        let mut archive = Archive::new(FileReader { file, at: 0 });
        let mut files = BTreeMap::new();
        for (i, entry) in archive.entries().map_err(fail)?.raw(true).enumerate() {
            if i == ENTRIES_MAX {
                let problem = format!("has more than {ENTRIES_MAX} entries");
                return Err(Error::layout("tar file", problem));
            }
            let mut entry = entry.map_err(fail)?;
            let Some(name) = wanted(&entry)? else { continue };
            let bytes = contents(&mut entry, &name, len).map_err(|e| e.of(path))?;
            if files.insert(name.clone(), bytes).is_some() {
                return Err(Error::layout(name, "is there twice"));
            }
        }
        Ok(Self(files))
    }
}

/// An error of reading that does not know its file yet.
enum Failure {
    Io(io::Error),
    Other(Error),
}

impl Failure {
    fn of(self, path: &Path) -> Error {
        match self {
            Self::Io(e) => Error::disk("read", path, e),
            Self::Other(e) => e,
        }
    }
}

/// The path of a file of a layout; `None` for a directory.
fn wanted<R: Read>(entry: &Entry<'_, R>) -> Result<Option<String>, Error> {
    let path = entry.path_bytes();
    let shown =
        String::from_utf8_lossy(path.get(..120).unwrap_or(&path)).escape_debug().to_string();
    let text = std::str::from_utf8(&path).unwrap_or_default();
    let text = text.strip_prefix("./").unwrap_or(text);
    match entry.header().entry_type() {
        EntryType::Directory if matches!(text.trim_end_matches('/'), "" | "blobs" | BLOBS) => {
            Ok(None)
        }
        EntryType::Regular if is_of_layout(text) => Ok(Some(text.to_owned())),
        EntryType::Regular | EntryType::Directory => {
            Err(Error::layout(shown, "does not belong into a layout"))
        }
        _ => Err(Error::layout(shown, "is no plain file: pack it with `tar --format=ustar`")),
    }
}

fn is_of_layout(path: &str) -> bool {
    let blob = || path.strip_prefix(BLOBS)?.strip_prefix('/');
    path == MARKER
        || path == INDEX
        || blob().is_some_and(|hex| format!("sha256:{hex}").parse::<Digest>().is_ok())
}

/// The bytes of a file. Its size is what its head says, which can be anything: `len`, that of the
/// whole tar file, bounds it.
fn contents<R: Read>(entry: &mut Entry<'_, R>, name: &str, len: u64) -> Result<Bytes, Failure> {
    let size = entry.size();
    let max = component::SIZE_MAX.min(len);
    let too_large = || Error::TooLarge { what: name.to_owned(), len: size, max };
    if size > max {
        return Err(Failure::Other(too_large()));
    }
    let mut bytes = vec![0; usize::try_from(size).map_err(|_| Failure::Other(too_large()))?];
    entry.read_exact(&mut bytes).map_err(Failure::Io)?;
    Ok(bytes.into())
}

/// Reads an open file from its start to its end.
struct FileReader {
    file: Arc<dyn DiskFile>,
    at: u64,
}

impl Read for FileReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

pub(super) fn write(
    disk: &dyn Disk,
    path: &Path,
    files: &BTreeMap<String, Bytes>,
) -> Result<(), Error> {
    let fail = |e| Error::disk("write", path, e);
    let bytes = pack(files).map_err(fail)?;
    whole::replace(disk, path, &bytes).map_err(fail)
}

/// Without owner and time, so that the same plugins make the same bytes.
fn pack(files: &BTreeMap<String, Bytes>) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = Header::new_ustar();
        header.set_path(path)?;
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        builder.append(&header, bytes.as_ref())?;
    }
    builder.into_inner()
}
