//! Small files as a whole.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::Disk;

/// Largest file that [`read`] reads.
pub const LEN_MAX: u64 = 1 << 30;

/// `path` with more text at its end.
#[must_use]
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// All bytes of the file, `None` if there is no such file.
///
/// # Errors
/// What the filesystem says, and files over 1 GiB.
pub fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_up_to(disk, path, LEN_MAX)
}

/// The same of a file that has at most `max` bytes, which is asked before memory is taken for it.
///
/// # Errors
/// What the filesystem says, and longer files.
pub fn read_up_to(disk: &dyn Disk, path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open_read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let len = file.len()?;
    if len > max {
        let text = format!("has {len} bytes, more than {max}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    let n = file.read_at(&mut bytes, 0)?;
    bytes.truncate(n);
    Ok(Some(bytes))
}

/// Puts `bytes` in place of the file's contents so that after a crash either the old or the new
/// contents are there: written to `path.tmp`, synced, renamed, directory synced.
///
/// # Errors
/// What the filesystem says; the old contents are still there then.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let tmp = with_suffix(path, ".tmp");
    let file = disk.create(&tmp)?;
    file.set_len(0)?;
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    drop(file);
    disk.rename(&tmp, path)?;
    path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))
}

/// As [`replace`], with a file that only its owner may read.
///
/// # Errors
/// What the filesystem says; the old contents are still there then.
pub fn replace_private(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let tmp = with_suffix(path, ".tmp");
    // What a crash left, or what somebody put there.
    disk.remove(&tmp)?;
    let file = disk.create_private(&tmp)?;
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    drop(file);
    disk.rename(&tmp, path)?;
    path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))
}

/// As [`replace`], and keeps the former contents as `path.bak`, as RocketMQ does for `config/*`.
///
/// # Errors
/// What the filesystem says; the old contents are still there then.
pub fn replace_keeping(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    if disk.exists(path) {
        let next_bak = with_suffix(path, ".bak.tmp");
        disk.link(path, &next_bak)?;
        disk.rename(&next_bak, &with_suffix(path, ".bak"))?;
        // After a crash between these lines and the next, both names are of one file, and then a
        // rename leaves the third.
        disk.remove(&next_bak)?;
    }
    replace(disk, path, bytes)
}

/// All bytes of the file or, if it is missing, empty or refused by `accept`, of its `.bak`.
///
/// # Errors
/// What the filesystem says.
pub fn read_or_bak<T>(
    disk: &dyn Disk,
    path: &Path,
    accept: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    for path in [path.to_owned(), with_suffix(path, ".bak")] {
        let bytes = read(disk, &path)?.filter(|bytes| !bytes.is_empty());
        if let Some(value) = bytes.and_then(|bytes| accept(&bytes)) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemDisk, RealDisk};

    #[test]
    fn the_former_contents_become_the_bak() {
        let dir = tempfile::tempdir().unwrap();
        let mem = MemDisk::new();
        for (disk, root) in [(&RealDisk as &dyn Disk, dir.path()), (&mem, Path::new("/m"))] {
            let path = root.join("config/topics.json");
            assert_eq!(read(disk, &path).unwrap(), None);
            replace_keeping(disk, &path, b"first, longer").unwrap();
            replace_keeping(disk, &path, b"second").unwrap();
            replace_keeping(disk, &path, b"third").unwrap();
            assert_eq!(read(disk, &path).unwrap().unwrap(), b"third");
            assert_eq!(read(disk, &with_suffix(&path, ".bak")).unwrap().unwrap(), b"second");
            let good = |b: &[u8]| b.starts_with(b"sec").then(|| b.to_vec());
            assert_eq!(read_or_bak(disk, &path, good).unwrap().unwrap(), b"second");
            let names: Vec<_> =
                disk.list(&root.join("config")).unwrap().into_iter().map(|e| e.name).collect();
            assert_eq!(names, ["topics.json", "topics.json.bak"]);
        }
    }

    #[test]
    fn a_crash_before_the_new_contents_leaves_no_litter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("topics.json");
        replace_keeping(&RealDisk, &path, b"first").unwrap();
        RealDisk.link(&path, &with_suffix(&path, ".bak")).unwrap();
        replace_keeping(&RealDisk, &path, b"second").unwrap();
        let names: Vec<_> =
            RealDisk.list(dir.path()).unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["topics.json", "topics.json.bak"]);
        let bak = read(&RealDisk, &with_suffix(&path, ".bak")).unwrap().unwrap();
        assert_eq!(bak, b"first");
    }

    #[test]
    fn a_failed_write_leaves_the_old_contents() {
        let disk = MemDisk::new();
        let path = Path::new("/f");
        replace(&disk, path, b"old").unwrap();
        disk.fail_writes(true);
        assert!(replace(&disk, path, b"new").is_err());
        disk.fail_writes(false);
        disk.fail_syncs(true);
        assert!(replace(&disk, path, b"new").is_err());
        assert_eq!(read(&disk, path).unwrap().unwrap(), b"old");
    }
}
