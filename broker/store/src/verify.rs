//! Whether bytes of the log are what a ConsumeQueue entry promises.
//!
//! An entry may be damaged, and so may the record it points to. Every record that is handed out is
//! held against its entry: size, magic number, place in the log, queue id, place in the queue. Bytes
//! that come from the disk are checked whole, with their checksum and their topic; what this process
//! wrote itself and still has in memory is not.

use blockhouse_disk::Lent;
use blockhouse_record::{Checked, check, layout};

use crate::queue::Queue;

/// What is read of a record to know it.
const HEAD: usize = layout::SYS_FLAG;

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
}

/// The good part of a run that has a bad one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// How many records before the bad one are good.
    pub(crate) good: usize,
    /// How many bytes those are.
    pub(crate) bytes: usize,
}

/// A page of a map that the disk does not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageLost;

impl Expected<'_> {
    /// Checks a run of this process's own memory whole, with checksums and topics.
    pub(crate) fn verify(&self, run: &[u8]) -> Result<(), Damage> {
        self.walk(run.len(), |at, number| {
            let Ok(Checked::Message(record)) = check(run.get(at..).unwrap_or(&[])) else {
                return Ok(None);
            };
            let is_it = record.physical_offset.0 == self.physical + at as u64
                && record.queue_offset.0 == self.offset + number
                && record.queue == self.queue.id
                && record.topic == self.queue.topic.as_str();
            Ok::<_, Damage>(is_it.then_some(record.bytes.len()))
        })
        .flatten()
    }

    /// Checks the heads of a run in a map.
    pub(crate) fn verify_lent(&self, run: &Lent) -> Result<Result<(), Damage>, PageLost> {
        self.walk(run.len(), |at, number| {
            let rest = run.len().saturating_sub(at);
            let mut head = [0; HEAD];
            if rest < HEAD {
                return Ok(None);
            }
            run.copy_to(at, &mut head).map_err(|_| PageLost)?;
            Ok(self.size_of(&head, rest, number, at as u64))
        })
    }

    /// Goes from record to record of `len` bytes; `size_of` gives the size of the one at a place
    /// with a number, if it is the one that is expected there.
    fn walk<E>(
        &self,
        len: usize,
        mut size_of: impl FnMut(usize, u64) -> Result<Option<usize>, E>,
    ) -> Result<Result<(), Damage>, E> {
        let (mut at, mut last) = (0, 0);
        for n in 0..self.count {
            last = at;
            match size_of(at, n as u64)? {
                Some(size) => at += size,
                None => return Ok(Err(Damage { good: n, bytes: at })),
            }
        }
        // Else the last entry says another size than its record.
        if at == len {
            Ok(Ok(()))
        } else {
            Ok(Err(Damage { good: self.count.saturating_sub(1), bytes: last }))
        }
    }

    /// The size that a head says, if it is the expected one and the record ends within `rest`.
    fn size_of(&self, head: &[u8; HEAD], rest: usize, number: u64, at: u64) -> Option<usize> {
        let narrow = |at: usize| head[at..].first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
        let wide = |at: usize| head[at..].first_chunk().map_or(0, |b| u64::from_be_bytes(*b));
        let size = usize::try_from(narrow(layout::TOTAL_SIZE)).ok()?;
        let is_it = matches!(narrow(layout::MAGIC), layout::MAGIC_V1 | layout::MAGIC_V2)
            && (layout::FIXED_LEN..=rest).contains(&size)
            && narrow(layout::QUEUE_ID) == self.queue.id.0
            && wide(layout::QUEUE_OFFSET) == self.offset + number
            && wide(layout::PHYSICAL_OFFSET) == self.physical + at;
        is_it.then_some(size)
    }
}
