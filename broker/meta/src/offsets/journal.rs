//! The journal of commits: what was committed since the file was written.
//!
//! A stream of records that outlives its files: each file begins at some position of the stream.
//! Layout of a file: magic (7), version (1), digest of the file it continues (12), of the one before
//! that (12), CRC-32 of these (4), records.
//!
//! Nothing is synced, so a power cut may leave commits without messages that were stored before
//! them: a message that was sent back, and is nowhere else. So whatever is written ends with where
//! the log ended by then, and what a shorter log contradicts is not believed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blockhouse_disk::{Disk, DiskFile, whole};
use parking_lot::Mutex;

use super::record::{self, Change, Record};
use crate::{Error, LogEnd};

const MAGIC: &[u8; 7] = b"BHOFFS\x00";
const VERSION: u8 = 2;
/// Says nothing of the log.
const VERSION_WITHOUT_LOG: u8 = 1;
const HEAD_LEN: usize = 8 + 2 * Digest::LEN + 4;

/// Most bytes that wait to be written. Beyond it, commits are in memory only until the next
/// [`rotate`](Journal::rotate); only a disk that fails for long brings it about.
const WAITING_MAX: usize = 64 * 1024 * 1024;

/// Tells contents of a file apart: length and CRC-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    len: u64,
    crc: u32,
}

impl Digest {
    const LEN: usize = 12;

    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len() as u64, crc: crc32fast::hash(bytes) }
    }

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (len, crc) = bytes.split_first_chunk::<8>()?;
        let crc = u32::from_le_bytes(crc.try_into().ok()?);
        Some(Self { len: u64::from_le_bytes(*len), crc })
    }
}

/// The end of the stream, in memory.
#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
    /// The stream position of the first of `bytes`.
    start: u64,
    /// From here on, bytes are kept for the next file though they are written.
    cut: Option<u64>,
    /// The stream position up to which it is ended, by [`Record::Log`].
    sealed: u64,
    /// Changes were left out.
    overflown: bool,
}

impl Tail {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The bytes from a position on.
    fn from(&self, position: u64) -> &[u8] {
        let skip = usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.bytes.get(skip..).unwrap_or_default()
    }

    /// Forgets the bytes before a position, but none after the cut.
    fn forget(&mut self, position: u64) {
        let position = self.cut.map_or(position, |cut| cut.min(position));
        let count = usize::try_from(position.saturating_sub(self.start)).unwrap_or(0);
        let count = count.min(self.bytes.len());
        self.bytes.drain(..count);
        self.start += count as u64;
    }
}

/// The file that is written.
#[derive(Debug)]
struct Current {
    file: Arc<dyn DiskFile>,
    /// The stream position of the file's first record.
    base: u64,
    /// Reused for writing.
    buf: Vec<u8>,
}

impl Current {
    fn place(&self, position: u64) -> u64 {
        HEAD_LEN as u64 + (position - self.base)
    }
}

/// Where the log of messages ends, for those who were told that theirs is stored; with a journal of
/// no broker, nobody knows.
pub(super) type Log = Option<LogEnd>;

/// The journal. Locks are taken in the order `current`, `tail`.
pub(super) struct Journal {
    log: Log,
    disk: Arc<dyn Disk>,
    path: PathBuf,
    current: Mutex<Current>,
    tail: Mutex<Tail>,
    /// The stream position up to which the file holds it. Changed with `current` held.
    written: AtomicU64,
    /// The stream's end.
    end: AtomicU64,
}

/// What a journal on disk said.
#[derive(Debug, Default)]
pub(super) struct Replay(Vec<u8>);

impl Replay {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || record::take(&mut rest)).filter_map(|record| match record {
            Record::Change(change) => Some(change),
            Record::Continues(_) | Record::Log(_) => None,
        })
    }
}

impl Journal {
    /// Reads the journal on disk, keeps what it says if it continues a file of contents `base`, and
    /// begins a new one with that.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        path: PathBuf,
        base: Digest,
        log: Log,
    ) -> Result<(Self, Replay), Error> {
        let bytes = whole::read(&*disk, &path).map_err(|e| Error::disk("read", &path, e))?;
        let log_end = log.as_ref().map_or(u64::MAX, |log| log());
        let replay = bytes.map_or_else(Replay::default, |bytes| replay(&bytes, base, log_end));
        let file = begin(&*disk, &path, (base, base), &replay.0)?;
        let end = replay.0.len() as u64;
        let journal = Self {
            log,
            disk,
            path,
            current: Mutex::new(Current { file, base: 0, buf: Vec::new() }),
            tail: Mutex::new(Tail { start: end, sealed: end, ..Tail::default() }),
            written: AtomicU64::new(end),
            end: AtomicU64::new(end),
        };
        Ok((journal, replay))
    }

    /// Adds a change, in memory.
    pub(super) fn push(&self, change: &Change<'_>) {
        self.append(&Record::Change(*change));
    }

    fn append(&self, record: &Record<'_>) {
        let mut tail = self.tail.lock();
        if tail.bytes.len() > WAITING_MAX {
            if !std::mem::replace(&mut tail.overflown, true) {
                tracing::error!("the journal of offsets cannot be written and is full");
            }
            return;
        }
        record.write(&mut tail.bytes);
        self.end.store(tail.end(), Ordering::Release);
    }

    /// Ends what was added, if anything was; gives the stream's end. Under the lock of the tail:
    /// whatever a change rests on was stored before it was added.
    fn seal(&self, tail: &mut Tail) -> u64 {
        if tail.sealed < tail.end() {
            let log_end = self.log.as_ref().map_or(0, |log| log());
            Record::Log(log_end).write(&mut tail.bytes);
            tail.sealed = tail.end();
            self.end.store(tail.sealed, Ordering::Release);
        }
        tail.end()
    }

    /// Writes what was added.
    pub(super) fn flush(&self) -> Result<(), Error> {
        let end = self.end.load(Ordering::Acquire);
        if self.written.load(Ordering::Acquire) >= end {
            return Ok(());
        }
        let mut current = self.current.lock();
        let from = self.written.load(Ordering::Acquire);
        let mut buf = std::mem::take(&mut current.buf);
        buf.clear();
        let to = {
            let mut tail = self.tail.lock();
            tail.forget(from);
            let to = self.seal(&mut tail);
            buf.extend_from_slice(tail.from(from));
            to
        };
        let result =
            if buf.is_empty() { Ok(()) } else { current.file.write_at(&buf, current.place(from)) };
        current.buf = buf;
        result.map_err(|e| Error::disk("write", &self.path, e))?;
        self.written.store(to, Ordering::Release);
        Ok(())
    }

    /// From now on changes are kept for the next journal.
    pub(super) fn cut(&self) {
        let mut tail = self.tail.lock();
        tail.cut = Some(tail.end());
        tail.overflown = false;
    }

    /// There is no next journal.
    pub(super) fn abandon_cut(&self) {
        self.tail.lock().cut = None;
    }

    /// Notes that this journal also continues a file of these contents, which is about to be
    /// written.
    pub(super) fn continues(&self, next: Digest) -> Result<(), Error> {
        self.append(&Record::Continues(next));
        self.flush()
    }

    /// Begins a journal with the changes since the cut, which continues `base`.
    pub(super) fn rotate(&self, base: Digest, previous: Digest) -> Result<(), Error> {
        let mut current = self.current.lock();
        let (cut, to, records) = {
            let mut tail = self.tail.lock();
            let Some(cut) = tail.cut.take() else {
                return Ok(());
            };
            let to = self.seal(&mut tail);
            (cut, to, tail.from(cut).to_vec())
        };
        // Should this fail, the old journal goes on: it says that it continues `base`, too.
        let file = begin(&*self.disk, &self.path, (base, previous), &records)?;
        *current = Current { file, base: cut, buf: Vec::new() };
        self.written.store(to, Ordering::Release);
        Ok(())
    }

    pub(super) fn len(&self) -> u64 {
        let current = self.current.lock();
        current.place(self.written.load(Ordering::Acquire))
    }
}

/// Puts a new journal in the place of the old one. Not synced: after a power failure the file that
/// it continues is what counts.
fn begin(
    disk: &dyn Disk,
    path: &std::path::Path,
    (base, previous): (Digest, Digest),
    records: &[u8],
) -> Result<Arc<dyn DiskFile>, Error> {
    let mut bytes = Vec::with_capacity(HEAD_LEN + records.len());
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    bytes.extend_from_slice(&base.to_bytes());
    bytes.extend_from_slice(&previous.to_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes.extend_from_slice(records);
    let tmp = whole::with_suffix(path, ".tmp");
    let put = || {
        let file = disk.create(&tmp)?;
        file.set_len(0)?;
        file.write_at(&bytes, 0)?;
        disk.rename(&tmp, path)?;
        Ok(file)
    };
    put().map_err(|e| Error::disk("write", path, e))
}

/// What of a journal applies to a file of contents `base` and a log that ends at `log_end`, without
/// what follows damage.
pub(super) fn replay(bytes: &[u8], base: Digest, log_end: u64) -> Replay {
    let Some(Head { version, continued, records }) = read_head(bytes) else {
        if !bytes.is_empty() {
            tracing::warn!("the journal of offsets is damaged and left out");
        }
        return Replay::default();
    };
    let (mut rest, mut believed) = (records, 0);
    let mut applies = continued.contains(&base);
    while let Some(record) = record::take(&mut rest) {
        match record {
            Record::Continues(digest) => applies |= digest == base,
            Record::Log(end) if end > log_end => {
                tracing::warn!("the journal of offsets is ahead of the log: its end is left out");
                break;
            }
            Record::Log(_) => believed = records.len() - rest.len(),
            Record::Change(_) => {}
        }
    }
    if !applies {
        tracing::warn!("the journal of offsets continues another file and is left out");
        return Replay::default();
    }
    if version == VERSION_WITHOUT_LOG {
        let mut all = records[..records.len() - rest.len()].to_vec();
        // It is written as one that is to be believed.
        Record::Log(0).write(&mut all);
        return Replay(all);
    }
    // Every record sets what it names, so replaying from before `base` ends at the same place.
    Replay(records[..believed].to_vec())
}

/// The beginning of a file, and what follows it.
struct Head<'a> {
    version: u8,
    continued: [Digest; 2],
    records: &'a [u8],
}

fn read_head(bytes: &[u8]) -> Option<Head<'_>> {
    let (head, records) = bytes.split_at_checked(HEAD_LEN)?;
    let (body, crc) = head.split_at_checked(HEAD_LEN - 4)?;
    if crc32fast::hash(body) != u32::from_le_bytes(crc.try_into().ok()?) {
        return None;
    }
    let (version, digests) = body.strip_prefix(MAGIC)?.split_first()?;
    if ![VERSION, VERSION_WITHOUT_LOG].contains(version) {
        return None;
    }
    let (base, previous) = digests.split_at_checked(Digest::LEN)?;
    let continued = [Digest::from_bytes(base)?, Digest::from_bytes(previous)?];
    Some(Head { version: *version, continued, records })
}
