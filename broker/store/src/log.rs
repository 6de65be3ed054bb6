//! What the store needs of a log: a growing sequence of bytes with a confirmed part.

use blockhouse_model::{PhysicalOffset, QueueOffset, Timestamp};
use bytes::Bytes;

use crate::progress::Ticket;
use crate::read::ColdRead;
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

    /// Reads confirmed bytes of one file. `None` if the log does not have all of them.
    ///
    /// # Errors
    /// [`Error::WouldBlock`], or what the filesystem says.
    fn read(&self, at: PhysicalOffset, len: usize, cold: ColdRead) -> Result<Option<Bytes>, Error>;

    /// Up to where readers may see.
    fn confirmed(&self) -> PhysicalOffset;

    /// Bytes from here on were written by this process and are read from memory.
    fn hot_from(&self) -> PhysicalOffset;

    /// Where the log begins.
    fn min(&self) -> PhysicalOffset;

    /// Where the file after the one that holds `at` begins.
    fn next_file(&self, at: PhysicalOffset) -> PhysicalOffset;

    /// Positions.
    fn stats(&self) -> LogStats;

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
