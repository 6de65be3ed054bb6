//! What the store needs of a log: a growing sequence of bytes with a confirmed part.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::{FileMap, Lent};
use blockhouse_model::{PhysicalOffset, QueueOffset, Timestamp};
use bytes::{Bytes, BytesMut};

use crate::progress::Ticket;
use crate::read::{ColdRead, Purpose};
use crate::{AppendError, Error};

/// Encoded records, back to back.
#[derive(Debug, Default)]
pub struct Encoded {
    /// Their bytes.
    pub bytes: Vec<u8>,
    /// Where each ends in `bytes`.
    pub ends: Vec<usize>,
}

impl Encoded {
    /// Takes everything out; keeps the memory unless it is much.
    pub fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.ends.clear();
        if self.bytes.capacity() > keep {
            self.bytes.shrink_to(keep);
        }
    }

    /// The records.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }
}

/// Called for each record of a burst, in order, under the append lock: record number, its place,
/// and its time; gives its place in the queue.
pub type Place<'a> = dyn FnMut(usize, PhysicalOffset, Timestamp) -> QueueOffset + 'a;

/// Told how far readers may see. Called in order of rising positions, before tickets settle.
pub trait Follower: Send + Sync {
    /// The log is confirmed up to here.
    fn confirmed(&self, to: PhysicalOffset);
}

/// A sync of the log that sends waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Where it began.
    pub from: PhysicalOffset,
    /// Up to where the log is on disk since.
    pub to: PhysicalOffset,
    /// How many messages lie between.
    pub messages: u64,
    /// When it began, with the write before it, on the monotonic clock.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
    /// Whether the disk refused it.
    pub has_failed: bool,
}

/// Told of each sync that sends wait for, before any of them is told. It must not wait.
pub trait FlushWatcher: Send + Sync {
    /// The log was synced, or could not be.
    fn flushed(&self, flushed: &Flushed);
}

/// Where the bytes of the reads of one scan come to lie.
#[derive(Debug)]
pub struct Landing {
    /// What was copied.
    pub copied: BytesMut,
    /// Whether what is in a map may be lent.
    pub(crate) lends: bool,
    /// What may be looked at through a map.
    pub(crate) window: Option<Window>,
}

/// A part of the log that is in memory, as the kernel said a moment ago.
#[derive(Debug)]
pub(crate) struct Window {
    /// The map of its file.
    pub(crate) map: FileMap,
    /// Where the file begins.
    pub(crate) base: u64,
    /// The part, in places of the log.
    pub(crate) resident: Range<u64>,
}

impl Window {
    /// The bytes, if all of them are in memory.
    pub(crate) fn slice(&self, at: u64, len: usize) -> Option<Lent> {
        let end = at.checked_add(len as u64)?;
        if at < self.resident.start || self.resident.end < end {
            return None;
        }
        let start = usize::try_from(at - self.base).ok()?;
        self.map.slice(start..start + len)
    }
}

impl Landing {
    /// From now on everything is copied by system calls.
    pub(crate) fn lend_no_more(&mut self) {
        (self.lends, self.window) = (false, None);
    }

    /// For reads with that purpose.
    #[must_use]
    pub fn new(purpose: Purpose) -> Self {
        Self { copied: BytesMut::new(), lends: purpose == Purpose::Send, window: None }
    }
}

/// Where the bytes of a read are.
#[derive(Debug)]
pub enum Piece {
    /// In a map of the file; only if [`Landing`] was made to send.
    Mapped(Lent),
    /// At the end of the buffer that came with the request.
    Copied,
}

/// Positions of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Where the log begins.
    pub min: PhysicalOffset,
    /// Where the next record goes.
    pub end: PhysicalOffset,
    /// Up to where it is in the page cache.
    pub written: PhysicalOffset,
    /// Up to where it is on disk.
    pub flushed: PhysicalOffset,
    /// When the last record on disk was stored.
    pub flushed_timestamp: Timestamp,
    /// How many files there are.
    pub segments: usize,
    /// How often it was synced.
    pub flushes: u64,
    /// How many reads the disk has failed.
    pub failed_reads: u64,
    /// For how long a write and a sync have been under way; zero if none is.
    pub waits: [Duration; 2],
    /// Whether a write or sync failed.
    pub poisoned: bool,
}

/// A log of records. `LocalLog` is the one on this machine; replication supplies others.
pub trait Log: Send + Sync {
    /// Places all records of a burst, or none, under one lock acquisition; gives their end.
    /// Call [`Log::settle`] after it, or nothing is written.
    ///
    /// # Errors
    /// Why nothing was placed.
    fn append(
        &self,
        records: &Encoded,
        place: &mut Place<'_>,
    ) -> Result<PhysicalOffset, AppendError>;

    /// Sees to it that the log up to `end` gets stored, and gives a ticket for that. `durable`:
    /// wait for what is configured; else only until the bytes have left the process.
    fn settle(&self, end: PhysicalOffset, durable: bool) -> Ticket;

    /// Reads confirmed bytes of one file. `None` if the log does not have all of them. What is not
    /// lent from a map is put at the end of `into.copied`, so that a reader of many records has them
    /// in one piece.
    ///
    /// # Errors
    /// [`Error::WouldBlock`], or what the filesystem says; `into.copied` is then as it was.
    fn read_into(
        &self,
        at: PhysicalOffset,
        len: usize,
        cold: ColdRead,
        into: &mut Landing,
    ) -> Result<Option<Piece>, Error>;

    /// Like [`Log::read_into`], for one record, which is copied.
    ///
    /// # Errors
    /// As there.
    fn read(&self, at: PhysicalOffset, len: usize, cold: ColdRead) -> Result<Option<Bytes>, Error> {
        let mut into = Landing::new(Purpose::Look);
        Ok(self.read_into(at, len, cold, &mut into)?.map(|_copied| into.copied.freeze()))
    }

    /// Up to where readers may see.
    fn confirmed(&self) -> PhysicalOffset;

    /// Where the log begins.
    fn min(&self) -> PhysicalOffset;

    /// Where the file after the one that holds `at` begins.
    fn next_file(&self, at: PhysicalOffset) -> PhysicalOffset;

    /// Positions.
    fn stats(&self) -> LogStats;

    /// Tells `watcher` of syncs from now on. `false`: nobody's send waits for one, or somebody else is told.
    fn watch_flushes(&self, watcher: Arc<dyn FlushWatcher>) -> bool;

    /// Writes and syncs what there is.
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    fn flush(&self) -> Result<(), Error>;

    /// Prepares what will be needed soon, lets go of what is not needed any more.
    ///
    /// # Errors
    /// What the filesystem says.
    fn upkeep(&self) -> Result<(), Error>;

    /// Removes the first file, unless it is the last. Gives whether there was one to remove.
    ///
    /// # Errors
    /// What the filesystem says.
    fn remove_first(&self) -> Result<bool, Error>;

    /// No more appends; everything is written and synced.
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    fn close(&self) -> Result<(), Error>;
}
