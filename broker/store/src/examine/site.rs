//! The directory that is looked at, its lock, and what its files do not tell.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blockhouse_disk::{Disk, LockGuard};
use blockhouse_model::{DelayLevels, names};

use crate::Error;
use crate::checkpoint::Marks;

/// What is going to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only reading; several may at a time.
    Read,
    /// Changing files.
    Write,
}

/// What the files do not tell.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the CommitLog is. Nothing: in `commitlog`.
    pub commit_log_dir: Option<PathBuf>,
    /// Bytes per CommitLog file. Nothing: what most files have.
    pub segment_size: Option<u64>,
    /// Entries per ConsumeQueue file. Nothing: what most files have, or RocketMQ's own.
    pub queue_file_entries: Option<u64>,
    /// Hash slots per IndexFile. Nothing: a quarter of its entries, or RocketMQ's own.
    pub index_slots: Option<u32>,
    /// Messages are not indexed, so nothing of the index is looked at.
    pub no_index: bool,
    /// The waiting times of the delay levels.
    pub delay_levels: DelayLevels,
    /// The topics that exist, if that is known: others were deleted.
    pub topics: Option<BTreeSet<String>>,
}

/// A data directory on which no broker works for as long as this lives.
pub struct Site {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) log_dir: PathBuf,
    pub(super) options: Options,
    pub(super) access: Access,
    pub(super) marks: Marks,
}

/// There is no lock file, so nobody ever worked on the directory.
#[derive(Debug)]
struct NoLock;

impl LockGuard for NoLock {}

impl Site {
    /// Keeps brokers away from a directory.
    ///
    /// # Errors
    /// There is no such directory, a broker works on it, or the filesystem refuses.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        access: Access,
    ) -> Result<Self, Error> {
        if !disk.exists(dir) {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(Error::io("open", dir)(missing));
        }
        let path = dir.join("lock");
        let lock = match access {
            Access::Read => disk.lock_shared(&path),
            Access::Write => disk.lock(&path).map(Some),
        };
        let lock = lock.map_err(|e| match e.kind() {
            std::io::ErrorKind::WouldBlock => Error::InUse(dir.to_owned()),
            _ => Error::io("lock", &path)(e),
        })?;
        let lock: Box<dyn LockGuard> = lock.unwrap_or_else(|| Box::new(NoLock));
        let marks = Marks::with_lock(Arc::clone(&disk), dir, lock);
        let log_dir = options.commit_log_dir.clone().unwrap_or_else(|| dir.join("commitlog"));
        Ok(Self { disk, dir: dir.to_owned(), log_dir, options, access, marks })
    }

    /// The path without the data directory, for findings.
    pub(super) fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.dir).unwrap_or(path).display().to_string()
    }

    /// Whether the topic exists, as far as is known.
    pub(super) fn has_topic(&self, topic: &str) -> bool {
        let known = self.options.topics.as_ref();
        known.is_none_or(|topics| topics.contains(topic) || names::is_system_topic(topic))
    }
}
