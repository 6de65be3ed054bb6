//! The files of the CommitLog: all of one size, named by the position of their first byte.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blockhouse_disk::{Disk, DiskFile, FileMap};
use parking_lot::{Mutex, RwLock};

use crate::Error;

/// One file of the log.
#[derive(Debug)]
pub(crate) struct Segment {
    /// The position of its first byte.
    pub(crate) base: u64,
    /// The file.
    pub(crate) file: Arc<dyn DiskFile>,
    map: Mutex<Option<FileMap>>,
}

impl Segment {
    /// The map of the whole file, made when first needed.
    pub(crate) fn map(&self, size: u64) -> std::io::Result<FileMap> {
        let mut map = self.map.lock();
        if let Some(map) = &*map {
            return Ok(map.clone());
        }
        let new = self.file.map(size)?;
        *map = Some(new.clone());
        Ok(new)
    }

    fn unmap(&self) {
        drop(self.map.lock().take());
    }
}

/// All files of the log, without gaps.
#[derive(Debug)]
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Bytes per file.
    pub(crate) size: u64,
    list: RwLock<Vec<Arc<Segment>>>,
    /// Where the last file ends: room is reserved up to here.
    prepared: AtomicU64,
    preparing: Mutex<()>,
}

/// The name of the file that begins at `base`.
pub(crate) fn file_name(base: u64) -> String {
    format!("{base:020}")
}

/// The position that a file name says, if it is one.
pub(crate) fn parse_name(name: &str) -> Option<u64> {
    (name.len() == 20 && name.bytes().all(|b| b.is_ascii_digit())).then(|| name.parse().ok())?
}

impl Segments {
    /// Opens what is there, and changes nothing: the last file may be too short until
    /// [`Segments::complete`].
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, size: u64) -> Result<Self, Error> {
        let found: Vec<_> = disk
            .list(dir)
            .map_err(Error::io("list", dir))?
            .into_iter()
            .filter_map(|entry| Some((parse_name(&entry.name)?, entry)))
            .collect();
        let mut list = Vec::with_capacity(found.len());
        for (i, (base, entry)) in found.iter().enumerate() {
            let path = dir.join(&entry.name);
            let format = |problem: String| Error::Format { path: path.clone(), problem };
            let expected = found[0].0 + i as u64 * size;
            if *base != expected || base % size != 0 {
                return Err(format(format!(
                    "expected a CommitLog file at {expected}, as segment_size is {size}. Where \
                     storePathCommitLog names several directories, move all files into one"
                )));
            }
            let last = i + 1 == found.len();
            if entry.len > size || (entry.len < size && !last) {
                let problem = format!("is {} bytes long, segment_size is {size}", entry.len);
                return Err(format(problem));
            }
            let file = disk.open(&path).map_err(Error::io("open", &path))?;
            list.push(Arc::new(Segment { base: *base, file, map: Mutex::new(None) }));
        }
        let end = list.last().map_or(0, |last| last.base + size);
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            size,
            list: RwLock::new(list),
            prepared: AtomicU64::new(end),
            preparing: Mutex::new(()),
        })
    }

    /// Gives the last file its length, which a crash while it was made leaves short. What it held,
    /// if it held anything, must be known not to be missed.
    pub(crate) fn complete(&self) -> Result<(), Error> {
        let list = self.list.read();
        let Some(last) = list.last() else { return Ok(()) };
        let path = self.path(last.base);
        if last.file.len().map_err(Error::io("read", &path))? < self.size {
            last.file.allocate(self.size).map_err(Error::io("allocate", &path))?;
        }
        Ok(())
    }

    /// Where the log begins; `None` without files.
    pub(crate) fn first(&self) -> Option<u64> {
        self.list.read().first().map(|segment| segment.base)
    }

    /// How many files there are.
    pub(crate) fn count(&self) -> usize {
        self.list.read().len()
    }

    /// Up to where there are files with reserved room.
    pub(crate) fn prepared(&self) -> u64 {
        self.prepared.load(Ordering::Acquire)
    }

    /// The file that holds `at`.
    pub(crate) fn holding(&self, at: u64) -> Option<Arc<Segment>> {
        let list = self.list.read();
        let i = at.checked_sub(list.first()?.base)? / self.size;
        list.get(usize::try_from(i).ok()?).cloned()
    }

    /// All files, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Segment>> {
        self.list.read().clone()
    }

    pub(crate) fn path(&self, base: u64) -> PathBuf {
        self.dir.join(file_name(base))
    }

    /// Makes files with reserved room so that the log can grow to `end`.
    pub(crate) fn prepare(&self, end: u64) -> Result<(), Error> {
        let _one_at_a_time = self.preparing.lock();
        while self.prepared() < end {
            let base = self.prepared();
            let path = self.path(base);
            let file = self.disk.create(&path).map_err(Error::io("create", &path))?;
            // Its length must be there after a crash before the file after it can be.
            if let Err(e) = file.allocate(self.size).and_then(|()| file.sync_data()) {
                if let Err(e) = self.disk.remove(&path) {
                    tracing::warn!("cannot remove {}: {e}", path.display());
                }
                return Err(Error::io("allocate", &path)(e));
            }
            self.sync_names()?;
            self.list.write().push(Arc::new(Segment { base, file, map: Mutex::new(None) }));
            self.prepared.store(base + self.size, Ordering::Release);
        }
        Ok(())
    }

    /// Removes the first file unless it holds `end` or comes after it.
    pub(crate) fn remove_first(&self, end: u64) -> Result<bool, Error> {
        let _one_at_a_time = self.preparing.lock();
        let first = self.list.read().first().cloned();
        let Some(first) = first.filter(|first| first.base + self.size <= end) else {
            return Ok(false);
        };
        // Readers that hold the file go on; the name is gone before the log's beginning moves.
        let path = self.path(first.base);
        self.disk.remove(&path).map_err(Error::io("remove", &path))?;
        self.list.write().remove(0);
        // Or a crash may bring it back without the file behind it, if that is removed next.
        self.sync_names()?;
        Ok(true)
    }

    fn sync_names(&self) -> Result<(), Error> {
        self.disk.sync_dir(&self.dir).map_err(Error::io("sync", &self.dir))
    }

    /// Makes the log end at `end` for good: zeros behind it, no files behind its file.
    pub(crate) fn cut(&self, end: u64) -> Result<(), Error> {
        let _one_at_a_time = self.preparing.lock();
        let mut list = self.list.write();
        while let Some(last) = list.last().filter(|last| last.base > end) {
            let path = self.path(last.base);
            self.disk.remove(&path).map_err(Error::io("remove", &path))?;
            list.pop();
            // One by one, the last first: whenever a crash comes, no file is missing in between.
            self.sync_names()?;
        }
        if let Some(last) = list.last() {
            let path = self.path(last.base);
            let kept = end.saturating_sub(last.base).min(self.size);
            last.file
                .set_len(kept)
                .and_then(|()| last.file.allocate(self.size))
                .and_then(|()| last.file.sync_data())
                .map_err(Error::io("cut", &path))?;
            self.prepared.store(last.base + self.size, Ordering::Release);
        }
        Ok(())
    }

    /// Makes everything from `start` on durable.
    pub(crate) fn sync_from(&self, start: u64) -> Result<(), Error> {
        for segment in self.all().iter().filter(|segment| segment.base + self.size > start) {
            segment.file.sync_data().map_err(Error::io("sync", &self.path(segment.base)))?;
        }
        Ok(())
    }

    /// Gives maps back of files that end before `hot`.
    pub(crate) fn unmap_before(&self, hot: u64) {
        for segment in &*self.list.read() {
            if segment.base + self.size <= hot {
                segment.unmap();
            }
        }
    }
}
