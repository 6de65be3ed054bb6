//! How far the files of a ConsumeQueue can be believed.
//!
//! Entries of records before the last checkpoint are on disk, and their places in the log rise. What
//! follows them was written but maybe not synced: after a power cut it may be there, read as zeros,
//! or be torn between two sectors. So the end is looked for by binary search, and held against its
//! neighbours; if they contradict it, the file is read from its start.

use super::{QueueFiles, UNIT_LEN_U64};
use crate::Error;
use crate::queue::{BLANK_SIZE, Queue, Unit};
use crate::read::ColdRead;

/// Bytes that a disk writes as a whole.
const SECTOR: u64 = 512;
/// More entries than most queues have in a file.
const FEW: u64 = 1 << 10;
/// Entries behind an end that are looked at: more than a page holds.
const NEAR: usize = 256;
/// How far the samples lie apart that are taken further behind.
const FAR: u64 = 64;
/// Entries that are read at once.
const CHUNK: usize = 4_096;

/// What files hold of records before some place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The first offset.
    pub(crate) min: u64,
    /// The end.
    pub(crate) max: u64,
    /// There are such records behind the end: an entry in between is damaged.
    pub(crate) damaged: bool,
}

/// Asks the log whether the record of an entry is the one with that offset.
pub(crate) type IsThere<'a> = dyn Fn(Unit, u64) -> Result<bool, Error> + 'a;

const fn is_blank(unit: Unit) -> bool {
    unit.size == BLANK_SIZE
}

/// Whether an entry of a record before `limit` can come after the entry `before`. Entries of lost
/// messages are that of the next message over again.
fn can_follow(unit: Unit, before: Option<Unit>, limit: u64) -> bool {
    let rises = before.is_none_or(|before| {
        unit.physical >= before.end()
            || (unit.physical, unit.size) == (before.physical, before.size)
    });
    unit.is_entry() && rises && unit.end() <= limit
}

/// The first of the newest files that follow each other. What lies before a gap was removed, and
/// may have come back in a crash.
fn first_of_run(numbers: &[u64]) -> u64 {
    let is_gap = |pair: &[u64]| pair[0] + 1 != pair[1];
    let from = numbers.windows(2).rposition(is_gap).map_or(0, |gap| gap + 1);
    numbers.get(from).copied().unwrap_or(0)
}

impl QueueFiles {
    /// The bounds of what the files hold of records that lie before `limit`. `is_there` is asked only
    /// about entries that a power cut may have torn.
    pub(crate) fn bounds(
        &self,
        queue: &Queue,
        limit: u64,
        is_there: &IsThere<'_>,
    ) -> Result<Bounds, Error> {
        let numbers = self.numbers(queue)?;
        for (i, number) in numbers.iter().enumerate().rev() {
            let start = number * self.per_file;
            let end = self.end_in(queue, start, limit, is_there)?;
            if end > start {
                let first = first_of_run(numbers.get(..=i).unwrap_or(&[])) * self.per_file;
                let range = (first, end.min(first + self.per_file));
                let min = self.first_in_use(queue, range)?;
                let damaged = self.goes_on(queue, end, start + self.per_file, limit)?;
                return Ok(Bounds { min, max: end, damaged });
            }
        }
        Ok(Bounds::default())
    }

    /// The first offset of a range that is not blank, its end if all are. Blanks may also lie between
    /// entries, where messages were lost, so this is no binary search.
    fn first_in_use(&self, queue: &Queue, (start, end): (u64, u64)) -> Result<u64, Error> {
        let mut at = start;
        let mut units = Vec::new();
        while at < end {
            units.clear();
            // Most queues begin with an entry.
            let left = usize::try_from(end - at).unwrap_or(CHUNK);
            let count = if at == start { 1 } else { CHUNK.min(left) };
            self.read(queue, at, count, ColdRead::Allow, &mut units)
                .map_err(Error::io("read", &self.path(queue, at / self.per_file)))?;
            let blanks = units.iter().take_while(|unit| is_blank(**unit)).count();
            at += blanks as u64;
            if blanks < count {
                break;
            }
        }
        Ok(at.min(end))
    }

    /// The end of the entries of one file, which begins at `start`.
    fn end_in(
        &self,
        queue: &Queue,
        start: u64,
        limit: u64,
        is_there: &IsThere<'_>,
    ) -> Result<u64, Error> {
        let past = |unit: Unit| !is_blank(unit) && (!unit.is_entry() || unit.end() > limit);
        let end = self.search(queue, (start, self.end_of_data(queue, start)?), past)?;
        if self.is_end(queue, (start, end), limit, is_there)? {
            return Ok(end);
        }
        self.read_to_end(queue, start, limit, is_there)
    }

    /// Where the entries of the file that begins at `start` end at the latest. Most queues have few:
    /// then few pages of their files are read.
    fn end_of_data(&self, queue: &Queue, start: u64) -> Result<u64, Error> {
        let (few, end) = (start + FEW, start + self.per_file);
        if few >= end {
            return Ok(end);
        }
        let more = self.next_written(queue, few);
        let more = more.map_err(Error::io("read", &self.path(queue, start / self.per_file)))?;
        Ok(if more.is_none() { few } else { end })
    }

    /// Whether the entries before `end` are as they must be if it is the end.
    fn is_end(
        &self,
        queue: &Queue,
        (start, end): (u64, u64),
        limit: u64,
        is_there: &IsThere<'_>,
    ) -> Result<bool, Error> {
        if end == start {
            return Ok(true);
        }
        let Some(last) = self.unit_at(queue, end - 1)? else { return Ok(false) };
        let mut before = None;
        if end - 1 > start {
            match self.unit_at(queue, end - 2)? {
                Some(unit) if unit.is_entry() => before = Some(unit),
                Some(unit) if is_blank(unit) => {}
                _ => return Ok(false),
            }
        }
        Ok(can_follow(last, before, limit) && self.is_untorn(last, end - 1, is_there)?)
    }

    /// Half of an entry that lies in two sectors may be lost.
    fn is_untorn(&self, unit: Unit, offset: u64, is_there: &IsThere<'_>) -> Result<bool, Error> {
        let inside = offset % self.per_file * UNIT_LEN_U64 % SECTOR;
        if inside + UNIT_LEN_U64 <= SECTOR { Ok(true) } else { is_there(unit, offset) }
    }

    /// Reads entries from the start of a file to the first that cannot be one; blank ones at the end
    /// do not count.
    fn read_to_end(
        &self,
        queue: &Queue,
        start: u64,
        limit: u64,
        is_there: &IsThere<'_>,
    ) -> Result<u64, Error> {
        let (mut at, mut end, mut before) = (start, start, None);
        let mut units = Vec::new();
        while at < start + self.per_file {
            units.clear();
            self.read(queue, at, CHUNK, ColdRead::Allow, &mut units)
                .map_err(Error::io("read", &self.path(queue, start / self.per_file)))?;
            for unit in &units {
                at += 1;
                if is_blank(*unit) {
                    continue;
                }
                if !can_follow(*unit, before, limit) || !self.is_untorn(*unit, at - 1, is_there)? {
                    return Ok(end);
                }
                before = Some(*unit);
                end = at;
            }
            if units.is_empty() {
                break;
            }
        }
        Ok(end)
    }

    /// Whether entries of records before `limit` follow behind `end`: two neighbours, so that half
    /// an entry is not taken for one.
    fn goes_on(&self, queue: &Queue, end: u64, file_end: u64, limit: u64) -> Result<bool, Error> {
        let is_pair = |pair: &[Unit]| {
            can_follow(pair[0], None, limit) && can_follow(pair[1], Some(pair[0]), limit)
        };
        let (mut at, mut count) = (end, NEAR);
        let mut units = Vec::new();
        let failed = |e| Error::io("read", &self.path(queue, end / self.per_file))(e);
        while at + 1 < file_end {
            // Most files are holes from here on.
            let Some(next) = self.next_written(queue, at).map_err(failed)? else { break };
            at = at.max(next);
            units.clear();
            self.read(queue, at, count, ColdRead::Allow, &mut units).map_err(failed)?;
            if units.windows(2).any(is_pair) {
                return Ok(true);
            }
            // All that a damaged page may hide, then a sample.
            count = 2;
            at += if units.len() > 2 { NEAR as u64 } else { FAR.max((at - end) / 4) };
        }
        Ok(false)
    }
}
