//! Records onto the disk: appended, synced, counted by signed checkpoints, cut into segments.

mod recover;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_disk::{Disk, DiskFile, LockGuard, whole};
use blockhouse_model::Timestamp;

use crate::Config;
use crate::note::SecretKey;
use crate::recent::{RECENT_MAX, Recent};
use crate::record::{Entry, Own, Place};
use crate::segment::{self, Head};
use crate::tree::{Hash, Tree, leaf};

/// Bytes that are written at once.
const WRITE: usize = 1 << 20;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The end of the log.
#[derive(Clone, Debug)]
struct End {
    tree: Tree,
    /// The last leaf.
    prev: Hash,
    /// Bytes in the open segment.
    len: u64,
}

/// The open segment.
struct Open {
    first: u64,
    records: Arc<dyn DiskFile>,
    notes: Arc<dyn DiskFile>,
    notes_len: u64,
}

/// A segment, by its first record and when that was.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: u64,
    since: Timestamp,
}

/// Writes one log. After an error it is where it was before; [`Writer::mend`] comes next.
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    config: Config,
    key: SecretKey,
    end: End,
    /// The end after the last sync.
    durable: End,
    /// How many records the last checkpoint counts.
    signed: u64,
    checkpoint: String,
    node: String,
    recent: Recent,
    open: Open,
    segments: Vec<Span>,
    /// Whether the file may hold more than it should.
    is_dirty: bool,
    buf: Vec<u8>,
    _lock: Box<dyn LockGuard>,
}

impl Writer {
    /// How many records there are.
    pub(crate) const fn size(&self) -> u64 {
        self.end.tree.size()
    }

    /// Records that no checkpoint counts.
    pub(crate) const fn unsigned(&self) -> u64 {
        self.size() - self.signed
    }

    /// The last checkpoint.
    pub(crate) fn checkpoint_text(&self) -> &str {
        &self.checkpoint
    }

    /// The last records.
    pub(crate) const fn recent(&self) -> &Recent {
        &self.recent
    }

    pub(crate) const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Appends records, all or none; gives the bytes. They are durable after [`Self::sync`].
    pub(crate) fn append(&mut self, entries: &[Entry]) -> io::Result<u64> {
        let mut end = self.end.clone();
        self.buf.clear();
        let kept_from = entries.len().saturating_sub(RECENT_MAX);
        let mut kept = Vec::with_capacity(entries.len() - kept_from);
        for (at, entry) in entries.iter().enumerate() {
            let begin = self.buf.len();
            let (log, number) = (self.key.public().name(), end.tree.size());
            let place = Place { log, node: &self.node, number, prev: &end.prev };
            entry.write(&place, &mut self.buf);
            if at >= kept_from {
                kept.push((number, self.buf[begin..].into()));
            }
            end.prev = leaf(&self.buf[begin..]);
            end.tree.push(end.prev);
            self.buf.push(b'\n');
            if self.buf.len() >= WRITE {
                self.write(&mut end)?;
            }
        }
        self.write(&mut end)?;
        let bytes = end.len - self.end.len;
        self.end = end;
        self.recent.add(kept.into_iter());
        Ok(bytes)
    }

    fn write(&mut self, end: &mut End) -> io::Result<()> {
        if let Err(error) = self.open.records.write_at(&self.buf, end.len) {
            self.is_dirty = true;
            self.cut();
            return Err(error);
        }
        end.len += self.buf.len() as u64;
        self.buf.clear();
        Ok(())
    }

    /// Takes back what stands behind the end, if the disk lets us.
    fn cut(&mut self) {
        if self.open.records.set_len(self.end.len).is_ok() {
            self.is_dirty = false;
        }
    }

    /// Makes all records durable. After an error those that were not are gone: gives how many.
    pub(crate) fn sync(&mut self) -> Result<(), (io::Error, u64)> {
        if self.durable.tree.size() == self.end.tree.size() {
            return Ok(());
        }
        match self.open.records.sync_data() {
            Ok(()) => {
                self.durable = self.end.clone();
                Ok(())
            }
            Err(error) => {
                let lost = self.end.tree.size() - self.durable.tree.size();
                self.end = self.durable.clone();
                self.recent.cut(self.end.tree.size());
                self.is_dirty = true;
                self.cut();
                // Even if the file is shorter now, it is not trusted before it was opened again.
                self.is_dirty = true;
                Err((error, lost))
            }
        }
    }

    /// Makes the file what it should be after a failure.
    pub(crate) fn mend(&mut self) -> io::Result<()> {
        if self.is_dirty {
            let path = segment::records_path(&self.dir, self.open.first);
            self.open.records = self.disk.open(&path)?;
            self.open.records.set_len(self.end.len)?;
            self.open.records.sync_data()?;
            self.is_dirty = false;
        }
        Ok(())
    }

    /// Signs all records, which must be durable.
    pub(crate) fn checkpoint(&mut self) -> io::Result<()> {
        debug_assert_eq!(self.durable.tree.size(), self.end.tree.size());
        let note = self.key.sign(&self.durable.tree);
        let Open { notes, notes_len, .. } = &mut self.open;
        let text = format!("{note}\n");
        if let Err(error) = notes.write_at(text.as_bytes(), *notes_len) {
            // What is torn is written over, or cut by the next start.
            let _as_it_is = notes.set_len(*notes_len);
            return Err(error);
        }
        *notes_len += text.len() as u64;
        self.signed = self.durable.tree.size();
        self.checkpoint = note;
        Ok(())
    }

    /// Makes the checkpoints durable.
    pub(crate) fn sync_checkpoints(&self) -> io::Result<()> {
        self.open.notes.sync_data()
    }

    /// Whether the next record belongs into another segment.
    pub(crate) const fn is_full(&self) -> bool {
        self.end.len >= self.config.segment_bytes
    }

    /// Ends the open segment, all of which must be signed, and begins another one.
    pub(crate) fn rotate(&mut self, now: Timestamp) -> io::Result<()> {
        debug_assert_eq!(self.unsigned(), 0);
        self.sync_checkpoints()?;
        let head = Head { tree: self.end.tree.clone(), prev: self.end.prev };
        let (open, note) = begin(self.disk.as_ref(), &self.dir, &self.key, &head)?;
        self.segments.retain(|span| span.first != open.first);
        self.segments.push(Span { first: open.first, since: now });
        self.open = open;
        self.checkpoint = note;
        self.end.len = 0;
        self.durable.len = 0;
        self.is_dirty = false;
        Ok(())
    }

    /// Whether the open files are still where their names lead to.
    pub(crate) fn replaced(&self) -> io::Result<Option<String>> {
        let first = self.open.first;
        let records = segment::records_path(&self.dir, first);
        for (file, path) in [
            (&self.open.records, &records),
            (&self.open.notes, &segment::tree_path(&self.dir, first)),
        ] {
            if !file.is_at(path)? {
                let name = path.file_name().unwrap_or_default();
                return Ok(Some(name.to_string_lossy().into_owned()));
            }
        }
        Ok(None)
    }

    /// The first record that retention keeps, if anything has to go.
    pub(crate) fn retained(&self, now: Timestamp) -> Option<u64> {
        let days = |days: u32| i64::from(days) * DAY_MS;
        let Config { retention_segments, retention_days, retention_days_min, .. } = self.config;
        let mut first = None;
        for (at, pair) in self.segments.windows(2).enumerate() {
            // No record of a segment is younger than the first one of the next.
            let age = now.0.saturating_sub(pair[1].since.0);
            let is_over = self.segments.len() - at > retention_segments
                || (retention_days != 0 && age >= days(retention_days));
            if !is_over || age < days(retention_days_min) {
                break;
            }
            first = Some(pair[1].first);
        }
        first
    }

    /// Removes the segments below `first`, which a durable record has announced.
    pub(crate) fn remove_below(&mut self, first: u64) -> io::Result<()> {
        for span in self.segments.iter().filter(|span| span.first < first) {
            self.disk.remove(&segment::records_path(&self.dir, span.first))?;
        }
        for tree in segment::list_trees(self.disk.as_ref(), &self.dir)? {
            if tree < first {
                self.disk.remove(&segment::tree_path(&self.dir, tree))?;
            }
        }
        self.segments.retain(|span| span.first >= first);
        Ok(())
    }

    /// The entry that announces it.
    pub(crate) const fn removal(now: Timestamp, below: u64) -> Entry {
        Entry::Own(now, Own::Removed { below })
    }
}

/// Makes the files of a new segment. That of the records comes last: without it there is no segment.
fn begin(
    disk: &dyn Disk,
    dir: &std::path::Path,
    key: &SecretKey,
    head: &Head,
) -> io::Result<(Open, String)> {
    let first = head.tree.size();
    let note = key.sign(&head.tree);
    let text = format!("{}{note}\n", head.text());
    let path = segment::tree_path(dir, first);
    whole::replace_private(disk, &path, text.as_bytes())?;
    let notes = disk.open(&path)?;
    let path = segment::records_path(dir, first);
    // Of a begin that failed: nothing was ever written there.
    disk.remove(&path)?;
    let records = disk.create_private(&path)?;
    disk.sync_dir(dir)?;
    Ok((Open { first, records, notes, notes_len: text.len() as u64 }, note))
}
