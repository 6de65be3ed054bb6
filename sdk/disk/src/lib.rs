//! The only door to files: real ones, and simulated ones for tests.
//!
//! A part that keeps state on disk takes an `Arc<dyn Disk>` and never names `std::fs`, so that a
//! simulation can stand in its place and drop what was not synced. Writes are positioned and whole
//! ([`DiskFile::write_at`] is an error if it is short); durability is asked for by name
//! ([`DiskFile::sync_data`], [`Disk::sync_dir`]), never implied.
//!
//! All hand-written `unsafe` code of the project lives here (maps, the system calls that `std` lacks, and the
//! handler of the signal that says that a mapped page is lost), but for the line in `plugins/host` that takes
//! compiled plugins in.
//!
//! What this crate does not do: caching, formats, retries. A failed sync is reported once; the
//! caller must stop trusting the file.
//!
//! | module | holds |
//! |---|---|
//! | [`real`] | [`RealDisk`] |
//! | [`mem`] | [`MemDisk`] for tests |
//! | [`crash`] | [`CrashDisk`] for tests: what a power cut could leave |
//! | [`Window`] | a file's beginning that threads write into as into memory |
//! | [`whole`] | whole small files: read, replace, RocketMQ's `.bak` |

pub mod crash;
mod guard;
mod map;
pub mod mem;
pub mod real;
mod sys;
pub mod whole;
mod window;

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

pub use crash::{CrashDisk, Crashes};
pub use map::Lent;
pub use mem::MemDisk;
pub use real::RealDisk;
pub use window::Window;

/// Raises this process's limit of open files as far as it may be raised; gives what it is then.
///
/// # Errors
/// What the operating system says.
pub fn raise_open_files() -> io::Result<u64> {
    sys::raise_open_files()
}

/// Limits the address space of this process, and of what it becomes by `exec`.
///
/// # Errors
/// What the operating system says.
pub fn limit_memory(bytes: u64) -> io::Result<()> {
    sys::limit_memory(bytes)
}

/// Takes everything from this process that computing alone does not need: from now on it opens no
/// files, writes none, starts no threads, has this much address space and time of the processor,
/// and ends with the process that started it.
///
/// # Errors
/// What the operating system says.
pub fn confine(memory: u64, processor_seconds: u64) -> io::Result<()> {
    sys::confine(memory, processor_seconds)
}

/// One thing in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without the directory.
    pub name: String,
    /// Its length in bytes; 0 for directories.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Room on the filesystem that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that this process may still use.
    pub free: u64,
}

impl Space {
    /// How full the filesystem is, in percent from 0 to 100.
    #[must_use]
    pub fn used_percent(self) -> u64 {
        let used = self.total.saturating_sub(self.free);
        used.saturating_mul(100).checked_div(self.total).unwrap_or(0)
    }
}

/// Held for as long as the file lock is.
pub trait LockGuard: Send + Sync + Debug {}

/// A filesystem, real or simulated.
pub trait Disk: Send + Sync + Debug {
    /// Opens an existing file for reading and writing; on a read-only filesystem for reading.
    ///
    /// # Errors
    /// What the filesystem says.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file that is only going to be read, so that read-only filesystems will do.
    ///
    /// # Errors
    /// What the filesystem says.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path)
    }

    /// Opens a file for reading and writing, making it (empty) and its directories if missing.
    ///
    /// # Errors
    /// What the filesystem says.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes a new file that only its owner may read, for secrets, and opens it.
    ///
    /// # Errors
    /// `AlreadyExists` if there is something of that name; else what the filesystem says.
    fn create_private(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        if self.exists(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.create(path)
    }

    /// Whether nobody but its owner may read or write a file.
    ///
    /// # Errors
    /// What the filesystem says.
    fn is_private(&self, path: &Path) -> io::Result<bool> {
        self.open_read(path).map(|_| true)
    }

    /// Makes a directory that only its owner may enter, and those above it as usual. One that is
    /// there already stays as it is.
    ///
    /// # Errors
    /// What the filesystem says.
    fn create_private_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Whether `path` is a file or a directory, no link to one, that belongs to this process's user
    /// and that nobody else may write.
    ///
    /// # Errors
    /// What the filesystem says.
    fn is_own(&self, path: &Path) -> io::Result<bool> {
        if self.exists(path) { Ok(true) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// What is in a directory, sorted by name; nothing if there is no such directory.
    ///
    /// # Errors
    /// What the filesystem says.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;

    /// Whether there is a file or directory at `path`.
    fn exists(&self, path: &Path) -> bool;

    /// Removes a file; a missing one is no error.
    ///
    /// # Errors
    /// What the filesystem says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all in it; a missing one is no error.
    ///
    /// # Errors
    /// What the filesystem says.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Gives a file another name, in place of what has that name.
    ///
    /// # Errors
    /// What the filesystem says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, in place of what has that name.
    ///
    /// # Errors
    /// What the filesystem says.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in `dir` durable.
    ///
    /// # Errors
    /// What the filesystem says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes everything on the filesystem of `path` durable (`syncfs`).
    ///
    /// # Errors
    /// What the filesystem says.
    fn sync_all(&self, path: &Path) -> io::Result<()>;

    /// Room on the filesystem of `path`, which must exist.
    ///
    /// # Errors
    /// What the filesystem says.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Takes the lock file at `path`, which Java's `FileChannel.tryLock` of one byte excludes too.
    ///
    /// # Errors
    /// `WouldBlock` if another process holds it; else what the filesystem says.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>>;

    /// Keeps others from taking the lock file at `path`, but not from sharing it so. Changes
    /// nothing on the disk: without such a file there is nothing to share.
    ///
    /// # Errors
    /// `WouldBlock` if another process holds it; else what the filesystem says.
    fn lock_shared(&self, path: &Path) -> io::Result<Option<Box<dyn LockGuard>>> {
        self.lock(path).map(Some)
    }
}

/// An open file. All positions are bytes from its start.
pub trait DiskFile: Send + Sync + Debug {
    /// Reads up to `buf.len()` bytes, waiting for the disk; fewer only at the file's end.
    ///
    /// # Errors
    /// What the filesystem says.
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize>;

    /// Reads up to `buf.len()` bytes if they are in memory.
    ///
    /// # Errors
    /// `WouldBlock` if the disk would have to be waited for; else what the filesystem says.
    fn read_now(&self, buf: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes all of `buf` with one system call.
    ///
    /// # Errors
    /// `WriteZero` if the write was short; else what the filesystem says.
    fn write_at(&self, buf: &[u8], at: u64) -> io::Result<()>;

    /// Makes contents and length durable (`fdatasync`).
    ///
    /// # Errors
    /// What the filesystem says. The caller must not take a later success for a repair.
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves room for `len` bytes from the start, so that writes there cannot run out of space,
    /// and makes the file at least that long.
    ///
    /// # Errors
    /// What the filesystem says, `StorageFull` above all.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Whether `path` still leads to this file: not removed, not another one in its place.
    ///
    /// # Errors
    /// What the filesystem says.
    fn is_at(&self, _path: &Path) -> io::Result<bool> {
        Ok(true)
    }

    /// The file's length.
    ///
    /// # Errors
    /// What the filesystem says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file is empty.
    ///
    /// # Errors
    /// What the filesystem says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends the file (extended parts read as zeros).
    ///
    /// # Errors
    /// What the filesystem says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The first place from `at` on that may hold something else than zeros; `None` if only zeros
    /// follow. What was never written need not be read to know it.
    ///
    /// # Errors
    /// What the filesystem says.
    fn next_data(&self, at: u64) -> io::Result<Option<u64>> {
        Ok((at < self.len()?).then_some(at))
    }

    /// Whether the system reads more than it is asked for. What it has read of reserved room counts
    /// as written for [`DiskFile::next_data`].
    ///
    /// # Errors
    /// What the filesystem says.
    fn read_ahead(&self, on: bool) -> io::Result<()> {
        let _nothing_to_do = on;
        Ok(())
    }

    /// Makes everything from `at` on read as zeros. The length stays what it is, at every moment.
    ///
    /// # Errors
    /// What the filesystem says.
    fn zero_from(&self, at: u64) -> io::Result<()> {
        write_zeros(self, at, self.len()?)
    }

    /// The first `len` bytes, for reading. Later writes show through where the disk is real.
    ///
    /// Only bytes that no one writes any more may be looked at, and the file must never get shorter
    /// while the map or a slice of it lives.
    ///
    /// # Errors
    /// What the filesystem says.
    fn map(&self, len: u64) -> io::Result<FileMap>;

    /// The first `len` bytes, to be written as memory is. The file must have room for them
    /// ([`DiskFile::allocate`]), and never get shorter while the window lives.
    ///
    /// # Errors
    /// What the filesystem says; `Unsupported` where there are none.
    fn window(&self, _len: u64) -> io::Result<Window> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn write_zeros<F: DiskFile + ?Sized>(file: &F, mut at: u64, end: u64) -> io::Result<()> {
    let zeros = [0; 16 << 10];
    while at < end {
        let n = usize::try_from(end - at).unwrap_or(usize::MAX).min(zeros.len());
        file.write_at(&zeros[..n], at)?;
        at += n as u64;
    }
    Ok(())
}

/// A map of a file's beginning; cheap to clone, and so are its slices.
#[derive(Clone)]
pub struct FileMap(FileMapKind);

#[derive(Clone)]
enum FileMapKind {
    Real(Bytes),
    Sim(Arc<dyn DiskFile>),
}
