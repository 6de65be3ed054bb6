//! Storing messages.

use std::cell::RefCell;
use std::sync::Arc;

use blockhouse_model::{PhysicalOffset, QueueId, QueueOffset, Timestamp, names};
use blockhouse_record::{Draft, encode, encoded_len};
use parking_lot::MutexGuard;

use crate::AppendError;
use crate::dispatch::{Entry, Pending};
use crate::log::Encoded;
use crate::progress::Ticket;
use crate::queue::{Queue, Unit};
use crate::shape::Shape;
use crate::store::{Shared, Store};

/// Bytes of encoding memory that a thread keeps.
const SCRATCH_KEPT: usize = 1 << 20;
/// Entries that may wait for their records to be confirmed.
const UNCONFIRMED_MAX: usize = 1 << 18;
/// Keys that may wait for the index: 24 MiB, what comes in while a checkpoint writes it.
const UNINDEXED_MAX: usize = 1 << 20;

/// Where a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its place in the queue (0 for prepared and rolled back messages).
    pub queue_offset: QueueOffset,
    /// Its place in the log.
    pub physical_offset: PhysicalOffset,
    /// When it was placed.
    pub store_timestamp: Timestamp,
    /// Bytes of its record.
    pub size: u32,
}

impl Placed {
    /// Where its record ends in the log.
    #[must_use]
    pub const fn end(&self) -> PhysicalOffset {
        self.physical_offset.plus(self.size as u64)
    }
}

/// How a burst ended. All but [`Settled::Failed`] mean that the messages are in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Stored as durably as configured.
    PutOk,
    /// The disk took longer than `sync_flush_timeout_ms`.
    FlushDiskTimeout,
    /// The replicas took too long.
    FlushSlaveTimeout,
    /// There are not enough replicas.
    SlaveNotAvailable,
    /// A write or sync failed: the messages may or may not be there after a restart.
    Failed,
}

/// What is worked out about a message before it has its place.
#[derive(Debug)]
struct Prepared {
    queue: Option<Arc<Queue>>,
    shape: Shape,
    keys: usize,
    size: u32,
}

/// Memory that a thread uses again for each burst.
#[derive(Debug, Default)]
struct Scratch {
    encoded: Encoded,
    prepared: Vec<Prepared>,
    keys: Vec<u32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    fn clear(&mut self) {
        self.encoded.clear(SCRATCH_KEPT);
        self.prepared.clear();
        self.keys.clear();
    }
}

/// A burst that has its places in the log and is not written yet.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    end: PhysicalOffset,
    /// Whether its ticket waits for what is configured.
    durable: bool,
}

impl Store {
    /// Places a burst with one lock acquisition, pushes a place for each draft to `placed` (cleared
    /// first), and gives a ticket for the whole burst. The ticket waits for the disk if any draft
    /// does.
    ///
    /// A burst that is larger than a write buffer is placed in parts; if a later part finds no
    /// room, `placed` is shorter than `drafts`, and the rest is to be answered as busy.
    ///
    /// # Errors
    /// Why nothing of the burst was stored.
    pub fn append(
        &self,
        drafts: &[Draft<'_>],
        placed: &mut Vec<Placed>,
    ) -> Result<Ticket, AppendError> {
        Ok(self.settle(self.place(drafts, placed)?))
    }

    /// The first half of [`Store::append`]: the burst has its places, but nobody writes it yet.
    /// Whoever expects more bursts in a moment takes the second half, [`Store::settle`], after
    /// them, so that one write serves all. A placement that is dropped is written with the next
    /// append or the next flush.
    ///
    /// # Errors
    /// Why nothing of the burst was stored.
    pub fn place(
        &self,
        drafts: &[Draft<'_>],
        placed: &mut Vec<Placed>,
    ) -> Result<Placement, AppendError> {
        self.shared.place_all(drafts, placed)
    }

    /// The second half of [`Store::append`]: sees to it that the burst gets stored.
    #[must_use]
    pub fn settle(&self, placement: Placement) -> Ticket {
        self.shared.log.settle(placement.end, placement.durable)
    }
}

impl Shared {
    fn place_all(
        &self,
        drafts: &[Draft<'_>],
        placed: &mut Vec<Placed>,
    ) -> Result<Placement, AppendError> {
        placed.clear();
        self.admit(drafts)?;
        // Taken out, not borrowed: a listener that appends after all must not find it in use.
        let mut scratch = SCRATCH.take();
        let mut end = None;
        let mut rest = drafts;
        let mut result = Ok(());
        while !rest.is_empty() {
            scratch.clear();
            let taken = match self.prepare(rest, drafts.len() - rest.len(), &mut scratch) {
                Ok(taken) => taken,
                Err(e) => {
                    result = Err(e);
                    break;
                }
            };
            match self.place(&mut scratch, placed) {
                Ok(to) => end = Some(to),
                Err(e) => {
                    result = Err(e);
                    break;
                }
            }
            rest = rest.get(taken..).unwrap_or(&[]);
            if !rest.is_empty() {
                // Makes room for the next part.
                drop(end.map(|end| self.log.settle(end, false)));
            }
        }
        scratch.clear();
        SCRATCH.set(scratch);
        if placed.is_empty() {
            result?;
        }
        // Nothing asked for is settled at once.
        let end = end.unwrap_or_else(|| self.log.stats().flushed);
        Ok(Placement { end, durable: drafts.iter().any(|draft| draft.wait) })
    }

    /// Refuses what must be refused before anything is placed.
    fn admit(&self, drafts: &[Draft<'_>]) -> Result<(), AppendError> {
        if self.is_disk_full() {
            return Err(AppendError::DiskFull);
        }
        if let Some(trouble) = self.faults.blocking() {
            // What only a restart ends is said first: the trouble may pass, and would mislead.
            let lasting = self.log.stats().poisoned;
            return Err(if lasting { AppendError::Poisoned } else { AppendError::Disk(trouble) });
        }
        if self.dispatcher.waiting() > UNCONFIRMED_MAX || self.index.backlog() > UNINDEXED_MAX {
            return Err(AppendError::Busy);
        }
        for (index, draft) in drafts.iter().enumerate() {
            let len = encoded_len(draft);
            let len = len.map_err(|problem| AppendError::Illegal { index, problem })?;
            if draft.body.len() > self.config.max_message_size {
                return Err(AppendError::TooLarge { index, max: self.config.max_message_size });
            }
            if len > self.max_record {
                return Err(AppendError::TooLarge { index, max: self.max_record });
            }
        }
        Ok(())
    }

    /// Encodes as many drafts as fit into a write buffer; gives how many.
    fn prepare(
        &self,
        drafts: &[Draft<'_>],
        first: usize,
        scratch: &mut Scratch,
    ) -> Result<usize, AppendError> {
        // Room is left for fillers.
        let limit = self.config.write_buffer_size - self.config.write_buffer_size / 8;
        let mut last: Option<(&str, QueueId, Arc<Queue>)> = None;
        for (i, draft) in drafts.iter().enumerate() {
            let len = encoded_len(draft).unwrap_or(0);
            if i > 0 && scratch.encoded.bytes.len() + len > limit {
                return Ok(i);
            }
            let size = encode(draft, &mut scratch.encoded.bytes)
                .map_err(|problem| AppendError::Illegal { index: first + i, problem })?;
            scratch.encoded.ends.push(scratch.encoded.bytes.len());
            let queue = match &last {
                Some((topic, id, queue)) if *topic == draft.topic && *id == draft.queue => {
                    Arc::clone(queue)
                }
                _ => {
                    let queue = self.queues.find_or_make(draft.topic, draft.queue);
                    let queue = queue.ok_or(AppendError::Illegal {
                        index: first + i,
                        problem: blockhouse_record::Error::Topic {
                            max: names::STORED_TOPIC_LEN_MAX,
                        },
                    })?;
                    last = Some((draft.topic, draft.queue, Arc::clone(&queue)));
                    queue
                }
            };
            let keys = scratch.keys.len();
            let shape =
                self.shaper.shape(&queue, draft.sys_flag, draft.properties, &mut scratch.keys);
            scratch.prepared.push(Prepared {
                queue: Some(queue),
                shape,
                keys: scratch.keys.len() - keys,
                size: u32::try_from(size).unwrap_or(u32::MAX),
            });
        }
        Ok(drafts.len())
    }

    /// Gives the encoded records their places.
    fn place(
        &self,
        scratch: &mut Scratch,
        placed: &mut Vec<Placed>,
    ) -> Result<PhysicalOffset, AppendError> {
        let Scratch { encoded, prepared, keys } = scratch;
        let count = prepared.len();
        self.dispatcher.expect(count);
        // Locked at the first record, so that nobody waits for it while a file is made.
        let mut pending: Option<MutexGuard<'_, Pending>> = None;
        let mut keys = keys.as_slice();
        let result = self.log.append(encoded, &mut |i, physical, timestamp| {
            let Some(message) = prepared.get_mut(i) else { return QueueOffset(0) };
            let Some(queue) = message.queue.take() else { return QueueOffset(0) };
            let offset = if message.shape.visible { queue.take_offset() } else { 0 };
            let (own, others) = keys.split_at_checked(message.keys).unwrap_or_default();
            keys = others;
            let unit = Unit {
                physical: physical.0,
                size: message.size,
                tags_code: message.shape.tags_code(timestamp),
            };
            let entry = Entry {
                queue,
                unit,
                offset,
                store_timestamp: timestamp.0,
                visible: message.shape.visible,
                keys: message.keys,
            };
            pending.get_or_insert_with(|| self.dispatcher.pending()).push(entry, own);
            placed.push(Placed {
                queue_offset: QueueOffset(offset),
                physical_offset: physical,
                store_timestamp: timestamp,
                size: message.size,
            });
            QueueOffset(offset)
        });
        drop(pending);
        if result.is_err() {
            self.dispatcher.unexpect(count);
        }
        result
    }
}
