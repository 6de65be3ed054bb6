//! The tail: records that have a place in the log and are not yet in its file.

use blockhouse_record::{Stamp, layout, stamp};

use crate::log::Encoded;

/// Whether a record of `len` bytes begins the next file when this one has `left` bytes.
///
/// RocketMQ keeps 8 bytes for the filler even behind the last record of a file.
pub(super) const fn must_roll(len: usize, left: u64) -> bool {
    (len + layout::FILLER_LEN) as u64 > left
}

/// Writes into pages that were never written end at multiples of this.
///
/// The kernel takes fresh pages in large pieces if a write covers them wholly, and one by one
/// otherwise. So the first write into such a piece fills it with zeros behind the last record, which
/// is what is there anyway; the writes after it find pages that are in memory.
const FILL: u64 = 64 << 10;

/// Where a write of what ends at `end` should end, in files of `file_size` bytes.
pub(super) fn fill_end(end: u64, file_size: u64) -> u64 {
    let inside = end % file_size;
    end - inside + inside.next_multiple_of(FILL).min(file_size)
}

/// What a burst would take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Where the log would end.
    pub(super) end: u64,
    /// Bytes of the tail.
    pub(super) bytes: usize,
}

impl Plan {
    /// What `records` would take in a log that ends at `end`.
    pub(super) fn of(mut end: u64, file_size: u64, records: &Encoded) -> Self {
        let all = records.bytes.len();
        if !must_roll(all, file_size - end % file_size) {
            return Self { end: end + all as u64, bytes: all };
        }
        let mut bytes = all;
        for record in records.iter() {
            let left = file_size - end % file_size;
            if must_roll(record.len(), left) {
                end += left;
                bytes += layout::FILLER_LEN;
            }
            end += record.len() as u64;
        }
        Self { end, bytes }
    }
}

/// A fixed buffer. Its memory is touched as it is used, and kept.
#[derive(Debug)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    capacity: usize,
    /// One for each file: position in the log, position in `bytes`.
    extents: Vec<(u64, usize)>,
    next: u64,
}

impl Tail {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let bytes = Vec::with_capacity(capacity + usize::try_from(FILL).unwrap_or(0));
        Self { bytes, capacity, extents: Vec::new(), next: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) const fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len())
    }

    fn continue_at(&mut self, at: u64) {
        if self.extents.is_empty() || self.next != at {
            self.extents.push((at, self.bytes.len()));
        }
    }

    /// Copies a record in and stamps it.
    pub(super) fn push(&mut self, record: &[u8], stamped: Stamp) {
        let at = stamped.physical_offset.0;
        self.continue_at(at);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        if let Some(copy) = self.bytes.get_mut(start..) {
            stamp(copy, stamped);
        }
        self.next = at + record.len() as u64;
    }

    /// Says that the last `left` bytes of the file are not used.
    pub(super) fn push_filler(&mut self, at: u64, left: u64) {
        self.continue_at(at);
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&left.to_be_bytes());
        self.bytes.extend_from_slice(&layout::MAGIC_BLANK.to_be_bytes());
        // Whatever comes next begins a new extent.
        self.next = u64::MAX;
    }

    /// Appends `count` zeros, which no place in the log is given for.
    pub(super) fn pad(&mut self, count: usize) {
        self.bytes.resize(self.bytes.len() + count, 0);
    }

    /// What goes where, one piece for each file.
    pub(super) fn extents(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let ends = self.extents.iter().skip(1).map(|(_, start)| *start);
        self.extents
            .iter()
            .zip(ends.chain(std::iter::once(self.bytes.len())))
            .filter_map(|((at, start), end)| Some((*at, self.bytes.get(*start..end)?)))
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.extents.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_rolls_when_it_leaves_less_than_the_filler() {
        let record = |n: usize| Encoded { bytes: vec![1; n], ends: vec![n] };
        assert_eq!(Plan::of(0, 100, &record(92)), Plan { end: 92, bytes: 92 });
        assert_eq!(Plan::of(8, 100, &record(84)), Plan { end: 92, bytes: 84 });
        assert_eq!(Plan::of(8, 100, &record(85)), Plan { end: 185, bytes: 93 });
        let three = Encoded { bytes: vec![1; 150], ends: vec![50, 100, 150] };
        assert_eq!(Plan::of(0, 100, &three), Plan { end: 250, bytes: 166 });
    }

    #[test]
    fn a_write_fills_up_to_the_next_piece_and_never_beyond_the_file() {
        assert_eq!(fill_end(1, 1 << 20), FILL);
        assert_eq!(fill_end(FILL, 1 << 20), FILL);
        assert_eq!(fill_end(FILL + 1, 1 << 20), 2 * FILL);
        let size = FILL + 100;
        assert_eq!(fill_end(FILL + 1, size), size);
        assert_eq!(fill_end(size, size), size, "nothing of the next file");
        assert_eq!(fill_end(size + 1, size), size + FILL);
    }

    #[test]
    fn padding_belongs_to_the_last_piece() {
        let mut tail = Tail::with_capacity(100);
        let record = [7; 20];
        tail.push(
            &record,
            Stamp {
                queue_offset: blockhouse_model::QueueOffset(0),
                physical_offset: blockhouse_model::PhysicalOffset(40),
                store_timestamp: blockhouse_model::Timestamp(1),
            },
        );
        tail.pad(4);
        let extents: Vec<_> = tail.extents().map(|(at, bytes)| (at, bytes.len())).collect();
        assert_eq!(extents, [(40, 24)]);
        assert_eq!(tail.bytes[20..], [0; 4]);
    }

    #[test]
    fn fillers_split_the_tail_by_file() {
        let at = |n: u64| Stamp {
            queue_offset: blockhouse_model::QueueOffset(0),
            physical_offset: blockhouse_model::PhysicalOffset(n),
            store_timestamp: blockhouse_model::Timestamp(1),
        };
        let mut tail = Tail::with_capacity(300);
        tail.push(&[1; 20], at(40));
        tail.push(&[2; 20], at(60));
        tail.push_filler(80, 20);
        tail.push(&[3; 20], at(100));
        let extents: Vec<_> = tail.extents().map(|(at, bytes)| (at, bytes.len())).collect();
        assert_eq!(extents, [(40, 48), (100, 20)]);
        assert_eq!(tail.room(), 300 - 68);
        tail.clear();
        assert!(tail.is_empty());
    }
}
