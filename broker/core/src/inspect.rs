//! What operators ask: messages by key and id, how far groups and queues are.

use std::time::Duration;

use blockhouse_model::java::tags_code;
use blockhouse_model::{PhysicalOffset, QueueId, QueueOffset, Timestamp, Topic};
use blockhouse_record::{View, records};
use blockhouse_store::{ColdRead, Purpose, QueryOutcome, ReadRequest, Store};
use bytes::Bytes;

use crate::pull::deliver::looked_up;
use crate::refusal::{Refusal, RefusalKind};
use crate::stats::Kind;
use crate::{Broker, Caller, blocking};

/// Rates are told for the last minute.
const MINUTE: Duration = Duration::from_secs(60);
/// Most messages that one query by key gives.
const QUERY_MAX: usize = 1_024;

/// A search for messages by key.
#[derive(Clone, Debug)]
pub struct KeyQuery {
    /// The topic.
    pub topic: String,
    /// The key, or a unique key.
    pub key: String,
    /// At most so many.
    pub messages_max: usize,
    /// Stored at or after.
    pub begin: Timestamp,
    /// Stored at or before.
    pub end: Timestamp,
}

/// A queue of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueState {
    /// The queue.
    pub queue: QueueId,
    /// Its first offset.
    pub min: QueueOffset,
    /// Its end.
    pub max: QueueOffset,
    /// When its last message was stored.
    pub last_stored: Option<Timestamp>,
}

/// A group's place in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The topic.
    pub topic: Topic,
    /// The queue.
    pub queue: QueueId,
    /// The queue's end.
    pub broker_offset: QueueOffset,
    /// What the group committed.
    pub consumer_offset: QueueOffset,
    /// How far it has read, ahead of what it committed.
    pub pull_offset: QueueOffset,
    /// When the last message it committed was stored.
    pub last_consumed: Option<Timestamp>,
}

/// A group's progress in its topics.
#[derive(Clone, Debug)]
pub struct GroupProgress {
    /// All queues.
    pub queues: Vec<Progress>,
    /// Messages per second delivered to it.
    pub rate: f64,
}

/// The span of time that a queue covers, and where a group is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// The queue.
    pub queue: QueueId,
    /// When its first message was stored.
    pub first_stored: Option<Timestamp>,
    /// When its last message was stored.
    pub last_stored: Option<Timestamp>,
    /// When the last message that the group committed was stored.
    pub consumed: Option<Timestamp>,
    /// How old the group's next message is.
    pub behind: Duration,
}

/// An entry of a ConsumeQueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    /// Where the message is.
    pub physical_offset: PhysicalOffset,
    /// Bytes of its record.
    pub size: usize,
    /// Hash of its tag.
    pub tags_code: i64,
}

impl Broker {
    /// Messages by key, newest first; maybe none. Who asks may have messages of the topic; whether also those that only
    /// wait there is asked here.
    ///
    /// # Errors
    /// They are not for whoever asks, or the broker is stopping.
    pub async fn messages_by_key(
        &self,
        caller: Caller<'_>,
        query: KeyQuery,
    ) -> Result<QueryOutcome, Refusal> {
        caller.authorize_waiting(&query.topic)?;
        let store = self.shared_store();
        let max = query.messages_max.min(QUERY_MAX);
        let find = move || store.query(&query.topic, &query.key, max, query.begin, query.end);
        let mut found = blocking(find).await?;
        let records = found.records.into_iter();
        found.records = records.filter_map(|r| looked_up(caller, "", r)).collect();
        Ok(found)
    }

    /// The message at a place of the log, for a consumer group or (empty) for nobody in particular.
    ///
    /// # Errors
    /// There is none.
    pub async fn message_at(
        &self,
        caller: Caller<'_>,
        group: &str,
        offset: PhysicalOffset,
    ) -> Result<Bytes, Refusal> {
        let store = self.shared_store();
        let found = blocking(move || store.message_at(offset, ColdRead::Allow)).await?;
        let found = found.ok().flatten().and_then(|record| looked_up(caller, group, record));
        found.ok_or_else(|| {
            let reason = format!("can not find message by the offset, {offset}");
            Refusal::new(RefusalKind::SystemError, reason)
        })
    }

    /// When the oldest message of the log was stored.
    ///
    /// # Errors
    /// The broker is stopping.
    pub async fn earliest_message(&self) -> Result<Option<Timestamp>, Refusal> {
        let store = self.shared_store();
        blocking(move || store.earliest_message_time()).await
    }

    /// All queues of a topic, and messages per second stored in it.
    ///
    /// # Errors
    /// No such topic.
    pub async fn topic_state(&self, topic: &str) -> Result<(Vec<QueueState>, f64), Refusal> {
        let config = self.topic(topic)?;
        let queues = config.read_queues.max(config.write_queues);
        let store = self.shared_store();
        let name = config.name.clone();
        let states = blocking(move || {
            (0..queues).map(|queue| queue_state(&store, &name, QueueId(queue))).collect()
        });
        let rate = self.stats().rate(Kind::TopicPut, topic, self.clock().now(), MINUTE);
        Ok((states.await?, rate.unwrap_or_default().messages_per_second()))
    }

    /// A group's progress: in the topics named, else in all it committed in. Topics that a group
    /// with live members does not subscribe to (any more) are left out, unless they are named.
    ///
    /// # Errors
    /// The broker is stopping.
    pub async fn group_progress(
        &self,
        group: &str,
        topics: Option<Vec<String>>,
    ) -> Result<GroupProgress, Refusal> {
        let named = topics.is_some();
        let mut topics = topics.unwrap_or_else(|| self.committed_topics(group));
        if !named {
            topics.retain(|topic| self.may_consume(group, topic));
        }
        let mut places = Vec::new();
        let mut rate = 0.0;
        for topic in &topics {
            let Some(config) = self.topics().find(topic) else { continue };
            for queue in (0..config.read_queues).map(QueueId) {
                let committed = self.offsets().query(group, topic, queue).unwrap_or_default();
                let pulled = self.offsets().query_pulled(group, topic, queue).unwrap_or_default();
                places.push((config.name.clone(), queue, committed, pulled.max(committed)));
            }
            let key = format!("{topic}@{group}");
            let of_topic = self.stats().rate(Kind::GroupGet, &key, self.clock().now(), MINUTE);
            rate += of_topic.unwrap_or_default().messages_per_second();
        }
        let store = self.shared_store();
        let queues = blocking(move || {
            let place = |(topic, queue, committed, pulled)| Progress {
                pull_offset: pulled,
                ..progress(&store, topic, queue, committed)
            };
            places.into_iter().map(place).collect()
        });
        Ok(GroupProgress { queues: queues.await?, rate })
    }

    /// The topics in which a group committed progress.
    #[must_use]
    pub fn committed_topics(&self, group: &str) -> Vec<String> {
        self.offsets().topics_of(group).iter().map(ToString::to_string).collect()
    }

    /// The groups that consume a topic: those connected, and those with progress in it.
    #[must_use]
    pub fn groups_of_topic(&self, topic: &str) -> Vec<String> {
        let mut groups: Vec<String> =
            self.offsets().groups_of(topic).iter().map(ToString::to_string).collect();
        groups.extend(self.clients().groups_of_topic(topic).iter().map(ToString::to_string));
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// Whether a topic counts as a group's: nobody of it is connected, or somebody subscribes.
    fn may_consume(&self, group: &str, topic: &str) -> bool {
        self.clients().subscriptions(group).is_empty()
            || self.clients().subscription(group, topic).is_some()
    }

    /// The time that each queue of a topic covers, and where a group is in it.
    ///
    /// # Errors
    /// No such topic.
    pub async fn time_spans(&self, topic: &str, group: &str) -> Result<Vec<TimeSpan>, Refusal> {
        let config = self.topic(topic)?;
        let name = config.name.clone();
        let places: Vec<_> = (0..config.write_queues)
            .map(QueueId)
            .map(|queue| (queue, self.offsets().query(group, topic, queue)))
            .collect();
        let (store, now) = (self.shared_store(), self.clock().now());
        let span = move |(queue, offset)| time_span(&store, &name, queue, offset, now);
        blocking(move || places.into_iter().map(span).collect()).await
    }

    /// Entries of a ConsumeQueue, from `index` on.
    ///
    /// # Errors
    /// No such queue.
    pub async fn queue_entries(
        &self,
        topic: &str,
        queue: QueueId,
        index: QueueOffset,
        count: usize,
    ) -> Result<(QueueState, Vec<QueueEntry>), Refusal> {
        let missing = || {
            let reason = format!("{queue}@{topic} is not exist!");
            Refusal::new(RefusalKind::SystemError, reason)
        };
        let config = self.topics().find(topic).ok_or_else(missing)?;
        if !self.store().queues(Some(topic)).iter().any(|bounds| bounds.queue == queue) {
            return Err(missing());
        }
        let name = config.name.clone();
        let store = self.shared_store();
        blocking(move || {
            if count == 0 {
                return (queue_state(&store, &name, queue), Vec::new());
            }
            let request = ReadRequest {
                topic: &name,
                queue,
                from: index,
                max_messages: count.min(QUERY_MAX),
                max_bytes: 64 << 20,
                cold: ColdRead::Allow,
                purpose: Purpose::Look,
            };
            let read = store.read(&request, &mut |_: i64| true);
            let views = read.slices.iter().flat_map(|slice| records(slice).map_while(Result::ok));
            (queue_state(&store, &name, queue), views.map(|view| entry(&view)).collect())
        })
        .await
    }
}

fn entry(view: &View<'_>) -> QueueEntry {
    QueueEntry {
        physical_offset: view.physical_offset,
        size: view.bytes.len(),
        tags_code: tags_code(view.properties),
    }
}

fn queue_state(store: &Store, topic: &str, queue: QueueId) -> QueueState {
    let (min, max) = (store.min_offset(topic, queue), store.max_offset(topic, queue));
    QueueState { queue, min, max, last_stored: stored_before(store, topic, queue, max) }
}

/// When the message before `offset` was stored.
fn stored_before(
    store: &Store,
    topic: &str,
    queue: QueueId,
    offset: QueueOffset,
) -> Option<Timestamp> {
    store.store_time_of(topic, queue, QueueOffset(offset.0.checked_sub(1)?))
}

fn progress(store: &Store, topic: Topic, queue: QueueId, offset: QueueOffset) -> Progress {
    Progress {
        broker_offset: store.max_offset(&topic, queue),
        consumer_offset: offset,
        pull_offset: offset,
        last_consumed: stored_before(store, &topic, queue, offset),
        topic,
        queue,
    }
}

fn time_span(
    store: &Store,
    topic: &str,
    queue: QueueId,
    offset: Option<QueueOffset>,
    now: Timestamp,
) -> TimeSpan {
    let state = queue_state(store, topic, queue);
    let first_stored = store.earliest_store_time(topic, queue);
    let offset = offset.unwrap_or_default();
    let next = if offset < state.max { store.store_time_of(topic, queue, offset) } else { None };
    TimeSpan {
        queue,
        first_stored,
        last_stored: state.last_stored,
        consumed: stored_before(store, topic, queue, offset).or(first_stored),
        behind: next.map_or(Duration::ZERO, |at| now.since(at)),
    }
}
