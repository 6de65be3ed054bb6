//! A disk that remembers what was made durable and rebuilds what a crash could leave.
//!
//! [`CrashDisk`] works like any disk and writes down every write, change of length, change of names
//! and sync. [`Crashes`] goes through that history again; at every point of it [`Crashes::image`]
//! gives a disk as a power cut at that point could have left it:
//!
//! - What was synced is there: contents and length of a file after [`DiskFile::sync_data`], names
//!   after [`Disk::sync_dir`], everything after [`Disk::sync_all`].
//! - Of what was not synced, any part is: every 4 KiB page has the contents of some moment since it
//!   was last synced, whatever other pages and files have; one page may be torn at 512-byte sectors;
//!   every changed length and every changed name is kept or lost. A file whose new length was kept
//!   and whose pages were not reads as zeros.
//!
//! What is kept is a function of a seed. Directories are there as long as something is in them.

mod content;
mod image;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::mem::PAGE_U64;
use crate::{Disk, DiskFile, Entry, FileMap, FileMapKind, LockGuard, Space};
use content::Content;
pub use image::Crashes;

/// A file, whatever its names are.
type Inode = usize;

/// One thing that happened.
#[derive(Clone, Debug)]
enum Event {
    Write { inode: Inode, at: u64, bytes: Arc<[u8]> },
    SetLen { inode: Inode, len: u64 },
    Names { changes: Vec<(PathBuf, Option<Inode>)> },
    Sync { inode: Inode },
    SyncDir { dir: PathBuf },
    SyncAll,
}

/// A disk in memory that remembers its history. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct CrashDisk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    locks: Mutex<Vec<PathBuf>>,
}

/// What a process sees, and how it came to be.
#[derive(Clone, Debug, Default)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, Inode>,
    /// The state before the first event: all of it is durable.
    base: Base,
    events: Vec<Event>,
}

/// Files and names that no crash takes away.
#[derive(Clone, Debug, Default)]
struct Base {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, Inode>,
}

#[derive(Debug)]
struct CrashFile {
    disk: Arc<Shared>,
    inode: Inode,
}

#[derive(Debug)]
struct CrashLock(Arc<Shared>, PathBuf);

impl LockGuard for CrashLock {}

impl Drop for CrashLock {
    fn drop(&mut self) {
        self.0.locks.lock().retain(|path| *path != self.1);
    }
}

impl CrashDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that holds exactly this, durably, and has no history.
    fn holding(base: Base) -> Self {
        let state = State {
            files: base.files.clone(),
            names: base.names.clone(),
            base,
            events: Vec::new(),
        };
        Self(Arc::new(Shared { state: Mutex::new(state), locks: Mutex::default() }))
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> usize {
        self.0.state.lock().events.len()
    }

    /// The history up to now, to crash in.
    #[must_use]
    pub fn crashes(&self) -> Crashes {
        let state = self.0.state.lock();
        Crashes::new(state.base.clone(), state.events.clone())
    }

    /// What a killed process leaves: everything is in the page cache, and taken for durable.
    #[must_use]
    pub fn killed(&self) -> Self {
        let state = self.0.state.lock();
        Self::holding(Base { files: state.files.clone(), names: state.names.clone() })
    }

    fn file(&self, inode: Inode) -> Arc<dyn DiskFile> {
        Arc::new(CrashFile { disk: Arc::clone(&self.0), inode })
    }
}

impl State {
    fn names(&mut self, changes: Vec<(PathBuf, Option<Inode>)>) {
        if changes.is_empty() {
            return;
        }
        for (path, inode) in &changes {
            match inode {
                Some(inode) => self.names.insert(path.clone(), *inode),
                None => self.names.remove(path),
            };
        }
        self.events.push(Event::Names { changes });
    }

    fn find(&self, path: &Path) -> io::Result<Inode> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for CrashDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.0.state.lock().find(path)?;
        Ok(self.file(inode))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.state.lock();
        let inode = if let Ok(inode) = state.find(path) {
            inode
        } else {
            state.files.push(Content::default());
            let inode = state.files.len() - 1;
            state.names(vec![(path.to_owned(), Some(inode))]);
            inode
        };
        drop(state);
        Ok(self.file(inode))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let state = self.0.state.lock();
        let mut entries: Vec<Entry> = Vec::new();
        for (path, inode) in &state.names {
            let Ok(rest) = path.strip_prefix(dir) else { continue };
            let mut parts = rest.iter().map(|part| part.to_string_lossy().into_owned());
            let Some(name) = parts.next() else { continue };
            if entries.iter().any(|known| known.name == name) {
                continue;
            }
            let is_dir = parts.next().is_some();
            let len = if is_dir { 0 } else { state.files[*inode].len() };
            entries.push(Entry { name, len, is_dir });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.state.lock().names.keys().any(|name| name.starts_with(path))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.state.lock();
        if state.names.contains_key(path) {
            state.names(vec![(path.to_owned(), None)]);
        }
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.state.lock();
        let inside: Vec<_> = state.names.keys().filter(|p| p.starts_with(dir)).cloned().collect();
        // One by one: a crash may come in between.
        for path in inside {
            state.names(vec![(path, None)]);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.state.lock();
        let inode = state.find(from)?;
        state.names(vec![(from.to_owned(), None), (to.to_owned(), Some(inode))]);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.state.lock();
        let inode = state.find(from)?;
        state.names(vec![(to.to_owned(), Some(inode))]);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.state.lock().events.push(Event::SyncDir { dir: dir.to_owned() });
        Ok(())
    }

    fn sync_all(&self, _: &Path) -> io::Result<()> {
        self.0.state.lock().events.push(Event::SyncAll);
        Ok(())
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        Ok(Space { total: 1 << 40, free: 1 << 40 })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let mut locks = self.0.locks.lock();
        if locks.iter().any(|held| held == path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        locks.push(path.to_owned());
        Ok(Box::new(CrashLock(Arc::clone(&self.0), path.to_owned())))
    }
}

impl DiskFile for CrashFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        Ok(self.disk.state.lock().files[self.inode].read(buf, at))
    }

    fn read_now(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        self.read_at(buf, at)
    }

    fn write_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.files[self.inode].write(buf, at);
        state.events.push(Event::Write { inode: self.inode, at, bytes: buf.into() });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.state.lock().events.push(Event::Sync { inode: self.inode });
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if self.len()? < len { self.set_len(len) } else { Ok(()) }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state.lock().files[self.inode].len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.files[self.inode].set_len(len);
        state.events.push(Event::SetLen { inode: self.inode, len });
        Ok(())
    }

    fn next_data(&self, at: u64) -> io::Result<Option<u64>> {
        let state = self.disk.state.lock();
        let file = &state.files[self.inode];
        let next = file.numbers_from(at / PAGE_U64).first().map(|n| (n * PAGE_U64).max(at));
        Ok(next.filter(|next| *next < file.len()))
    }

    fn map(&self, len: u64) -> io::Result<FileMap> {
        if self.len()? < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let same = Self { disk: Arc::clone(&self.disk), inode: self.inode };
        Ok(FileMap(FileMapKind::Sim(Arc::new(same))))
    }
}

#[cfg(test)]
mod tests;
