//! Whether bytes of the log are what a ConsumeQueue entry promises.
//!
//! An entry may be damaged, and so may the record it points to. Every record that is handed out is
//! held against its entry: size, magic number, place in the log, queue id, place in the queue. Bytes
//! that come from the disk are checked whole, with their checksum and their topic; what this process
//! wrote itself and still has in memory is not.

use blockhouse_record::{Checked, check, layout};

use crate::queue::Queue;

/// What a run of records must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    /// The queue they are in.
    pub(crate) queue: &'a Queue,
    /// The place of the first in the queue.
    pub(crate) offset: u64,
    /// Its place in the log.
    pub(crate) physical: u64,
    /// How many there are.
    pub(crate) count: usize,
    /// Whether checksums and topics are looked at.
    pub(crate) whole: bool,
}

/// The good part of a run that has a bad one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// How many records before the bad one are good.
    pub(crate) good: usize,
    /// How many bytes those are.
    pub(crate) bytes: usize,
}

impl Expected<'_> {
    /// Checks a run.
    pub(crate) fn verify(&self, run: &[u8]) -> Result<(), Damage> {
        let (mut at, mut last) = (0, 0);
        for n in 0..self.count {
            let rest = run.get(at..).unwrap_or(&[]);
            last = at;
            match self.size_of(rest, n as u64, at as u64) {
                Some(size) => at += size,
                None => return Err(Damage { good: n, bytes: at }),
            }
        }
        // Else the last entry says another size than its record.
        if at == run.len() {
            Ok(())
        } else {
            Err(Damage { good: self.count.saturating_sub(1), bytes: last })
        }
    }

    /// The size of the record at the start of `rest`, if it is the one that is expected there.
    fn size_of(&self, rest: &[u8], number: u64, at: u64) -> Option<usize> {
        if self.whole {
            let Ok(Checked::Message(record)) = check(rest) else { return None };
            let is_it = record.physical_offset.0 == self.physical + at
                && record.queue_offset.0 == self.offset + number
                && record.queue == self.queue.id
                && record.topic == self.queue.topic.as_str();
            return is_it.then_some(record.bytes.len());
        }
        let head = rest.first_chunk::<{ layout::SYS_FLAG }>()?;
        let narrow = |at: usize| head[at..].first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
        let wide = |at: usize| head[at..].first_chunk().map_or(0, |b| u64::from_be_bytes(*b));
        let size = usize::try_from(narrow(layout::TOTAL_SIZE)).ok()?;
        let is_it = matches!(narrow(layout::MAGIC), layout::MAGIC_V1 | layout::MAGIC_V2)
            && (layout::FIXED_LEN..=rest.len()).contains(&size)
            && narrow(layout::QUEUE_ID) == self.queue.id.0
            && wide(layout::QUEUE_OFFSET) == self.offset + number
            && wide(layout::PHYSICAL_OFFSET) == self.physical + at;
        is_it.then_some(size)
    }
}
