//! Files in memory, for tests: shared by all clones, with a size limit and injected failures.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex, RwLock};

use crate::{Disk, DiskFile, Entry, FileMap, FileMapKind, LockGuard, Space, Window};

/// Files in memory. Clones share them. Parts of files that were never written take no memory.
#[derive(Clone, Debug, Default)]
pub struct MemDisk(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    files: Mutex<BTreeMap<PathBuf, MemFile>>,
    locks: Mutex<Vec<PathBuf>>,
    failures: Arc<Failures>,
    space: Mutex<Option<Space>>,
}

#[derive(Debug, Default)]
struct Failures {
    reads: AtomicBool,
    writes: AtomicBool,
    syncs: AtomicBool,
    full: AtomicBool,
    cold: AtomicBool,
    descriptors: AtomicBool,
    sync_count: AtomicU64,
    write_count: AtomicU64,
    held: Mutex<bool>,
    released: Condvar,
}

pub(crate) const PAGE: usize = 4096;
pub(crate) const PAGE_U64: u64 = PAGE as u64;

/// A file in memory; clones are the same file.
#[derive(Clone, Debug)]
struct MemFile(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    contents: RwLock<Contents>,
    failures: Arc<Failures>,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    pages: BTreeMap<u64, Box<[u8]>>,
    len: u64,
}

impl MemDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on, reads fail or succeed.
    pub fn fail_reads(&self, fail: bool) {
        self.0.failures.reads.store(fail, Ordering::SeqCst);
    }

    /// From now on, writes fail or succeed.
    pub fn fail_writes(&self, fail: bool) {
        self.0.failures.writes.store(fail, Ordering::SeqCst);
    }

    /// From now on, syncs fail or succeed.
    pub fn fail_syncs(&self, fail: bool) {
        self.0.failures.syncs.store(fail, Ordering::SeqCst);
    }

    /// From now on, syncs wait, until this is called with `false`.
    pub fn hold_syncs(&self, hold: bool) {
        *self.0.failures.held.lock() = hold;
        self.0.failures.released.notify_all();
    }

    /// From now on, allocations fail for lack of room, or succeed.
    pub fn fail_allocations(&self, fail: bool) {
        self.0.failures.full.store(fail, Ordering::SeqCst);
    }

    /// From now on, whatever needs a descriptor finds none (`EMFILE`), or does.
    pub fn deny_descriptors(&self, deny: bool) {
        self.0.failures.descriptors.store(deny, Ordering::SeqCst);
    }

    /// From now on, reads that may not wait are refused, or allowed.
    pub fn cool_down(&self, cold: bool) {
        self.0.failures.cold.store(cold, Ordering::SeqCst);
    }

    /// Sets the room that [`Disk::space`] reports.
    pub fn set_space(&self, space: Space) {
        *self.0.space.lock() = Some(space);
    }

    /// How many syncs of files there were.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.0.failures.sync_count.load(Ordering::SeqCst)
    }

    /// How many writes to files there were.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.0.failures.write_count.load(Ordering::SeqCst)
    }

    /// An independent copy of all files as they are now, without locks: what a killed process
    /// leaves in the page cache.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let copy = Self::new();
        for (path, file) in self.0.files.lock().iter() {
            let contents = RwLock::new(file.0.contents.read().clone());
            let failures = Arc::clone(&copy.0.failures);
            let file = MemFile(Arc::new(Shared { contents, failures }));
            copy.0.files.lock().insert(path.clone(), file);
        }
        copy
    }

    /// The paths of all files.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.0.files.lock().keys().cloned().collect()
    }
}

#[derive(Debug)]
struct MemLock(Arc<Inner>, PathBuf);

impl LockGuard for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        self.0.locks.lock().retain(|path| *path != self.1);
    }
}

impl Disk for MemDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.failures.descriptor()?;
        let files = self.0.files.lock();
        let file = files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(file.clone()))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.failures.descriptor()?;
        let mut files = self.0.files.lock();
        let file = files.entry(path.to_owned()).or_insert_with(|| {
            let failures = Arc::clone(&self.0.failures);
            MemFile(Arc::new(Shared { contents: RwLock::default(), failures }))
        });
        Ok(Arc::new(file.clone()))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.0.failures.descriptor()?;
        let mut entries: Vec<Entry> = Vec::new();
        for (path, file) in self.0.files.lock().iter() {
            let Ok(rest) = path.strip_prefix(dir) else { continue };
            let mut parts = rest.iter().map(|part| part.to_string_lossy().into_owned());
            let Some(name) = parts.next() else { continue };
            let is_dir = parts.next().is_some();
            if entries.last().is_some_and(|last| last.name == name) {
                continue;
            }
            let len = if is_dir { 0 } else { file.0.contents.read().len };
            entries.push(Entry { name, len, is_dir });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.files.lock().keys().any(|file| file.starts_with(path))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.files.lock().remove(path);
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.failures.descriptor()?;
        self.0.files.lock().retain(|path, _| !path.starts_with(dir));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.0.files.lock();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.0.files.lock();
        let file = files.get(from).ok_or(io::ErrorKind::NotFound)?.clone();
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.0.failures.descriptor()?;
        self.0.failures.sync()
    }

    fn sync_all(&self, _: &Path) -> io::Result<()> {
        self.0.failures.descriptor()?;
        self.0.failures.sync()
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        Ok(self.0.space.lock().unwrap_or(Space { total: 1 << 40, free: 1 << 40 }))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let mut locks = self.0.locks.lock();
        if locks.iter().any(|held| held == path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        locks.push(path.to_owned());
        Ok(Box::new(MemLock(Arc::clone(&self.0), path.to_owned())))
    }
}

impl Failures {
    fn descriptor(&self) -> io::Result<()> {
        const EMFILE: i32 = 24;
        let denied = self.descriptors.load(Ordering::SeqCst);
        if denied { Err(io::Error::from_raw_os_error(EMFILE)) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_count.fetch_add(1, Ordering::SeqCst);
        self.released.wait_while(&mut self.held.lock(), |held| *held);
        if self.syncs.load(Ordering::SeqCst) { Err(io::Error::other("injected")) } else { Ok(()) }
    }
}

/// The parts of `range` that lie in one page each: page number, place in the page, place in range.
pub(crate) fn pages(
    at: u64,
    len: usize,
) -> impl Iterator<Item = (u64, Range<usize>, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done >= len {
            return None;
        }
        let pos = at + done as u64;
        let inside = usize::try_from(pos % PAGE_U64).ok()?;
        let n = (PAGE - inside).min(len - done);
        let part = (pos / PAGE_U64, inside..inside + n, done..done + n);
        done += n;
        Some(part)
    })
}

impl DiskFile for MemFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        if self.0.failures.reads.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected"));
        }
        let contents = self.0.contents.read();
        let there = contents.len.saturating_sub(at).min(buf.len() as u64);
        let there = usize::try_from(there).unwrap_or(buf.len());
        for (page, inside, part) in pages(at, there) {
            match contents.pages.get(&page) {
                Some(bytes) => buf[part].copy_from_slice(&bytes[inside]),
                None => buf[part].fill(0),
            }
        }
        Ok(there)
    }

    fn read_now(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        if self.0.failures.cold.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.read_at(buf, at)
    }

    fn write_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        if self.0.failures.writes.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected"));
        }
        self.0.failures.write_count.fetch_add(1, Ordering::SeqCst);
        let mut contents = self.0.contents.write();
        for (page, inside, part) in pages(at, buf.len()) {
            let page = contents.pages.entry(page).or_insert_with(|| vec![0; PAGE].into());
            page[inside].copy_from_slice(&buf[part]);
        }
        contents.len = contents.len.max(at + buf.len() as u64);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.failures.sync()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if self.0.failures.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut contents = self.0.contents.write();
        contents.len = contents.len.max(len);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.contents.read().len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut contents = self.0.contents.write();
        let kept = len.div_ceil(PAGE_U64);
        contents.pages.retain(|page, _| *page < kept);
        let inside = usize::try_from(len % PAGE_U64).unwrap_or(0);
        if let Some(last) = contents.pages.get_mut(&(len / PAGE_U64)) {
            last[inside..].fill(0);
        }
        contents.len = len;
        Ok(())
    }

    fn next_data(&self, at: u64) -> io::Result<Option<u64>> {
        let contents = self.0.contents.read();
        let next = contents.pages.range(at / PAGE_U64..).next();
        Ok(next.map(|(page, _)| at.max(page * PAGE_U64)).filter(|next| *next < contents.len))
    }

    fn map(&self, len: u64) -> io::Result<FileMap> {
        if self.0.contents.read().len < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(FileMap(FileMapKind::Sim(Arc::new(self.clone()))))
    }

    fn window(&self, len: u64) -> io::Result<Window> {
        if self.0.contents.read().len < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Window::simulated(Arc::new(self.clone()), len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_behave_like_files() {
        let disk = MemDisk::new();
        let file = disk.create(Path::new("/d/sub/f")).unwrap();
        file.write_at(b"hello", 4094).unwrap();
        assert_eq!(file.len().unwrap(), 4099);
        let mut buf = [9; 8];
        assert_eq!(file.read_at(&mut buf, 4092).unwrap(), 7);
        assert_eq!(&buf[..7], b"\0\0hello");
        file.map(4099).unwrap().slice(4094..4099).unwrap().copy_to(0, &mut buf[..5]).unwrap();
        assert_eq!(&buf[..5], b"hello");
        file.set_len(4095).unwrap();
        file.set_len(5000).unwrap();
        assert_eq!(file.read_at(&mut buf, 4092).unwrap(), 8);
        assert_eq!(&buf, b"\0\0h\0\0\0\0\0");
        let entries = disk.list(Path::new("/d")).unwrap();
        assert_eq!(entries, [Entry { name: "sub".into(), len: 0, is_dir: true }]);
        assert!(disk.exists(Path::new("/d/sub")) && !disk.exists(Path::new("/d/su")));
        file.set_len(1 << 20).unwrap();
        assert_eq!(file.next_data(7).unwrap(), Some(7));
        assert_eq!(file.next_data(8192).unwrap(), None);
    }

    #[test]
    fn a_snapshot_stands_still() {
        let disk = MemDisk::new();
        let file = disk.create(Path::new("/f")).unwrap();
        file.write_at(b"old", 0).unwrap();
        let copy = disk.snapshot();
        file.write_at(b"new", 0).unwrap();
        let mut buf = [0; 3];
        copy.open(Path::new("/f")).unwrap().read_at(&mut buf, 0).unwrap();
        assert_eq!(&buf, b"old");
    }

    #[test]
    fn injected_failures_come_and_go() {
        let disk = MemDisk::new();
        let file = disk.create(Path::new("/f")).unwrap();
        disk.fail_writes(true);
        disk.fail_syncs(true);
        disk.fail_allocations(true);
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.sync_data().is_err());
        assert_eq!(file.allocate(1).unwrap_err().kind(), io::ErrorKind::StorageFull);
        disk.fail_writes(false);
        disk.fail_syncs(false);
        file.write_at(b"x", 0).unwrap();
        file.sync_data().unwrap();
    }
}
