//! How far consumer groups are behind, whether or not anybody of them is connected: one pass over all
//! progress that was committed.

use std::collections::HashMap;
use std::time::Duration;

use blockhouse_model::{Group, QueueId, QueueOffset, Timestamp, Topic};

use crate::Broker;

/// Where a group is in a topic, over all queues that it committed in. Queues without progress of it are
/// none of it: only the consumer knows where it would begin in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The topic; a group's retry topic is one too.
    pub topic: Topic,
    /// The group.
    pub group: Group,
    /// What it committed, summed over queues.
    pub committed: u64,
    /// Messages that it has not committed.
    pub messages: u64,
    /// Of these, messages that it has not pulled.
    pub ready: u64,
    /// Age of the oldest message that it has not committed; nothing if there is none.
    pub behind: Duration,
    /// Age of the oldest message that it has not pulled; nothing if there is none.
    pub queueing: Duration,
    /// Members of the group that are connected.
    pub members: usize,
}

/// When the messages were stored at which groups stood in the last pass: one that stands still is not
/// looked up in the log again.
#[derive(Debug, Default)]
pub struct LagTimes(HashMap<(Topic, QueueId, QueueOffset), Timestamp>);

impl Broker {
    /// All groups with progress, by topic. Reads the log where a group is behind: may wait for the disk.
    pub fn lags(&self, times: &mut LagTimes) -> Vec<Lag> {
        let mut pass = Pass { broker: self, before: std::mem::take(&mut times.0), now: times };
        let all = self.offsets().all();
        all.into_iter().map(|((topic, group), places)| pass.lag(topic, group, &places)).collect()
    }
}

struct Pass<'a> {
    broker: &'a Broker,
    before: HashMap<(Topic, QueueId, QueueOffset), Timestamp>,
    now: &'a mut LagTimes,
}

impl Pass<'_> {
    fn lag(&mut self, topic: Topic, group: Group, places: &[(QueueId, QueueOffset)]) -> Lag {
        let (store, offsets) = (self.broker.store(), self.broker.offsets());
        let (mut messages, mut ready) = (0, 0);
        let all_committed = places.iter().map(|(_, committed)| committed.0).sum();
        let (mut behind, mut queueing) = (Duration::ZERO, Duration::ZERO);
        for (queue, committed) in places {
            let (min, max) = (store.min_offset(&topic, *queue), store.max_offset(&topic, *queue));
            // What was deleted unread cannot be read any more, and an offset can lie beyond the end.
            let committed = (*committed).clamp(min, max.max(min));
            let pulled = offsets.query_pulled(&group, &topic, *queue).unwrap_or(committed);
            let pulled = pulled.clamp(committed, max.max(committed));
            messages += max.0.saturating_sub(committed.0);
            ready += max.0.saturating_sub(pulled.0);
            if committed < max {
                behind = behind.max(self.age(&topic, *queue, committed));
            }
            if pulled < max {
                queueing = queueing.max(self.age(&topic, *queue, pulled));
            }
        }
        let members = self.broker.clients().client_ids(&group).len();
        Lag { topic, group, committed: all_committed, messages, ready, behind, queueing, members }
    }

    /// How old a message is.
    fn age(&mut self, topic: &Topic, queue: QueueId, offset: QueueOffset) -> Duration {
        let key = (topic.clone(), queue, offset);
        let known = self.before.get(&key).or_else(|| self.now.0.get(&key)).copied();
        let stored = known.or_else(|| self.broker.store().store_time_of(topic, queue, offset));
        // It was deleted since: then it keeps nobody waiting.
        let Some(stored) = stored else { return Duration::ZERO };
        self.now.0.insert(key, stored);
        let age = self.broker.clock().now().0.saturating_sub(stored.0);
        // Another broker's clock may have been ahead.
        Duration::from_millis(u64::try_from(age).unwrap_or(0))
    }
}
