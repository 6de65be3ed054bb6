//! Reading queues: entries first, then the records they point to.

mod lent;
mod passed_over;

use std::ops::Range;

use blockhouse_model::{PhysicalOffset, QueueOffset};
use bytes::Bytes;

use crate::queue::{BLANK_SIZE, Queue, Unit};
use crate::queue_files::Got;
use crate::read::{Accept, ColdRead, ReadOutcome, ReadRequest, ReadStatus};
use crate::store::{Shared, Store};
use crate::verify::{Damage, Expected};
use crate::{
    Error,
    log::{Landing, Log, Piece},
};

pub use lent::LENT_MIN;

/// Entries that are fetched at once.
const FETCH: usize = 64;
/// Room that is made at once for records that have to be copied.
const COPY_ROOM: usize = 64 << 10;
/// Entries that say more than this is one record are damaged.
const RECORD_MAX: u32 = 64 << 20;

impl Store {
    /// Reads a queue.
    pub fn read(&self, request: &ReadRequest<'_>, accept: &mut dyn Accept) -> ReadOutcome {
        let shared = &*self.shared;
        let Some(queue) = shared.queues.find(request.topic, request.queue) else {
            return outcome(ReadStatus::NoSuchQueue, 0, 0, 0);
        };
        let (min, max, from) = (queue.min(), queue.max(), request.from.0);
        if max == 0 {
            outcome(ReadStatus::NoMessages, 0, min, max)
        } else if from < min {
            outcome(ReadStatus::OffsetTooSmall, min, min, max)
        } else if from == max {
            outcome(ReadStatus::OffsetOverflowOne, from, min, max)
        } else if from > max {
            outcome(ReadStatus::OffsetOverflowBadly, max, min, max)
        } else {
            let outcome = outcome(ReadStatus::NoMatch, from, min, max);
            Scan::new(shared, &queue, request, outcome).run(accept)
        }
    }
}

const fn outcome(status: ReadStatus, next: u64, min: u64, max: u64) -> ReadOutcome {
    ReadOutcome {
        status,
        next: QueueOffset(next),
        min: QueueOffset(min),
        max: QueueOffset(max),
        slices: Vec::new(),
        count: 0,
        bytes: 0,
        behind: 0,
    }
}

impl Shared {
    /// Fetches entries of one queue, from memory or from one file.
    pub(crate) fn units(
        &self,
        queue: &Queue,
        from: u64,
        count: usize,
        cold: ColdRead,
        out: &mut Vec<Unit>,
    ) -> Got {
        let in_memory = queue.copy_tail(from, count, out);
        if from >= in_memory {
            return Got::Units;
        }
        let count = usize::try_from(in_memory - from).unwrap_or(count).min(count);
        self.queues.files.read(queue, from, count, cold, out).unwrap_or_else(|e| {
            tracing::error!("cannot read entries of {} {}: {e}", queue.topic, queue.id);
            Got::Failed
        })
    }
}

/// Records that lie together in the log and are to be read at once.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: u64,
    len: usize,
    count: usize,
    /// The offset of the first.
    first: u64,
    /// Bytes of the last. A wrong size leads away from the next record, so it ends a run.
    last: usize,
}

/// Why a scan ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Full,
    WouldBlock,
    /// The disk failed. Nothing is passed over: it is there.
    Failed,
}

impl End {
    fn of(error: &Error, at: u64) -> Self {
        if matches!(error, Error::WouldBlock) {
            return Self::WouldBlock;
        }
        tracing::error!("cannot read the log at {at}: {error}");
        Self::Failed
    }
}

struct Scan<'a> {
    log: &'a dyn Log,
    shared: &'a Shared,
    queue: &'a Queue,
    request: &'a ReadRequest<'a>,
    /// `count` and `bytes` include the open run.
    out: ReadOutcome,
    run: Option<Run>,
    /// Has the records that were copied and are not in `out` yet.
    landing: Landing,
    /// Entries before this place in the log are passed over: their file is gone.
    skip_to: u64,
    last_physical: u64,
    /// Offsets with zeros instead of an entry, which are told together: they may be very many.
    nothing: Range<u64>,
}

impl<'a> Scan<'a> {
    fn new(
        shared: &'a Shared,
        queue: &'a Queue,
        request: &'a ReadRequest<'a>,
        out: ReadOutcome,
    ) -> Self {
        let log = &*shared.log;
        let landing = Landing::new(request.purpose);
        let (skip_to, last_physical, nothing) = (0, 0, 0..0);
        let run = None;
        Self { log, shared, queue, request, out, run, landing, skip_to, last_physical, nothing }
    }

    fn run(mut self, accept: &mut dyn Accept) -> ReadOutcome {
        let wanted = self.request.max_messages as u64;
        let scan = self.shared.config.filter_scan_entries.max(wanted).max(1);
        let scan_end = self.request.from.plus(scan).0.min(self.out.max.0);
        let mut units = Vec::new();
        let mut end = None;
        while end.is_none() && self.out.next.0 < scan_end {
            units.clear();
            let at = self.out.next.0;
            let left = usize::try_from(scan_end - at).unwrap_or(FETCH);
            match self.shared.units(self.queue, at, left.min(FETCH), self.request.cold, &mut units)
            {
                Got::WouldBlock => end = Some(End::WouldBlock),
                Got::Failed => end = Some(End::Failed),
                Got::Units if !units.is_empty() => {
                    // Judged with the one behind it, which the next fetch brings.
                    if units.len() > 1 && at + (units.len() as u64) < scan_end {
                        units.pop();
                    }
                    end = self.take(&units, accept);
                }
                Got::Units | Got::Missing => {
                    if self.out.count == 0 {
                        self.out.status = ReadStatus::OffsetFoundNull;
                        let next = self.shared.queues.files.next_file(at).min(self.out.max.0);
                        self.report_missing(at, next);
                        self.out.next = QueueOffset(next);
                    }
                    end = Some(End::Full);
                }
            }
        }
        end = self.close_run().or(end);
        self.tell_nothing();
        self.push_copied();
        let status = match end {
            Some(End::WouldBlock) => Some(ReadStatus::WouldBlock),
            Some(End::Failed) => Some(ReadStatus::Failed),
            Some(End::Full) | None => None,
        };
        if let Some(status) = status.filter(|_| self.out.count == 0) {
            self.out.status = status;
            self.out.next = self.request.from;
        }
        self.out.behind = PhysicalOffset(self.last_physical).until(self.log.confirmed());
        self.out
    }

    fn take(&mut self, units: &[Unit], accept: &mut dyn Accept) -> Option<End> {
        for (at, unit) in units.iter().enumerate() {
            let size = usize::try_from(unit.size).unwrap_or(usize::MAX);
            let is_full = self.out.count >= self.request.max_messages
                || self.out.bytes.saturating_add(size) > self.request.max_bytes;
            // One message is always given, whatever its size.
            if self.out.count > 0 && is_full {
                return Some(End::Full);
            }
            let offset = self.out.next;
            self.out.next = offset.plus(1);
            self.last_physical = unit.physical;
            if unit.physical < self.skip_to || !accept.entry(unit.tags_code) {
                continue;
            }
            // The entry of a lost message leads to the message that comes next.
            let is_lost = unit.is_entry()
                && units.get(at + 1).is_some_and(|next| next.physical == unit.physical);
            let end = if is_lost {
                self.gone(unit.physical);
                self.close_run()
            } else if !unit.is_entry() || unit.size > RECORD_MAX {
                match unit.size {
                    BLANK_SIZE => {}
                    0 => self.nothing_at(offset.0),
                    _ => self.report(offset.0, unit.physical),
                }
                self.gone(unit.physical);
                // What lies on both sides of it in the log has no successive offsets.
                self.close_run()
            } else if accept.looks_at(PhysicalOffset(unit.physical)) {
                // Those before it go out before it.
                self.close_run().or_else(|| self.take_looked_at(*unit, offset.0, accept))
            } else {
                self.add(*unit, offset.0)
            };
            if end.is_some() {
                return end;
            }
        }
        None
    }

    /// Adds a record to the open run, or closes that and opens another.
    fn add(&mut self, unit: Unit, offset: u64) -> Option<End> {
        let size = usize::try_from(unit.size).unwrap_or(usize::MAX);
        self.out.count += 1;
        self.out.bytes += size;
        if let Some(run) = &mut self.run
            && run.start + run.len as u64 == unit.physical
        {
            run.len += size;
            run.count += 1;
            run.last = size;
            return None;
        }
        let run = Run { start: unit.physical, len: size, count: 1, first: offset, last: size };
        let before = self.run.replace(run);
        let end = before.and_then(|before| self.close(before));
        if end.is_some() {
            // The new run comes after what could not be read.
            if let Some(run) = self.run.take() {
                self.out.count -= run.count;
                self.out.bytes -= run.len;
            }
        }
        end
    }

    fn close_run(&mut self) -> Option<End> {
        let run = self.run.take()?;
        self.close(run)
    }

    /// Reads a run whose messages are counted already.
    fn close(&mut self, run: Run) -> Option<End> {
        let at = PhysicalOffset(run.start);
        let before = self.landing.copied.len();
        match self.log.read_into(at, run.len, self.request.cold, &mut self.landing) {
            Ok(Some(Piece::Mapped(lent))) => return self.take_mapped(run, lent),
            Ok(Some(Piece::Copied)) => return self.take_copied(run, before),
            Ok(None) if run.count > 1 && run.start >= self.log.min().0 => {
                return self.close_but_last(run);
            }
            Ok(None) => self.lost(run.first, run.start),
            Err(e) => {
                self.out.count -= run.count;
                self.out.bytes -= run.len;
                self.out.next = QueueOffset(run.first);
                return Some(End::of(&e, run.start));
            }
        }
        self.out.count -= run.count;
        self.out.bytes -= run.len;
        None
    }

    fn expected(&self, run: Run) -> Expected<'a> {
        let Run { start: physical, first: offset, count, .. } = run;
        Expected { queue: self.queue, offset, physical, count }
    }

    fn take_copied(&mut self, run: Run, before: usize) -> Option<End> {
        let bytes = self.landing.copied.get(before..).unwrap_or(&[]);
        match self.expected(run).verify(bytes) {
            Ok(()) => {
                self.out.status = ReadStatus::Found;
                self.make_room(run.len);
                None
            }
            Err(damage) => {
                self.landing.copied.truncate(before + damage.bytes);
                Some(self.end_before(run, damage))
            }
        }
    }

    /// A record of the run is not what its entry promises. The read ends before it; the next one
    /// begins with it, and passes it over.
    fn end_before(&mut self, run: Run, damage: Damage) -> End {
        let bad = run.first + damage.good as u64;
        self.report(bad, run.start + damage.bytes as u64);
        self.out.count -= run.count - damage.good;
        self.out.bytes -= run.len - damage.bytes;
        if damage.good > 0 {
            self.out.status = ReadStatus::Found;
        }
        let is_found = self.out.status == ReadStatus::Found;
        if !is_found {
            self.out.status = ReadStatus::MessageWasRemoving;
        }
        self.out.next = QueueOffset(bad + u64::from(!is_found));
        End::Full
    }

    /// The last entry of the run leads out of the file or past the log's end.
    fn close_but_last(&mut self, run: Run) -> Option<End> {
        self.out.count -= 1;
        self.out.bytes -= run.last;
        let shorter = Run { count: run.count - 1, len: run.len - run.last, last: 0, ..run };
        let end = self.close(shorter);
        if end.is_none() {
            self.out.next = QueueOffset(run.first + run.count as u64 - 1);
        }
        end.or(Some(End::Full))
    }

    /// Makes room for the records that probably follow one that had to be copied.
    fn make_room(&mut self, len: usize) {
        let left = self.request.max_messages.saturating_sub(self.out.count);
        let room = len.saturating_mul(left).min(self.request.max_bytes).min(COPY_ROOM);
        self.landing.copied.reserve(room);
    }

    fn push(&mut self, bytes: Bytes) {
        self.push_copied();
        self.out.slices.push(bytes);
    }

    fn push_copied(&mut self) {
        if !self.landing.copied.is_empty() {
            self.out.slices.push(self.landing.copied.split().freeze());
        }
    }

    /// An entry leads to no record.
    fn lost(&mut self, offset: u64, physical: u64) {
        if physical >= self.log.min().0 {
            self.report(offset, physical);
        }
        self.gone(physical);
    }

    /// The log has no such record (any more): nor others of that file.
    fn gone(&mut self, physical: u64) {
        if self.out.status != ReadStatus::Found {
            self.out.status = ReadStatus::MessageWasRemoving;
        }
        if physical < self.log.min().0 {
            self.skip_to = self.log.next_file(PhysicalOffset(physical)).0;
        }
    }

    fn take_looked_at(&mut self, unit: Unit, offset: u64, accept: &mut dyn Accept) -> Option<End> {
        let size = usize::try_from(unit.size).unwrap_or(usize::MAX);
        let run = Run { start: unit.physical, len: size, count: 1, first: offset, last: size };
        match self.log.read(PhysicalOffset(unit.physical), size, self.request.cold) {
            Ok(Some(bytes)) if self.expected(run).verify(&bytes).is_err() => {
                self.report(offset, unit.physical);
                self.gone(unit.physical);
                None
            }
            Ok(Some(bytes)) => {
                if accept.record(&bytes) {
                    self.found(bytes);
                } else if self.out.status != ReadStatus::Found {
                    self.out.status = ReadStatus::NoMatch;
                }
                None
            }
            Ok(None) => {
                self.lost(offset, unit.physical);
                None
            }
            Err(e) => {
                self.out.next = QueueOffset(offset);
                Some(End::of(&e, unit.physical))
            }
        }
    }

    fn found(&mut self, bytes: Bytes) {
        self.out.status = ReadStatus::Found;
        self.out.count += 1;
        self.out.bytes += bytes.len();
        self.push(bytes);
    }
}
