//! Where groups are in their queues, and where queues begin and end.

use blockhouse_hook::{Ack, Point};
use blockhouse_meta::offsets::{PAIRS_MAX, PLACES_MAX};
use blockhouse_meta::topics::QUEUES_MAX;
use blockhouse_model::{Access, Action, QueueId, QueueOffset, Resource, Timestamp, TopicConfig};
use blockhouse_store::{Boundary, ColdRead, Purpose, ReadRequest};

use std::sync::Arc;

use crate::refusal::{Refusal, RefusalKind};
use crate::traced::Progress;
use crate::{Broker, Caller, blocking};

/// A queue's first message counts as still in memory while it is at most this far behind the log's
/// end. RocketMQ takes 40 % of the machine's memory; what matters is only that a new group starts
/// at the beginning of a young queue.
const IN_MEMORY: u64 = 4 << 30;

/// A group's place in a queue, as a request names it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue: i32,
}

impl Place<'_> {
    fn accesses(&self) -> [Access<'_>; 2] {
        [
            Access { action: Action::Sub, resource: Resource::Topic(self.topic) },
            Access { action: Action::Sub, resource: Resource::Group(self.group) },
        ]
    }
}

/// Why progress in a queue was not taken.
fn no_room(queue: QueueId) -> String {
    if queue.0 >= QUEUES_MAX {
        return format!("queueId[{queue}]: no topic has more than {QUEUES_MAX} queues");
    }
    format!(
        "the broker keeps the progress of at most {PAIRS_MAX} pairs of group and topic, in at most {PLACES_MAX} \
         queues: delete groups that nobody needs (`blockhouse admin group delete GROUP --with-offsets`)"
    )
}

impl Broker {
    /// How far a group is. A group that never committed is at 0 if the queue is young enough to
    /// still hold its first message in memory; else it is not known, and the consumer starts where
    /// it is configured to.
    ///
    /// # Errors
    /// `NotFound` for a group without progress.
    pub fn query_offset(
        &self,
        caller: Caller<'_>,
        place: Place<'_>,
        zero_if_unknown: bool,
    ) -> Result<QueueOffset, Refusal> {
        caller.authorize(&place.accesses())?;
        let unknown = |reason| Err(Refusal::new(RefusalKind::NotFound, reason));
        let Some(queue) = QueueId::from_i32(place.queue) else {
            return unknown("Not found, queueId is negative");
        };
        if let Some(offset) = self.offsets().query(place.group, place.topic, queue) {
            return Ok(offset);
        }
        if !zero_if_unknown {
            return unknown("Not found, do not set to zero, maybe this group boot first");
        }
        if self.store().min_offset(place.topic, queue) == QueueOffset::ZERO
            && self.first_is_young(place.topic, queue)
        {
            return Ok(QueueOffset::ZERO);
        }
        unknown("Not found, maybe this group consumer boot first")
    }

    fn first_is_young(&self, topic: &str, queue: QueueId) -> bool {
        let request = ReadRequest {
            topic,
            queue,
            from: QueueOffset::ZERO,
            max_messages: 1,
            max_bytes: 1,
            cold: ColdRead::Refuse,
            purpose: Purpose::Send,
        };
        let read = self.store().read(&request, &mut |_: i64| true);
        read.count > 0 && read.behind <= IN_MEMORY
    }

    /// Commits a group's progress. Returns `false` if an operator's reset, which the consumer has
    /// not seen yet, stands in the way; that is not an error to the client.
    ///
    /// # Errors
    /// No such topic or group, or an impossible value.
    pub fn commit_offset(
        &self,
        caller: Caller<'_>,
        place: Place<'_>,
        offset: i64,
    ) -> Result<bool, Refusal> {
        caller.authorize(&place.accesses())?;
        if self.groups().find(place.group).is_none() {
            return Err(Refusal::no_group(place.group));
        }
        if self.topics().find(place.topic).is_none() {
            return Err(Refusal::no_topic(place.topic));
        }
        let (Some(queue), Some(offset)) =
            (QueueId::from_i32(place.queue), QueueOffset::from_i64(offset))
        else {
            return Err(Refusal::invalid("queueId and commitOffset must not be negative"));
        };
        if self.offsets().has_reset(place.group, place.topic, queue) {
            return Ok(false);
        }
        let Place { group, topic, .. } = place;
        if !self.commit(caller.cx, Progress { group, topic, queue, offset }) {
            return Err(Refusal::new(RefusalKind::SystemError, no_room(queue)));
        }
        if caller.hooks.has(Point::Ack) {
            let ack = Ack { group: place.group, topic: place.topic, queue, offset };
            caller.hooks.ack(caller.cx, &ack);
        }
        Ok(true)
    }

    /// The end of a queue: the offset that its next message will have.
    ///
    /// # Errors
    /// No such topic.
    pub fn max_offset(
        &self,
        caller: Caller<'_>,
        topic: &str,
        queue: i32,
    ) -> Result<QueueOffset, Refusal> {
        let queue = self.readable(caller, topic, queue)?;
        Ok(queue.map_or(QueueOffset::ZERO, |queue| self.store().max_offset(topic, queue)))
    }

    /// The first offset of a queue.
    ///
    /// # Errors
    /// No such topic.
    pub fn min_offset(
        &self,
        caller: Caller<'_>,
        topic: &str,
        queue: i32,
    ) -> Result<QueueOffset, Refusal> {
        let queue = self.readable(caller, topic, queue)?;
        Ok(queue.map_or(QueueOffset::ZERO, |queue| self.store().min_offset(topic, queue)))
    }

    /// The offset of a moment.
    ///
    /// # Errors
    /// No such topic.
    pub async fn offset_by_time(
        &self,
        caller: Caller<'_>,
        topic: &str,
        queue: i32,
        time: Timestamp,
        boundary: Boundary,
    ) -> Result<QueueOffset, Refusal> {
        let Some(queue) = self.readable(caller, topic, queue)? else {
            return Ok(QueueOffset::ZERO);
        };
        let (store, topic) = (self.shared_store(), topic.to_owned());
        blocking(move || store.offset_by_time(&topic, queue, time, boundary)).await
    }

    /// When the queue's first message was stored; `None` if it is empty.
    ///
    /// # Errors
    /// No such topic.
    pub async fn earliest_store_time(
        &self,
        caller: Caller<'_>,
        topic: &str,
        queue: i32,
    ) -> Result<Option<Timestamp>, Refusal> {
        let Some(queue) = self.readable(caller, topic, queue)? else { return Ok(None) };
        let (store, topic) = (self.shared_store(), topic.to_owned());
        blocking(move || store.earliest_store_time(&topic, queue)).await
    }

    /// The queue, if the client may look at it and the number can be one. A topic that is not
    /// there, or a queue past its last, is simply empty: RocketMQ answers so, and tools count on it.
    fn readable(
        &self,
        caller: Caller<'_>,
        topic: &str,
        queue: i32,
    ) -> Result<Option<QueueId>, Refusal> {
        let resource = Resource::Topic(topic);
        caller.authorize(&[Access { action: Action::Get, resource }])?;
        Ok(QueueId::from_i32(queue))
    }

    /// A topic that a request names.
    ///
    /// # Errors
    /// There is no such topic.
    pub fn topic(&self, topic: &str) -> Result<Arc<TopicConfig>, Refusal> {
        self.topics().find(topic).ok_or_else(|| Refusal::no_topic(topic))
    }
}
