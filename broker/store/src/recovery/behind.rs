//! What lies behind the log's end: a torn tail, or records that damage has cut off.

use std::io;
use std::path::PathBuf;

use blockhouse_model::Timestamp;
use blockhouse_record::{Checked, check, layout};

use super::{Found, Recovery, Start};
use crate::Error;
use crate::segments::Segment;

/// Bytes that are looked through at once.
const CHUNK: usize = 1 << 20;
/// Larger records are taken for chance.
const RECORD_MAX: usize = 64 << 20;

/// Whole records behind a place, each at the place that it says it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behind {
    /// How many.
    pub(crate) records: u64,
    /// How many bytes they have.
    pub(crate) bytes: u64,
    /// One of them was on disk, and so was everything before it.
    pub(crate) was_durable: bool,
}

impl Recovery<'_> {
    /// Up to where the log is known to have been on disk.
    fn durable(&self) -> u64 {
        let applied = self.last_stop.own.map_or(0, |own| own.applied);
        applied.max(self.last_stop.flushed.unwrap_or(0))
    }

    /// Refuses a log that ends where it cannot have been torn.
    pub(crate) fn refuse_damage(&self, start: Start) -> Result<(), Error> {
        let durable = self.durable();
        if start.clean || (start.is_ours && durable <= start.at) {
            return Ok(());
        }
        let until = if start.is_ours { durable } else { u64::MAX };
        let found = self.scan(start, until, &mut |_| {})?;
        if found.end < durable {
            let behind = self.behind(found)?;
            return Err(self.damage(found.end, durable, behind));
        }
        if durable == 0 {
            let behind = self.behind(found)?;
            if behind.was_durable {
                return Err(self.damage(found.end, found.end, behind));
            }
        }
        Ok(())
    }

    /// The error for a log that ends at `end` though more was on disk.
    pub(crate) fn damage(&self, end: u64, durable: u64, behind: Behind) -> Error {
        let (path, offset) = self.place(end);
        let Behind { records, bytes, .. } = behind;
        Error::Damaged { path, offset, position: end, durable, records, bytes }
    }

    /// Says what is about to be cut. Gives whether there is anything.
    pub(crate) fn report_tail(&self, found: Found) -> Result<bool, Error> {
        let behind = self.behind(found)?;
        let head = self.head::<8>(found.end)?;
        let is_filler = head[4..] == layout::MAGIC_BLANK.to_be_bytes();
        let is_torn = behind.records > 0 || (head != [0; 8] && !is_filler);
        if is_torn {
            let (path, offset) = self.place(found.end);
            tracing::warn!(
                "{} is torn at byte {offset}: the log ends there, at {}. {} whole records ({} \
                 bytes) behind it were not known to be on disk and are given up",
                path.display(),
                found.end,
                behind.records,
                behind.bytes
            );
        }
        Ok(is_torn)
    }

    /// The file that holds a position, and the place in it.
    fn place(&self, at: u64) -> (PathBuf, u64) {
        let base = at - at % self.segments.size;
        (self.segments.path(base), at - base)
    }

    /// Looks for whole records behind the log's end.
    pub(crate) fn behind(&self, found: Found) -> Result<Behind, Error> {
        let mut behind = Behind::default();
        let newest = self.last_stop.java.physical;
        for segment in self.segments.all() {
            let end = segment.base + self.segments.size;
            if end <= found.end {
                continue;
            }
            let mut search = Search {
                segment: &segment,
                at: found.end.max(segment.base),
                end,
                durable: (found.last_timestamp, newest),
            };
            let result = search.run(&mut behind);
            result.map_err(Error::io("read", &self.segments.path(segment.base)))?;
        }
        Ok(behind)
    }
}

/// Looks through the rest of a file.
struct Search<'a> {
    segment: &'a Segment,
    at: u64,
    end: u64,
    /// A record of this time or later, but before the other, was on disk.
    durable: (Timestamp, Timestamp),
}

impl Search<'_> {
    fn run(&mut self, behind: &mut Behind) -> io::Result<()> {
        self.segment.file.read_ahead(false)?;
        let result = self.look(behind);
        self.segment.file.read_ahead(true)?;
        result
    }

    fn look(&mut self, behind: &mut Behind) -> io::Result<()> {
        let mut buffer = Vec::new();
        // Where the bytes begin that were not read yet. They decide whether to go on: what was read,
        // even of reserved room, counts as written.
        let mut unread = self.at;
        while unread < self.end {
            let Some(next) = self.segment.file.next_data(unread - self.segment.base)? else {
                break;
            };
            let next = self.segment.base + next;
            if next > unread {
                self.at = next;
            }
            self.read(&mut buffer, self.at, CHUNK)?;
            if buffer.len() < layout::HEAD_LEN {
                break;
            }
            let last = buffer.len() - layout::HEAD_LEN;
            // Reserved room reads as zeros, as fast as memory allows.
            let mut inside = if buffer.iter().all(|byte| *byte == 0) { last + 1 } else { 0 };
            while inside <= last {
                let rest = buffer.get(inside..).unwrap_or(&[]);
                inside += self.count(rest, self.at + inside as u64, behind)?;
            }
            unread = (self.at + buffer.len() as u64).max(self.at + inside as u64);
            self.at += inside as u64;
        }
        Ok(())
    }

    fn read(&self, buffer: &mut Vec<u8>, at: u64, len: usize) -> io::Result<()> {
        let left = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        buffer.resize(len.min(left), 0);
        let n = self.segment.file.read_at(buffer, at - self.segment.base)?;
        buffer.truncate(n);
        Ok(())
    }

    /// Counts the record at `at`, of which `rest` is the beginning, if there is one. Gives how far
    /// to go on.
    fn count(&self, rest: &[u8], at: u64, behind: &mut Behind) -> io::Result<usize> {
        let size = super::size_of_next(rest, at).unwrap_or(0);
        if !(layout::FIXED_LEN..=RECORD_MAX).contains(&size) {
            return Ok(1);
        }
        let mut whole = Vec::new();
        if size > rest.len() {
            self.read(&mut whole, at, size)?;
        }
        let record = if whole.is_empty() { rest } else { &whole };
        let Ok(Checked::Message(record)) = check(record) else { return Ok(1) };
        behind.records += 1;
        behind.bytes += size as u64;
        let (from, to) = self.durable;
        behind.was_durable |= record.store_timestamp >= from && record.store_timestamp < to;
        Ok(size)
    }
}
