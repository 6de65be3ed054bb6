//! One ConsumeQueue: its counters and its newest entries. The rest is in [`crate::queue_files`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use blockhouse_model::java_hash;
use blockhouse_model::{QueueId, Topic};
use parking_lot::Mutex;

/// Bytes of an entry in a file.
pub(crate) const UNIT_LEN: usize = 20;
/// SIZE of the entries with which RocketMQ fills a file before a queue's first message.
pub(crate) const BLANK_SIZE: u32 = 0x7FFF_FFFF;
/// Entries that stay in memory after they were written, for readers at the queue's end.
const KEPT: usize = 32;

/// An entry: which record, and what filters need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) physical: u64,
    pub(crate) size: u32,
    pub(crate) tags_code: i64,
}

impl Unit {
    /// An entry that points to nothing.
    pub(crate) const BLANK: Self = Self { physical: 0, size: BLANK_SIZE, tags_code: 0 };

    pub(crate) fn read(bytes: &[u8; UNIT_LEN]) -> Self {
        let (physical, rest) = bytes.split_at(8);
        let (size, tags_code) = rest.split_at(4);
        let mut wide = [0; 8];
        wide.copy_from_slice(physical);
        let physical = u64::from_be_bytes(wide);
        let mut narrow = [0; 4];
        narrow.copy_from_slice(size);
        wide.copy_from_slice(tags_code);
        Self { physical, size: u32::from_be_bytes(narrow), tags_code: i64::from_be_bytes(wide) }
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.physical.to_be_bytes());
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&self.tags_code.to_be_bytes());
    }

    /// Where its record ends.
    pub(crate) const fn end(self) -> u64 {
        self.physical.saturating_add(self.size as u64)
    }

    /// Whether it points to a record.
    pub(crate) const fn is_entry(self) -> bool {
        self.size != 0 && self.size != BLANK_SIZE && self.physical <= i64::MAX as u64
    }
}

/// One ConsumeQueue.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) topic: Topic,
    pub(crate) id: QueueId,
    /// Tells queues apart whose names are the same (deleted and made again).
    pub(crate) uid: u64,
    /// Java's hash of `topic#`, the start of all its index keys.
    pub(crate) key_hash: i32,
    /// The offset of the next message. Changed only under the append lock.
    next: AtomicU64,
    min: AtomicU64,
    /// The record of the first message lies here or behind it.
    oldest: AtomicU64,
    /// The end that readers see.
    max: AtomicU64,
    /// The queue is on the list of those that have entries to write.
    pub(crate) dirty: AtomicBool,
    /// The queue is on the list of those whose newest entries are in memory.
    pub(crate) warm: AtomicBool,
    /// Entries came since someone looked.
    pub(crate) touched: AtomicBool,
    pub(crate) deleted: AtomicBool,
    tail: Mutex<Tail>,
}

#[derive(Debug, Default)]
struct Tail {
    /// Offset of the first entry in `units`.
    first: u64,
    units: VecDeque<Unit>,
    /// Entries before this offset are in files.
    stored: u64,
}

impl Queue {
    /// A queue whose files hold the entries from `min` to `max`.
    pub(crate) fn new(topic: Topic, id: QueueId, uid: u64, min: u64, max: u64) -> Self {
        let key_hash = java_hash(&format!("{topic}#"));
        Self {
            topic,
            id,
            uid,
            key_hash,
            next: AtomicU64::new(max),
            min: AtomicU64::new(min),
            oldest: AtomicU64::new(0),
            max: AtomicU64::new(max),
            dirty: AtomicBool::new(false),
            warm: AtomicBool::new(false),
            touched: AtomicBool::new(false),
            deleted: AtomicBool::new(false),
            tail: Mutex::new(Tail { first: max, units: VecDeque::new(), stored: max }),
        }
    }

    /// Takes the next offset. Only under the append lock.
    pub(crate) fn take_offset(&self) -> u64 {
        let offset = self.next.load(Ordering::Relaxed);
        self.next.store(offset + 1, Ordering::Relaxed);
        offset
    }

    pub(crate) fn min(&self) -> u64 {
        self.min.load(Ordering::Acquire)
    }

    pub(crate) fn raise_min(&self, to: u64) {
        self.min.fetch_max(to, Ordering::AcqRel);
    }

    /// A place of the log with no record of this queue before it.
    pub(crate) fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Acquire)
    }

    pub(crate) fn raise_oldest(&self, to: u64) {
        self.oldest.fetch_max(to, Ordering::AcqRel);
    }

    pub(crate) fn max(&self) -> u64 {
        self.max.load(Ordering::Acquire)
    }

    /// Makes a message visible. Gives the new end; `None` if there is such an entry already.
    pub(crate) fn push(&self, offset: u64, unit: Unit) -> Option<u64> {
        let mut tail = self.tail.lock();
        let end = tail.first + tail.units.len() as u64;
        if offset < end {
            return None;
        }
        if offset > end {
            self.skip_to(&mut tail, end, (offset, unit));
        }
        if offset == self.min() {
            self.raise_oldest(unit.physical);
        }
        tail.units.push_back(unit);
        self.max.store(offset + 1, Ordering::Release);
        Some(offset + 1)
    }

    /// The log has no record for the offsets from `end` to `offset`. They lead to the message that
    /// comes next, which consumers may get twice: at a blank entry between others, RocketMQ 5.4
    /// passes over all messages that follow in the log's first file.
    fn skip_to(&self, tail: &mut Tail, end: u64, (offset, unit): (u64, Unit)) {
        if end == 0 {
            // A queue whose older part is lost begins here.
            self.raise_min(offset);
            *tail = Tail { first: offset, units: VecDeque::new(), stored: offset };
        } else {
            tracing::warn!("{} {}: no messages from {end} to {offset}", self.topic, self.id);
            for _ in end..offset {
                tail.units.push_back(unit);
            }
        }
    }

    /// After recovery: the next message comes after the last.
    pub(crate) fn reset_next(&self) {
        self.next.store(self.max(), Ordering::Relaxed);
    }

    /// Entries before this offset are in files.
    pub(crate) fn in_files(&self) -> u64 {
        self.tail.lock().stored
    }

    /// Gives back the memory of entries that are in files. Gives whether that was all.
    pub(crate) fn cool(&self) -> bool {
        let mut tail = self.tail.lock();
        if tail.stored != tail.first + tail.units.len() as u64 {
            return false;
        }
        *tail = Tail { first: tail.stored, units: VecDeque::new(), stored: tail.stored };
        true
    }

    /// Copies entries from `from` on that are in memory; gives the offset of the first that is.
    pub(crate) fn copy_tail(&self, from: u64, count: usize, out: &mut Vec<Unit>) -> u64 {
        let tail = self.tail.lock();
        if from >= tail.first {
            let skip = usize::try_from(from - tail.first).unwrap_or(usize::MAX);
            out.extend(tail.units.iter().skip(skip).take(count));
        }
        tail.first
    }

    /// The entries that are not in files and whose records end at `limit` or before, and the offset
    /// of the first; at most `count`.
    pub(crate) fn unwritten(&self, limit: u64, count: usize) -> (u64, Vec<Unit>) {
        let tail = self.tail.lock();
        let skip = usize::try_from(tail.stored - tail.first).unwrap_or(usize::MAX);
        let blank_or_in = |unit: &&Unit| !unit.is_entry() || unit.end() <= limit;
        let units = tail.units.iter().skip(skip).take(count).take_while(blank_or_in);
        (tail.stored, units.copied().collect())
    }

    /// Entries before `stored` are in files now. Gives whether there are more.
    pub(crate) fn stored(&self, stored: u64) -> bool {
        let mut tail = self.tail.lock();
        tail.stored = stored;
        let in_files = usize::try_from(stored - tail.first).unwrap_or(0).min(tail.units.len());
        let waiting = tail.units.len() - in_files;
        let drop_count = tail.units.len().saturating_sub(KEPT).min(in_files);
        tail.units.drain(..drop_count);
        tail.first += drop_count as u64;
        if tail.units.capacity() > 4 * tail.units.len().max(KEPT) {
            tail.units.shrink_to_fit();
        }
        waiting > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(n: u64) -> Unit {
        Unit { physical: n * 100, size: 100, tags_code: 7 }
    }

    #[test]
    fn units_keep_their_value_as_bytes() {
        let mut bytes = Vec::new();
        let unit = Unit { physical: 0x0102_0304_0506_0708, size: 9, tags_code: -1 };
        unit.write(&mut bytes);
        assert_eq!(bytes.len(), UNIT_LEN);
        assert_eq!(&bytes[..9], &[1, 2, 3, 4, 5, 6, 7, 8, 0]);
        assert_eq!(Unit::read(bytes.first_chunk().unwrap()), unit);
        assert!(!Unit::BLANK.is_entry());
    }

    #[test]
    fn written_entries_leave_memory_but_for_the_newest() {
        let queue = Queue::new(Topic::trusted("t"), QueueId(0), 1, 0, 0);
        for n in 0..100 {
            assert_eq!(queue.push(n, unit(n)), Some(n + 1));
        }
        assert_eq!(queue.push(99, unit(99)), None);
        let (first, units) = queue.unwritten(9_050, 1_000);
        assert_eq!((first, units.len()), (0, 90), "entry 90 ends at 9100");
        assert!(queue.stored(90));
        let mut out = Vec::new();
        assert_eq!(queue.copy_tail(95, 10, &mut out), 68);
        assert_eq!(out, (95..100).map(unit).collect::<Vec<_>>());
        let (first, units) = queue.unwritten(u64::MAX, 1_000);
        assert_eq!((first, units.len()), (90, 10));
        assert!(!queue.stored(100));
    }

    #[test]
    fn a_queue_without_its_older_part_begins_at_its_first_message() {
        let queue = Queue::new(Topic::trusted("t"), QueueId(0), 1, 0, 0);
        assert_eq!(queue.push(40, unit(40)), Some(41));
        assert_eq!((queue.min(), queue.max()), (40, 41));
        assert_eq!(queue.push(43, unit(43)), Some(44));
        let (first, units) = queue.unwritten(u64::MAX, 9);
        assert_eq!((first, units[1], units[2]), (40, unit(43), unit(43)));
    }

    #[test]
    fn an_idle_queue_keeps_no_entries() {
        let queue = Queue::new(Topic::trusted("t"), QueueId(0), 1, 0, 0);
        for n in 0..100 {
            queue.push(n, unit(n));
        }
        queue.stored(90);
        assert!(!queue.cool(), "ten entries are nowhere else");
        queue.stored(100);
        assert!(queue.cool());
        assert_eq!(queue.tail.lock().units.capacity(), 0);
        assert_eq!((queue.in_files(), queue.max()), (100, 100));
        assert_eq!(queue.push(100, unit(100)), Some(101));
        let mut out = Vec::new();
        assert_eq!(queue.copy_tail(100, 10, &mut out), 100);
        assert_eq!(out, [unit(100)]);
        assert!(size_of::<Queue>() <= 256);
    }
}
