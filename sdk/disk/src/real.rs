//! The operating system's files.
#![expect(clippy::disallowed_methods, reason = "this is the door that the ban points to")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Disk, DiskFile, Entry, FileMap, LockGuard, Space, Window, sys};

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile {
    file: File,
    /// The longest map there ever was: the file must not get shorter.
    mapped: AtomicU64,
}

#[derive(Debug)]
struct RealLock(File);

impl LockGuard for RealLock {}

impl Drop for RealLock {
    /// Closing alone would leave the lock to a child process that has not reached its `exec` yet.
    fn drop(&mut self) {
        drop(sys::lock_first_byte(&self.0, sys::Lock::None));
    }
}

impl RealDisk {
    /// Makes a directory and those above it, if they are not there.
    ///
    /// # Errors
    /// The operating system's.
    pub fn make_dir(dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }
}

fn missing_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn open_file(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)
}

fn open_or_create(path: &Path) -> io::Result<File> {
    match open_file(path, true) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir)?;
            }
            open_file(path, true)
        }
        other => other,
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = match open_file(path, false) {
            // To be read at least: on a disk that has become read-only, say.
            Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(path)?,
            other => other?,
        };
        Ok(Arc::new(RealFile { file, mapped: AtomicU64::new(0) }))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = File::open(path)?;
        Ok(Arc::new(RealFile { file, mapped: AtomicU64::new(0) }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile { file: open_or_create(path)?, mapped: AtomicU64::new(0) }))
    }

    fn create_private(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        // Made with its mode, not changed to it: at no moment may others open it.
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Arc::new(RealFile { file, mapped: AtomicU64::new(0) }))
    }

    fn is_private(&self, path: &Path) -> io::Result<bool> {
        Ok(fs::metadata(path)?.permissions().mode() & 0o077 == 0)
    }

    fn create_private_dir(&self, dir: &Path) -> io::Result<()> {
        if let Some(above) = dir.parent() {
            fs::create_dir_all(above)?;
        }
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    fn is_own(&self, path: &Path) -> io::Result<bool> {
        let meta = fs::symlink_metadata(path)?;
        let is_either = meta.is_file() || meta.is_dir();
        Ok(is_either && meta.uid() == sys::user() && meta.permissions().mode() & 0o022 == 0)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let found = match fs::read_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut entries = Vec::new();
        for entry in found {
            let entry = entry?;
            // Names that are not UTF-8 are none of ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let meta = entry.metadata()?;
            let len = if meta.is_dir() { 0 } else { meta.len() };
            entries.push(Entry { name, len, is_dir: meta.is_dir() });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        missing_is_fine(fs::remove_file(path))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        missing_is_fine(fs::remove_dir_all(dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.remove(to)?;
        fs::hard_link(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        sys::sync_filesystem(&File::open(path)?)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        sys::space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let file = open_or_create(path)?;
        sys::lock_first_byte(&file, sys::Lock::Exclusive)?;
        // RocketMQ writes this word into its lock file.
        file.write_all_at(b"lock", 0)?;
        Ok(Box::new(RealLock(file)))
    }

    fn lock_shared(&self, path: &Path) -> io::Result<Option<Box<dyn LockGuard>>> {
        let file = match File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        sys::lock_first_byte(&file, sys::Lock::Shared)?;
        Ok(Some(Box::new(RealLock(file))))
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.file.read_at(&mut buf[done..], at + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn read_now(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match sys::read_now(&self.file, &mut buf[done..], at + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A filesystem that cannot say is treated as one that would have to wait.
                Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn write_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        // After a short write the next one says what the matter is.
        self.file.write_all_at(buf, at)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match sys::allocate(&self.file, len) {
            // Some network filesystems cannot reserve.
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                if self.len()? < len {
                    self.file.set_len(len)
                } else {
                    Ok(())
                }
            }
            other => other,
        }
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let there = match fs::metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        let own = self.file.metadata()?;
        Ok((there.dev(), there.ino()) == (own.dev(), own.ino()))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len < self.mapped.load(Ordering::Acquire) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file is mapped"));
        }
        self.file.set_len(len)
    }

    fn read_ahead(&self, on: bool) -> io::Result<()> {
        sys::advise(&self.file, !on)
    }

    fn next_data(&self, at: u64) -> io::Result<Option<u64>> {
        let len = self.len()?;
        if at >= len {
            return Ok(None);
        }
        match sys::next_data(&self.file, at) {
            Err(e) if e.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            // A filesystem that does not know its holes.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Ok(Some(at)),
            other => other.map(Some),
        }
    }

    fn zero_from(&self, at: u64) -> io::Result<()> {
        let len = self.len()?;
        match sys::punch_hole(&self.file, at, len.saturating_sub(at)) {
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                crate::write_zeros(self, at, len)
            }
            other => other,
        }
    }

    fn map(&self, len: u64) -> io::Result<FileMap> {
        self.mapped.fetch_max(len, Ordering::AcqRel);
        if self.len()? < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        crate::map::map(&self.file, len)
    }

    fn window(&self, len: u64) -> io::Result<Window> {
        self.mapped.fetch_max(len, Ordering::AcqRel);
        if self.len()? < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        crate::window::map(&self.file, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whole;

    #[test]
    fn a_private_file_is_new_and_its_owners_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        RealDisk.create_private(&path).unwrap().write_at(b"s", 0).unwrap();
        assert!(RealDisk.is_private(&path).unwrap());
        let again = RealDisk.create_private(&path).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(!RealDisk.is_private(&path).unwrap(), "{mode:o}");
        }
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).unwrap();
        assert!(RealDisk.create_private(&link).is_err());
    }

    #[test]
    fn a_file_knows_whether_its_name_still_leads_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = RealDisk.create(&path).unwrap();
        assert!(file.is_at(&path).unwrap());
        RealDisk.rename(&path, &dir.path().join("away")).unwrap();
        assert!(!file.is_at(&path).unwrap());
        RealDisk.create(&path).unwrap();
        assert!(!file.is_at(&path).unwrap());
        RealDisk.rename(&dir.path().join("away"), &path).unwrap();
        assert!(file.is_at(&path).unwrap());
    }

    #[test]
    fn what_others_may_write_or_redirect_is_not_own() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("a/own");
        RealDisk.create_private_dir(&own).unwrap();
        RealDisk.create_private_dir(&own).unwrap();
        assert!(RealDisk.is_private(&own).unwrap());
        let file = own.join("f");
        whole::replace_private(&RealDisk, &file, b"first").unwrap();
        whole::replace_private(&RealDisk, &file, b"2").unwrap();
        assert_eq!(whole::read(&RealDisk, &file).unwrap().unwrap(), b"2");
        assert_eq!(RealDisk.list(&own).unwrap().len(), 1);
        assert!(RealDisk.is_private(&file).unwrap());
        for path in [&own, &file] {
            assert!(RealDisk.is_own(path).unwrap());
            for (mode, is_own) in [(0o722, false), (0o720, false), (0o702, false), (0o755, true)] {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
                assert_eq!(RealDisk.is_own(path).unwrap(), is_own, "{mode:o}");
            }
        }
        let link = own.join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(!RealDisk.is_own(&link).unwrap());
        let missing = RealDisk.is_own(&own.join("none")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn writes_are_read_back_by_every_way_of_reading() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.create(&dir.path().join("a/b/c")).unwrap();
        file.allocate(8192).unwrap();
        file.write_at(b"hello", 4094).unwrap();
        let mut buf = [0; 5];
        assert_eq!(file.read_at(&mut buf, 4094).unwrap(), 5);
        assert_eq!(&buf, b"hello");
        let mut now = [0; 5];
        match file.read_now(&mut now, 4094) {
            Ok(n) => assert_eq!((n, &now), (5, b"hello")),
            Err(e) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
        }
        let map = file.map(8192).unwrap();
        map.slice(4094..4099).unwrap().copy_to(0, &mut buf).unwrap();
        assert_eq!(&buf, b"hello");
        assert!(map.slice(8192..8193).is_none());
        assert_eq!(file.read_at(&mut buf, 8190).unwrap(), 2);
        assert!(file.set_len(10).is_err(), "a mapped file must not get shorter");
        assert!(file.map(8193).is_err());
    }

    #[test]
    fn what_the_disk_no_longer_gives_is_not_resident() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = RealDisk.create(&path).unwrap();
        let len = 3 << 20;
        file.write_at(&vec![7; len], 0).unwrap();
        let map = file.map(len as u64).unwrap();
        assert_eq!(map.resident(0..len), len, "just written");
        assert_eq!(map.resident(5_000..len - 1), len - 5_001);
        assert_eq!((map.resident(9..9), map.resident(1..len + 1)), (0, 0));
        let mut all = vec![0; len];
        map.slice(0..len).unwrap().copy_to(0, &mut all).unwrap();
        assert!(all.iter().all(|byte| *byte == 7));
        // Somebody else empties the file.
        OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        assert_eq!((map.resident(0..len), map.resident(5_000..5_001)), (0, 0));
    }

    #[test]
    fn zeroed_parts_keep_the_length_and_are_no_data() {
        let dir = tempfile::tempdir().unwrap();
        let sim = crate::MemDisk::new();
        let crash = crate::CrashDisk::new();
        for disk in [&RealDisk as &dyn Disk, &sim, &crash] {
            let file = disk.create(&dir.path().join("f")).unwrap();
            file.write_at(&[7; 20_000], 0).unwrap();
            file.set_len(1 << 20).unwrap();
            file.zero_from(9_000).unwrap();
            assert_eq!(file.len().unwrap(), 1 << 20);
            let mut buf = [9; 20_000];
            assert_eq!(file.read_at(&mut buf, 0).unwrap(), 20_000);
            assert!(buf[..9_000].iter().all(|b| *b == 7) && buf[9_000..].iter().all(|b| *b == 0));
            assert_eq!(file.next_data(100).unwrap(), Some(100));
            file.write_at(&[1], 900_000).unwrap();
            let next = file.next_data(100_000).unwrap().unwrap();
            assert!((100_000..=900_000).contains(&next), "{next}");
            assert_eq!(file.next_data(1 << 20).unwrap(), None);
        }
    }

    #[test]
    fn a_lock_is_held_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = RealDisk.lock(&path).unwrap();
        assert_eq!(RealDisk.lock(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(RealDisk.lock_shared(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        RealDisk.lock(&path).unwrap();
    }

    #[test]
    fn a_lock_that_is_given_up_does_not_stay_with_a_copy_of_its_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let file = open_or_create(&dir.path().join("lock")).unwrap();
        sys::lock_first_byte(&file, sys::Lock::Exclusive).unwrap();
        let _as_a_forked_child_has_it = file.try_clone().unwrap();
        drop(RealLock(file));
        RealDisk.lock(&dir.path().join("lock")).unwrap();
    }

    #[test]
    fn a_shared_lock_keeps_owners_out_and_makes_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(RealDisk.lock_shared(&path).unwrap().is_none());
        assert!(!RealDisk.exists(&path));
        drop(RealDisk.lock(&path).unwrap());
        let shared = [RealDisk.lock_shared(&path).unwrap(), RealDisk.lock_shared(&path).unwrap()];
        assert!(shared.iter().all(Option::is_some));
        assert_eq!(RealDisk.lock(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(shared);
        RealDisk.lock(&path).unwrap();
    }

    #[test]
    fn holes_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.create(&dir.path().join("f")).unwrap();
        file.set_len(8 << 20).unwrap();
        file.write_at(b"x", 5 << 20).unwrap();
        let next = file.next_data(0).unwrap().unwrap();
        assert!(next <= 5 << 20, "{next}");
        assert!(matches!(file.next_data(5 << 20), Ok(Some(at)) if at == 5 << 20));
        assert_eq!(file.next_data(8 << 20).unwrap(), None);
        let read = RealDisk.open_read(&dir.path().join("f")).unwrap();
        assert!(read.write_at(b"y", 0).is_err());
    }

    #[test]
    fn missing_things_are_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let none = dir.path().join("none");
        assert_eq!(RealDisk.list(&none).unwrap(), []);
        RealDisk.remove(&none).unwrap();
        RealDisk.remove_dir(&none).unwrap();
        assert!(RealDisk.open(&none).is_err());
        assert!(RealDisk.space(dir.path()).unwrap().total > 0);
    }
}
