//! Records that are read again, and what becomes of them in queues and index.

use std::collections::HashMap;
use std::sync::Arc;

use blockhouse_record::View;

use super::GAP_MAX;
use crate::Error;
use crate::checkpoint::Marks;
use crate::dispatch::{Dispatcher, Entry};
use crate::examine::is_placeholder;
use crate::queue::{Queue, Unit};
use crate::queues::Queues;
use crate::read::ColdRead;
use crate::shape::Shaper;

/// What a replay changes.
#[derive(Clone, Copy)]
pub(crate) struct ReplayTo<'a> {
    pub(crate) queues: &'a Queues,
    pub(crate) dispatcher: &'a Dispatcher,
    pub(crate) shaper: &'a Shaper,
    pub(crate) marks: &'a Marks,
    /// Nothing was ever taken off the log, or given up by a repair: every queue's first message is in it.
    pub(crate) log_is_whole: bool,
}

/// Gives records that are read again, in the order of the log, to queues and index.
pub(crate) struct Replay<'a> {
    to: ReplayTo<'a>,
    /// Records that say that they are the first of their queue though it has others, by the queue's
    /// uid. The topic was deleted and made again, or the offset is damaged, which no checksum
    /// covers: the queue's next record tells.
    reborn: HashMap<u64, Entry>,
}

/// Whether a record may be the next that is known of a queue that ends at `end`. The checksum covers
/// the body alone, so a damaged offset comes this far; no queue has more messages than the log has
/// bytes.
fn can_follow(record: &View<'_>, end: u64) -> bool {
    let offset = record.queue_offset.0;
    let fills_a_gap = end > 0 && offset > end;
    offset <= record.physical_offset.0 && !(fills_a_gap && offset - end > GAP_MAX)
}

impl<'a> Replay<'a> {
    pub(crate) fn new(to: ReplayTo<'a>) -> Self {
        Self { to, reborn: HashMap::new() }
    }

    /// Takes the next record.
    pub(crate) fn record(&mut self, record: &View<'_>) -> Result<(), Error> {
        self.to.log_is_whole &= !is_placeholder(record.topic, record.sys_flag);
        let Some(queue) = self.to.queues.find_or_make(record.topic, record.queue) else {
            tracing::warn!("the record at {} has an impossible topic", record.physical_offset);
            return Ok(());
        };
        if !can_follow(record, queue.max()) {
            let (offset, at) = (record.queue_offset, record.physical_offset);
            tracing::error!(
                "the record at {at} has the impossible queue offset {offset}: left out"
            );
            return Ok(());
        }
        let mut keys = Vec::new();
        let shape = self.to.shaper.shape(&queue, record.sys_flag, record.properties, &mut keys);
        let entry = Entry {
            unit: Unit {
                physical: record.physical_offset.0,
                size: u32::try_from(record.bytes.len()).unwrap_or(u32::MAX),
                tags_code: shape.tags_code(record.store_timestamp),
            },
            offset: record.queue_offset.0,
            store_timestamp: record.store_timestamp.0,
            visible: shape.visible,
            keys: keys.len(),
            queue,
        };
        self.to.dispatcher.index_now(&entry, keys.into_iter());
        if entry.visible { self.place(entry) } else { Ok(()) }
    }

    /// The log is read: what nothing followed is the only message of its topic.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        for (_, first) in std::mem::take(&mut self.reborn) {
            self.begin_again(first)?;
        }
        Ok(())
    }

    fn place(&mut self, mut entry: Entry) -> Result<(), Error> {
        if let Some(first) = self.reborn.remove(&entry.queue.uid) {
            // After a damaged offset the old ones go on, and one is missing.
            if entry.offset > entry.queue.max() {
                let (topic, id) = (&entry.queue.topic, entry.queue.id);
                let at = first.unit.physical;
                tracing::error!("{topic} {id}: the record at {at} says that its offset is 0");
            } else {
                entry.queue = self.begin_again(first)?;
            }
        }
        if entry.offset == 0 && self.is_behind_all(&entry)? {
            self.reborn.insert(entry.queue.uid, entry);
        } else {
            self.doubt_beginning(&entry);
            self.to.dispatcher.enqueue_now(&entry);
        }
        Ok(())
    }

    /// Says so if a queue begins with a later message than its first. The record is believed: of a
    /// topic that was deleted no earlier one may be read again. But its name may be damaged, and then
    /// this is all that a queue that ends one message early leaves to be seen.
    fn doubt_beginning(&self, entry: &Entry) {
        let Entry { queue, offset, unit, .. } = entry;
        if self.to.log_is_whole && *offset > 0 && queue.max() == 0 {
            tracing::warn!(
                "{} {}: the record at {} says that it is message {offset}, and none before it is known: \
                 its topic was deleted, or no name or number that it has is sure (`admin store check` tells)",
                queue.topic,
                queue.id,
                unit.physical
            );
        }
    }

    /// Whether the queue has records, and this one lies behind them all: it is not read again.
    fn is_behind_all(&self, entry: &Entry) -> Result<bool, Error> {
        let last = match entry.queue.max().checked_sub(1) {
            None => None,
            Some(last) => self.to.queues.unit_at(&entry.queue, last)?,
        };
        Ok(last.is_some_and(|last| last.is_entry() && last.end() <= entry.unit.physical))
    }

    /// Begins a queue with its first record. What it has is of a topic that was deleted.
    fn begin_again(&self, mut first: Entry) -> Result<Arc<Queue>, Error> {
        let (topic, id) = (&first.queue.topic, first.queue.id);
        tracing::info!("{topic} {id}: made again, its {} messages are left out", first.queue.max());
        // A table of queues may count what goes now.
        self.to.marks.forget_queues()?;
        let queue = self.to.queues.begin_again(&first.queue)?;
        first.queue = Arc::clone(&queue);
        self.to.dispatcher.enqueue_now(&first);
        Ok(queue)
    }
}

impl Queues {
    /// An entry, wherever it is.
    fn unit_at(&self, queue: &Queue, offset: u64) -> Result<Option<Unit>, Error> {
        let mut units = Vec::new();
        if offset < queue.copy_tail(offset, 1, &mut units) {
            self.files
                .read(queue, offset, 1, ColdRead::Allow, &mut units)
                .map_err(Error::io("read", &self.files.dir(queue)))?;
        }
        Ok(units.first().copied())
    }
}
