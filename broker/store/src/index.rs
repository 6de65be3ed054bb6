//! The index by key: RocketMQ's IndexFile format, written behind by one thread.
//!
//! Dispatch only appends to a list in memory ([`Index::put`]). The background thread moves the list
//! into the newest file's cached pages ([`Index::absorb`]) and, at checkpoints, writes those
//! ([`Index::write_out`]). Queries absorb first, so they see every dispatched message.

mod file;
mod name;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use blockhouse_disk::Disk;
use blockhouse_model::Clock;
use blockhouse_model::java::{java_hash, java_hash_on};
use parking_lot::Mutex;

use crate::Error;
use crate::worker::Signal;
use file::IndexFile;
pub(crate) use file::{ENTRY_LEN, Entry, HEADER_LEN, Header, SLOT_LEN, Shape};
pub(crate) use name::{in_utc as name_at, is_name};

/// Backlog at which the background thread is woken early.
const WAKE_AT: usize = 1 << 15;
/// Entries of a chain that one query follows in one file.
const CHAIN_MAX: usize = 1 << 20;

/// The end of the year 2099, in milliseconds since 1970: no message was stored later. Not the time
/// of this machine's clock, which may be wrong or not be the one that the messages were stored by.
const TIME_MAX: i64 = 4_102_444_799_999;

/// What to do about a file that cannot be used.
const REBUILD: &str = "it is damaged: `blockhouse admin store check` shows what is wrong, and \
                       `blockhouse admin store repair --yes` builds the index anew from the log";

/// One key of one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put {
    pub(crate) hash: u32,
    pub(crate) physical: u64,
    pub(crate) store_timestamp: i64,
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Find {
    pub(crate) hash: u32,
    pub(crate) begin: i64,
    pub(crate) end: i64,
}

/// The index by key.
pub(crate) struct Index {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    shape: Shape,
    clock: Arc<dyn Clock>,
    enabled: bool,
    queue: Mutex<Vec<Put>>,
    backlog: AtomicUsize,
    signal: Arc<Signal>,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    list: Vec<IndexFile>,
    spare: Vec<Put>,
    put_since_write: bool,
}

/// What RocketMQ makes of a Java hash before it uses it as a key hash.
const fn positive(hash: i32) -> u32 {
    // Java's abs(MIN_VALUE) is negative, which RocketMQ turns into 0.
    if hash == i32::MIN { 0 } else { hash.unsigned_abs() }
}

/// The key hash of `topic#key`.
pub(crate) fn key_hash(topic: &str, key: &str) -> u32 {
    key_hash_on(java_hash_on(java_hash(topic), "#"), key)
}

/// The key hash of `topic#key`, going on from Java's hash of `topic#`.
pub(crate) fn key_hash_on(topic_hash: i32, key: &str) -> u32 {
    positive(java_hash_on(topic_hash, key))
}

/// Whether a message can have been stored then. A record's checksum covers its body only, so that
/// what a disk damaged may say anything.
const fn is_time(timestamp: i64) -> bool {
    timestamp > 0 && timestamp <= TIME_MAX
}

impl Index {
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        shape: Shape,
        clock: Arc<dyn Clock>,
        (enabled, signal): (bool, Arc<Signal>),
    ) -> Result<Self, Error> {
        let mut list = Vec::new();
        for entry in disk.list(&dir).map_err(Error::io("list", &dir))? {
            if entry.is_dir || !is_name(&entry.name) {
                continue;
            }
            let path = dir.join(&entry.name);
            // A crash while the file was made: see `remove_empty`.
            if entry.len == 0 {
                continue;
            }
            if entry.len != shape.file_len() {
                let problem = format!(
                    "is {} bytes long, store.index_slots and store.index_entries ask for {}. If \
                     they are what they were when it was written, {REBUILD}",
                    entry.len,
                    shape.file_len()
                );
                return Err(Error::Format { path, problem });
            }
            let file = disk.open(&path).map_err(Error::io("open", &path))?;
            list.push(IndexFile::open(file, path, shape)?);
        }
        Ok(Self {
            disk,
            dir,
            shape,
            clock,
            enabled,
            queue: Mutex::default(),
            backlog: AtomicUsize::new(0),
            signal,
            files: Mutex::new(Files { list, ..Files::default() }),
        })
    }

    /// Removes what a crash left of files that were being made. Not part of opening: a start that is
    /// refused changes nothing.
    pub(crate) fn remove_empty(&self) -> Result<(), Error> {
        for entry in self.disk.list(&self.dir).map_err(Error::io("list", &self.dir))? {
            if !entry.is_dir && is_name(&entry.name) && entry.len == 0 {
                let path = self.dir.join(&entry.name);
                self.disk.remove(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }

    pub(crate) const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Takes keys over. Memory only.
    pub(crate) fn put(&self, puts: &mut Vec<Put>) {
        if puts.is_empty() {
            return;
        }
        let len = {
            let mut queue = self.queue.lock();
            queue.append(puts);
            queue.len()
        };
        let before = self.backlog.swap(len, Ordering::Relaxed);
        if before < WAKE_AT && len >= WAKE_AT {
            self.signal.raise();
        }
    }

    /// How many keys wait to be absorbed.
    pub(crate) fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    /// Moves what was put into the newest file's memory.
    pub(crate) fn absorb(&self) -> Result<(), Error> {
        self.absorb_into(&mut self.files.lock())
    }

    fn absorb_into(&self, files: &mut Files) -> Result<(), Error> {
        let mut puts = std::mem::take(&mut files.spare);
        {
            let mut queue = self.queue.lock();
            std::mem::swap(&mut *queue, &mut puts);
            self.backlog.store(0, Ordering::Relaxed);
        }
        let mut result = Ok(());
        let mut done = 0;
        for put in &puts {
            files.put_since_write = true;
            result = self.put_into(files, *put);
            if result.is_err() {
                break;
            }
            done += 1;
        }
        puts.drain(..done);
        if !puts.is_empty() {
            // Or messages that are in the log would never be found by key.
            let mut queue = self.queue.lock();
            puts.append(&mut queue);
            std::mem::swap(&mut *queue, &mut puts);
            self.backlog.store(queue.len(), Ordering::Relaxed);
        }
        puts.shrink_to(WAKE_AT);
        files.spare = puts;
        result
    }

    fn put_into(&self, files: &mut Files, mut put: Put) -> Result<(), Error> {
        if files.list.last().is_none_or(IndexFile::is_full) {
            self.add_file(files)?;
        }
        let Some(last) = files.list.last_mut() else { return Ok(()) };
        if !is_time(put.store_timestamp) {
            // A file counts all its times from its first: one damaged record would hide the others.
            let before = last.header.end_timestamp;
            put.store_timestamp = if is_time(before) { before } else { self.clock.now().0 };
        }
        // RocketMQ passes over messages that were indexed before, too: recovery dispatches again.
        if put.physical < last.header.end_physical { Ok(()) } else { last.put(put) }
    }

    fn add_file(&self, files: &mut Files) -> Result<(), Error> {
        let mut start = None;
        if let Some(full) = files.list.last_mut() {
            full.write_out()?;
            full.let_go();
            start = Some(full.header);
        }
        let last_name = files.list.last().map(IndexFile::name);
        let path = self.dir.join(name::next(self.clock.now(), last_name.as_deref()));
        let file = self.disk.create(&path).map_err(Error::io("create", &path))?;
        if let Err(e) = file.set_len(self.shape.file_len()) {
            // The next try takes another name.
            self.disk.remove(&path).map_err(Error::io("remove", &path))?;
            return Err(Error::io("extend", &path)(e));
        }
        files.list.push(IndexFile::fresh(file, path, self.shape, start));
        Ok(())
    }

    /// Writes everything that was put to the files, without syncing them.
    pub(crate) fn write_out(&self) -> Result<(), Error> {
        let mut files = self.files.lock();
        self.absorb_into(&mut files)?;
        let is_idle = !std::mem::take(&mut files.put_since_write);
        let Some(last) = files.list.last_mut() else { return Ok(()) };
        last.write_out()?;
        if is_idle {
            last.let_go();
        }
        Ok(())
    }

    /// When and where the newest indexed message was stored; zeros if none is.
    pub(crate) fn last_update(&self) -> (i64, u64) {
        let files = self.files.lock();
        files.list.last().map_or((0, 0), |f| (f.header.end_timestamp, f.header.end_physical))
    }

    /// Gives the places of messages to `accept`, newest first, until that is enough (`false`).
    /// What it gives may be wrong: hashes collide.
    pub(crate) fn find(
        &self,
        find: Find,
        accept: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), Error> {
        let mut files = self.files.lock();
        self.absorb_into(&mut files)?;
        for file in files.list.iter().rev() {
            if file.overlaps(find.begin, find.end) && !file.find(find, CHAIN_MAX, accept)? {
                break;
            }
            if file.header.begin_timestamp < find.begin {
                break;
            }
        }
        Ok(())
    }

    /// Whether the newest file can be what a clean stop left, with the log's end at `limit`.
    pub(crate) fn is_sound(&self, limit: u64) -> Result<bool, Error> {
        self.files.lock().list.last().map_or(Ok(true), |last| last.is_sound(limit))
    }

    /// After an unclean stop: keeps only what is known to be durable, entries of records that lie
    /// before `limit`, and builds the hash slots anew from them.
    pub(crate) fn cut(
        &self,
        limit: u64,
        time_at: &dyn Fn(u64) -> Option<i64>,
    ) -> Result<(), Error> {
        let mut files = self.files.lock();
        let time_at = |at| time_at(at).filter(|time| is_time(*time));
        while let Some(mut last) = files.list.pop() {
            if last.rebuild(limit, &time_at)? {
                files.list.push(last);
                break;
            }
            self.disk.remove(&last.path).map_err(Error::io("remove", &last.path))?;
        }
        Ok(())
    }

    /// Removes files, but never the last, that hold only messages before `log_min`.
    pub(crate) fn expire(&self, log_min: u64) -> Result<usize, Error> {
        let mut files = self.files.lock();
        let mut removed = 0;
        while files.list.len() > 1 && files.list[0].header.end_physical < log_min {
            let path = &files.list[0].path;
            self.disk.remove(path).map_err(Error::io("remove", path))?;
            files.list.remove(0);
            removed += 1;
        }
        Ok(removed)
    }

    /// Removes everything: the log it points into is gone.
    pub(crate) fn remove_all(&self) -> Result<(), Error> {
        let mut files = self.files.lock();
        files.list.clear();
        self.disk.remove_dir(&self.dir).map_err(Error::io("remove", &self.dir))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_hashes_are_rocketmqs() {
        assert_eq!(key_hash("t", "k"), positive(java_hash("t#k")));
        assert_eq!(positive(-5), 5);
        assert_eq!(positive(i32::MIN), 0);
    }
}
