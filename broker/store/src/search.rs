//! Looking things up: by time, by place, by key.

use blockhouse_model::{PhysicalOffset, QueueId, QueueOffset, Timestamp, properties};
use blockhouse_record::{Checked, View, check, layout, view};
use bytes::Bytes;

use crate::Error;
use crate::index::{Find, key_hash};
use crate::queue::{Queue, Unit};
use crate::queue_files::Got;
use crate::read::{Boundary, ColdRead, QueryOutcome, QueueBounds};
use crate::shape::TAG_KEY;
use crate::store::{Shared, Store};

/// Messages that one query gives at most (RocketMQ: `maxMsgsNumBatch`).
pub const QUERY_MAX: usize = 64;
/// Records that one query reads at most in search of its key.
const CANDIDATES_MAX: usize = 4 * QUERY_MAX;
/// Larger records are taken for damage.
const RECORD_MAX: usize = 64 << 20;

impl Store {
    /// The queue's first offset, 0 for an unknown queue.
    #[must_use]
    pub fn min_offset(&self, topic: &str, queue: QueueId) -> QueueOffset {
        QueueOffset(self.shared.queues.find(topic, queue).map_or(0, |queue| queue.min()))
    }

    /// The queue's end, 0 for an unknown queue.
    #[must_use]
    pub fn max_offset(&self, topic: &str, queue: QueueId) -> QueueOffset {
        QueueOffset(self.shared.queues.find(topic, queue).map_or(0, |queue| queue.max()))
    }

    /// The offset of a moment, with RocketMQ's meaning of boundaries. May wait for the disk.
    ///
    /// Lower: the first message at or after it, the queue's end if there is none. Upper: the last
    /// message at or before it, 0 if there is none.
    #[must_use]
    pub fn offset_by_time(
        &self,
        topic: &str,
        queue: QueueId,
        time: Timestamp,
        boundary: Boundary,
    ) -> QueueOffset {
        let Some(queue) = self.shared.queues.find(topic, queue) else { return QueueOffset(0) };
        let (mut low, mut high) = (queue.min(), queue.max());
        while low < high {
            let mid = low + (high - low) / 2;
            let is_before = self.shared.time_of(&queue, mid).is_none_or(|at| match boundary {
                Boundary::Lower => at < time,
                Boundary::Upper => at <= time,
            });
            if is_before { low = mid + 1 } else { high = mid }
        }
        QueueOffset(match boundary {
            Boundary::Lower => low,
            Boundary::Upper if low == queue.min() => 0,
            Boundary::Upper => low - 1,
        })
    }

    /// When the message at an offset was stored. May wait for the disk.
    #[must_use]
    pub fn store_time_of(
        &self,
        topic: &str,
        queue: QueueId,
        offset: QueueOffset,
    ) -> Option<Timestamp> {
        let queue = self.shared.queues.find(topic, queue)?;
        (offset.0 >= queue.min() && offset.0 < queue.max())
            .then(|| self.shared.time_of(&queue, offset.0))?
    }

    /// When the queue's first message was stored. May wait for the disk.
    #[must_use]
    pub fn earliest_store_time(&self, topic: &str, queue: QueueId) -> Option<Timestamp> {
        self.store_time_of(topic, queue, self.min_offset(topic, queue))
    }

    /// When the log's first message was stored. May wait for the disk.
    #[must_use]
    pub fn earliest_message_time(&self) -> Option<Timestamp> {
        self.shared.time_at(self.shared.log.min())
    }

    /// The record at a place of the log, if one begins there.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] if it is not in memory and `cold` forbids waiting.
    pub fn message_at(&self, at: PhysicalOffset, cold: ColdRead) -> Result<Option<Bytes>, Error> {
        self.shared.message_at(at, cold)
    }

    /// Finds the newest messages with a key or unique key, at most 64, in the order of the log; with
    /// `index_tags`, a tag is found as the key `T#tag`. May wait for the disk.
    #[must_use]
    pub fn query(
        &self,
        topic: &str,
        key: &str,
        max: usize,
        begin: Timestamp,
        end: Timestamp,
    ) -> QueryOutcome {
        let max = max.min(QUERY_MAX);
        let find = Find { hash: key_hash(topic, key), begin: begin.0, end: end.0 };
        let mut records: Vec<Bytes> = Vec::new();
        let mut last = None;
        let mut candidates = 0;
        let found = self.shared.index.find(find, &mut |physical| {
            candidates += 1;
            // A message with the same key twice has two entries.
            if last.replace(physical) != Some(physical)
                && records.len() < max
                && let Ok(Some(bytes)) =
                    self.shared.message_at(PhysicalOffset(physical), ColdRead::Allow)
                && has_key(&bytes, topic, key)
            {
                records.push(bytes);
            }
            records.len() < max && candidates < CANDIDATES_MAX
        });
        if let Err(e) = found {
            tracing::warn!("cannot read the index: {e}");
        }
        records.reverse();
        let (index_last_update_timestamp, index_last_update_offset) =
            self.shared.index.last_update();
        QueryOutcome { records, index_last_update_timestamp, index_last_update_offset }
    }

    /// All queues, or those of one topic, by topic and id.
    #[must_use]
    pub fn queues(&self, topic: Option<&str>) -> Vec<QueueBounds> {
        let mut queues = self.shared.queues.list(topic);
        queues.sort_by(|a, b| (&a.topic, a.id).cmp(&(&b.topic, b.id)));
        let bounds = |queue: &std::sync::Arc<Queue>| QueueBounds {
            topic: queue.topic.clone(),
            queue: queue.id,
            min: QueueOffset(queue.min()),
            max: QueueOffset(queue.max()),
        };
        queues.iter().map(bounds).collect()
    }
}

/// Whether the record really is of that topic and has that key: hashes collide.
fn has_key(record: &[u8], topic: &str, key: &str) -> bool {
    let Ok(view) = View::parse(record) else { return false };
    let is_key = |text: &str| text.split(' ').any(|word| word == key);
    let tag = key.strip_prefix(TAG_KEY);
    view.topic == topic
        && (view.property(properties::UNIQUE_KEY) == Some(key)
            || view.property(properties::KEYS).is_some_and(is_key)
            || (tag.is_some() && view.property(properties::TAGS) == tag))
}

/// Whether the bytes are a record that is not damaged.
fn is_whole(record: &[u8], at: PhysicalOffset) -> bool {
    let is_whole = matches!(check(record), Ok(Checked::Message(_)));
    if !is_whole {
        tracing::error!("the record at {at} of the log is damaged");
    }
    is_whole
}

impl Shared {
    fn unit_at(&self, queue: &Queue, offset: u64) -> Option<Unit> {
        let mut units = Vec::new();
        match self.units(queue, offset, 1, ColdRead::Allow, &mut units) {
            Got::Units => units.first().copied().filter(|unit| unit.is_entry()),
            Got::Missing | Got::WouldBlock | Got::Failed => None,
        }
    }

    fn time_of(&self, queue: &Queue, offset: u64) -> Option<Timestamp> {
        self.time_at(PhysicalOffset(self.unit_at(queue, offset)?.physical))
    }

    pub(crate) fn time_at(&self, at: PhysicalOffset) -> Option<Timestamp> {
        let head = self.log.read(at, layout::HEAD_LEN, ColdRead::Allow).ok()??;
        view::store_timestamp(&head)
    }

    pub(crate) fn message_at(
        &self,
        at: PhysicalOffset,
        cold: ColdRead,
    ) -> Result<Option<Bytes>, Error> {
        let Some(head) = self.log.read(at, layout::HEAD_LEN, cold)? else { return Ok(None) };
        let place = head.get(layout::PHYSICAL_OFFSET..).and_then(<[u8]>::first_chunk::<8>);
        let is_record = view::store_timestamp(&head).is_some()
            && place.is_some_and(|place| u64::from_be_bytes(*place) == at.0);
        match view::total_size(&head) {
            Some(size) if is_record && (layout::HEAD_LEN..=RECORD_MAX).contains(&size) => {
                let record = self.log.read(at, size, cold)?;
                Ok(record.filter(|bytes| is_whole(bytes, at)))
            }
            _ => Ok(None),
        }
    }
}
