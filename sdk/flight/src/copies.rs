//! Copies of the file: records that would soon be written over are kept for later.

use std::io;
use std::path::{Path, PathBuf};

use blockhouse_disk::{Disk, DiskFile};
use blockhouse_meter::CopyCause;

use crate::NOW;
use crate::reader::EXTENSION;

/// What the names of copies begin with.
const PREFIX: &str = "copy-";
/// So many are kept of those that somebody asked for, and so many of those that the node made by
/// itself: neither drives the others out.
pub const COPIES_MAX: usize = 4;
/// Bytes that are copied with one call.
const CHUNK: usize = 1 << 20;

/// Copies the records of the process that runs, and names the copy by when (in milliseconds since
/// 1970) and why. The oldest copies beyond [`COPIES_MAX`] go.
///
/// # Errors
/// What the disk says.
pub fn copy(disk: &dyn Disk, dir: &Path, at_ms: i64, cause: CopyCause) -> io::Result<PathBuf> {
    let path = dir.join(format!("{PREFIX}{at_ms}-{}{EXTENSION}", cause.name()));
    let from = disk.open_read(&dir.join(NOW))?;
    disk.remove(&path)?;
    let to = disk.create_private(&path)?;
    if let Err(error) = copy_all(&*from, &*to) {
        // Half a copy is none.
        disk.remove(&path)?;
        return Err(error);
    }
    let entries = disk.list(dir)?;
    let named = entries.iter().filter_map(|entry| {
        let (at_ms, of) = parse(&entry.name)?;
        (of.is_own() == cause.is_own()).then_some((at_ms, &entry.name))
    });
    let mut copies: Vec<(i64, &String)> = named.collect();
    copies.sort_unstable();
    for (_, old) in copies.iter().take(copies.len().saturating_sub(COPIES_MAX)) {
        disk.remove(&dir.join(old))?;
    }
    Ok(path)
}

/// When and why a copy of this name was made; `None` if it is none.
fn parse(name: &str) -> Option<(i64, CopyCause)> {
    let (at_ms, cause) = name.strip_prefix(PREFIX)?.strip_suffix(EXTENSION)?.split_once('-')?;
    let cause = CopyCause::ALL.into_iter().find(|known| known.name() == cause)?;
    Some((at_ms.parse().ok()?, cause))
}

fn copy_all(from: &dyn DiskFile, to: &dyn DiskFile) -> io::Result<()> {
    let len = from.len()?;
    to.set_len(len)?;
    let mut bytes = vec![0; CHUNK];
    let mut at = 0;
    while at < len {
        let read = from.read_at(&mut bytes, at)?;
        if read == 0 {
            break;
        }
        // Places that nothing was written to take no room.
        if bytes[..read].iter().any(|byte| *byte != 0) {
            to.write_at(&bytes[..read], at)?;
        }
        at += read as u64;
    }
    Ok(())
}
