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
    /// What it committed, summed over queues; `u64::MAX` where that is more.
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
    /// For how long it has been behind with members connected, and has committed nothing: since the first pass
    /// that saw it so.
    pub stuck: Duration,
}

/// What is kept from one pass to the next.
#[derive(Debug, Default)]
pub struct LagTimes {
    /// When the messages were stored at which groups stood: one that stands still is not looked up in the log
    /// again.
    stored: HashMap<(Topic, QueueId, QueueOffset), Timestamp>,
    /// What groups that are behind with members connected had committed, and since when on the monotonic clock.
    still: HashMap<(Topic, Group), (u64, Duration)>,
}

impl Broker {
    /// All groups with progress, by topic. Reads the log where a group is behind: may wait for the disk.
    pub fn lags(&self, times: &mut LagTimes) -> Vec<Lag> {
        let mut pass = Pass { broker: self, before: std::mem::take(times), now: times };
        let all = self.offsets().all();
        all.into_iter().map(|((topic, group), places)| pass.lag(topic, group, &places)).collect()
    }
}

struct Pass<'a> {
    broker: &'a Broker,
    before: LagTimes,
    now: &'a mut LagTimes,
}

impl Pass<'_> {
    fn lag(&mut self, topic: Topic, group: Group, places: &[(QueueId, QueueOffset)]) -> Lag {
        let (store, offsets) = (self.broker.store(), self.broker.offsets());
        let (mut messages, mut ready) = (0, 0);
        // Clients commit what they like, up to `i64::MAX` for each queue.
        let all_committed = places.iter().fold(0, |all: u64, (_, at)| all.saturating_add(at.0));
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
        let mut lag = Lag {
            topic,
            group,
            committed: all_committed,
            messages,
            ready,
            behind,
            queueing,
            members,
            stuck: Duration::ZERO,
        };
        if messages > 0 && members > 0 {
            lag.stuck = self.stands_still(&lag);
        }
        lag
    }

    /// For how long a group has committed nothing, as far as passes have seen it.
    fn stands_still(&mut self, lag: &Lag) -> Duration {
        let (key, now) = ((lag.topic.clone(), lag.group.clone()), self.broker.clock().monotonic());
        let before =
            self.before.still.get(&key).filter(|(committed, _)| *committed == lag.committed);
        let since = before.map_or(now, |(_, since)| *since);
        self.now.still.insert(key, (lag.committed, since));
        now.saturating_sub(since)
    }

    /// How old a message is.
    fn age(&mut self, topic: &Topic, queue: QueueId, offset: QueueOffset) -> Duration {
        let key = (topic.clone(), queue, offset);
        let known = self.before.stored.get(&key).or_else(|| self.now.stored.get(&key)).copied();
        let stored = known.or_else(|| self.broker.store().store_time_of(topic, queue, offset));
        // It was deleted since: then it keeps nobody waiting.
        let Some(stored) = stored else { return Duration::ZERO };
        self.now.stored.insert(key, stored);
        let age = self.broker.clock().now().0.saturating_sub(stored.0);
        // Another broker's clock may have been ahead.
        Duration::from_millis(u64::try_from(age).unwrap_or(0))
    }
}
