//! From the log to what is built on it: entries wait until their records are confirmed, then become
//! visible in their queues, in log order, and go to the index.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use blockhouse_model::{PhysicalOffset, QueueOffset, SysFlag, Timestamp};
use parking_lot::{Mutex, MutexGuard};

use crate::index::{Index, Put};
use crate::log::Follower;
use crate::queue::{Queue, Unit};
use crate::queues::Queues;
use crate::read::QueueListener;

/// Offsets without a message that recovery fills with blank entries at once.
const MISSING_MAX: u64 = 1 << 24;

/// What a record will be in its queue and in the index.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) queue: Arc<Queue>,
    pub(crate) unit: Unit,
    pub(crate) offset: u64,
    pub(crate) store_timestamp: i64,
    /// Half and rolled back messages are in no queue.
    pub(crate) visible: bool,
    /// How many hashes of the list belong to it.
    pub(crate) keys: usize,
}

/// Whether messages with these flags are in a queue.
pub(crate) const fn is_visible(flags: SysFlag) -> bool {
    matches!(flags.transaction(), 0 | SysFlag::TRANSACTION_COMMIT)
}

/// Whether messages with these flags are indexed.
pub(crate) const fn is_indexed(flags: SysFlag) -> bool {
    flags.transaction() != SysFlag::TRANSACTION_ROLLBACK
}

/// Entries, and the hashes of their keys.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) entries: VecDeque<Entry>,
    pub(crate) keys: VecDeque<u32>,
}

/// Applies entries.
pub(crate) struct Dispatcher {
    queues: Arc<Queues>,
    index: Arc<Index>,
    listener: Arc<dyn QueueListener>,
    pending: Mutex<Pending>,
    waiting: AtomicUsize,
    applying: Mutex<Batch>,
    /// All records before this are applied.
    applied: AtomicU64,
    applied_timestamp: AtomicI64,
    /// Where the last applied record begins.
    applied_last: AtomicU64,
}

/// How far the log is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    /// All records before this are.
    pub(crate) to: u64,
    /// When the last of them was stored.
    pub(crate) timestamp: Timestamp,
    /// Where it begins, if known.
    pub(crate) last: Option<u64>,
}

#[derive(Debug, Default)]
struct Batch {
    entries: Vec<Entry>,
    puts: Vec<Put>,
}

impl Dispatcher {
    pub(crate) fn new(
        queues: Arc<Queues>,
        index: Arc<Index>,
        listener: Arc<dyn QueueListener>,
    ) -> Self {
        Self {
            queues,
            index,
            listener,
            pending: Mutex::default(),
            waiting: AtomicUsize::new(0),
            applying: Mutex::default(),
            applied: AtomicU64::new(0),
            applied_timestamp: AtomicI64::new(0),
            applied_last: AtomicU64::new(u64::MAX),
        }
    }

    /// After recovery: the log is applied up to here.
    pub(crate) fn start_at(&self, applied: Applied) {
        self.applied.store(applied.to, Ordering::Release);
        self.applied_timestamp.store(applied.timestamp.0, Ordering::Release);
        self.applied_last.store(applied.last.unwrap_or(u64::MAX), Ordering::Release);
    }

    /// How far the log is applied.
    pub(crate) fn applied(&self) -> Applied {
        // So that all three are of one moment.
        let _nobody_applies = self.applying.lock();
        let last = self.applied_last.load(Ordering::Acquire);
        Applied {
            to: self.applied.load(Ordering::Acquire),
            timestamp: Timestamp(self.applied_timestamp.load(Ordering::Acquire)),
            last: (last != u64::MAX).then_some(last),
        }
    }

    /// How many entries wait for their records.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// For adding entries, in log order.
    pub(crate) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock()
    }

    /// Puts an entry into its queue at once: for recovery. No checksum covers a record's QUEUEOFFSET,
    /// so it may be one that nobody ever gave out.
    pub(crate) fn enqueue_now(&self, entry: &Entry) {
        if !is_possible(entry) {
            let (topic, id) = (&entry.queue.topic, entry.queue.id);
            tracing::error!(
                "{topic} {id}: the record at {} says that its offset is {}: it gets no entry",
                entry.unit.physical,
                entry.offset
            );
        } else if entry.queue.push(entry.offset, entry.unit).is_some() {
            self.queues.mark_dirty(&entry.queue);
        }
    }

    /// Indexes the keys of an entry at once: for recovery.
    pub(crate) fn index_now(&self, entry: &Entry, keys: impl Iterator<Item = u32>) {
        let mut puts: Vec<_> = keys.map(|hash| put_of(entry, hash)).collect();
        self.index.put(&mut puts);
    }

    fn apply(&self, entry: &Entry) {
        if !entry.visible {
            return;
        }
        let Some(max) = entry.queue.push(entry.offset, entry.unit) else {
            tracing::error!(
                "{} {}: offset {} was given out twice",
                entry.queue.topic,
                entry.queue.id,
                entry.offset
            );
            return;
        };
        self.queues.mark_dirty(&entry.queue);
        let (topic, id) = (&entry.queue.topic, entry.queue.id);
        self.listener.advanced(topic, id, QueueOffset(max), entry.unit.tags_code);
    }
}

/// Whether a record can have the offset that it says: the messages before it have been in the log
/// before it, and no more are missing than fit into memory.
fn is_possible(entry: &Entry) -> bool {
    let before = entry.unit.physical / blockhouse_record::layout::FIXED_LEN as u64;
    let end = entry.queue.max();
    entry.offset <= before && (end == 0 || entry.offset.saturating_sub(end) <= MISSING_MAX)
}

const fn put_of(entry: &Entry, hash: u32) -> Put {
    Put { hash, physical: entry.unit.physical, store_timestamp: entry.store_timestamp }
}

impl Follower for Dispatcher {
    fn confirmed(&self, to: PhysicalOffset) {
        let mut batch = self.applying.lock();
        let batch = &mut *batch;
        {
            let mut pending = self.pending.lock();
            while pending.entries.front().is_some_and(|entry| entry.unit.end() <= to.0) {
                let Some(entry) = pending.entries.pop_front() else { break };
                let keys = entry.keys;
                batch.puts.extend(pending.keys.drain(..keys).map(|hash| put_of(&entry, hash)));
                batch.entries.push(entry);
            }
        }
        self.waiting.fetch_sub(batch.entries.len(), Ordering::Relaxed);
        for entry in &batch.entries {
            self.apply(entry);
        }
        if let Some(last) = batch.entries.last() {
            self.applied_timestamp.fetch_max(last.store_timestamp, Ordering::AcqRel);
            self.applied_last.store(last.unit.physical, Ordering::Release);
        }
        batch.entries.clear();
        self.index.put(&mut batch.puts);
        self.applied.fetch_max(to.0, Ordering::AcqRel);
    }
}

impl Pending {
    /// Adds an entry with its keys.
    pub(crate) fn push(&mut self, entry: Entry, keys: &[u32]) {
        self.entries.push_back(entry);
        self.keys.extend(keys);
    }
}

impl Dispatcher {
    /// Counts entries that were added to [`Dispatcher::pending`]. Before they are added.
    pub(crate) fn expect(&self, count: usize) {
        self.waiting.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes back a count whose entries were not added.
    pub(crate) fn unexpect(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }
}
