//! What a broker knows about a topic and a consumer group, and how it tells versions apart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Group, Perm, Timestamp, Topic};

/// A version of a set of metadata. Newer means a higher `state_version`, then a different counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DataVersion {
    /// Rises when the broker's role changes.
    pub state_version: i64,
    /// When the last change was made.
    pub timestamp: i64,
    /// Rises with each change.
    pub counter: i64,
}

impl DataVersion {
    /// The version after a change at `now`.
    #[must_use]
    pub const fn next(self, now: Timestamp) -> Self {
        Self {
            state_version: self.state_version,
            timestamp: now.0,
            counter: self.counter.saturating_add(1),
        }
    }
}

/// A topic as a broker keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// The topic.
    pub name: Topic,
    /// How many queues consumers see.
    pub read_queues: u32,
    /// How many queues producers see.
    pub write_queues: u32,
    /// What may be done.
    pub perm: Perm,
    /// RocketMQ's topicSysFlag (unit topics).
    pub sys_flag: u32,
    /// Whether the topic is an ordered one (advice to tools).
    pub order: bool,
    /// `message.type`, `queue.type`, `cleanup.policy`, ...
    pub attributes: BTreeMap<String, String>,
}

impl TopicConfig {
    /// A readable and writeable topic with `queues` queues.
    #[must_use]
    pub fn new(name: Topic, queues: u32) -> Self {
        Self {
            name,
            read_queues: queues,
            write_queues: queues,
            perm: Perm::RW,
            sys_flag: 0,
            order: false,
            attributes: BTreeMap::new(),
        }
    }
}

/// A consumer group as a broker keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "RocketMQ's own independent switches")]
pub struct SubscriptionGroup {
    /// The group.
    pub name: Group,
    /// Whether the group may consume at all.
    pub consume_enable: bool,
    /// Whether a new group may start at a queue's beginning.
    pub consume_from_min_enable: bool,
    /// Whether the group may consume in broadcasting mode.
    pub consume_broadcast_enable: bool,
    /// Whether POP consumption is in order.
    pub consume_message_orderly: bool,
    /// Queues of the retry topic.
    pub retry_queues: u32,
    /// Redeliveries before a message goes to the dead-letter topic.
    pub retry_max_times: i32,
    /// The broker id that the group reads from.
    pub broker_id: u64,
    /// The broker id it is sent to when it lags.
    pub which_broker_when_consume_slowly: u64,
    /// Whether consumers hear of joins and leaves at once.
    pub notify_consumer_ids_changed_enable: bool,
    /// RocketMQ's groupSysFlag.
    pub sys_flag: i32,
    /// Minutes a consumer may work on a message.
    pub consume_timeout_minute: i32,
    /// Attributes (none defined in RocketMQ 5.3, `priority.factor` in 5.4).
    pub attributes: BTreeMap<String, String>,
}

impl SubscriptionGroup {
    /// A group with RocketMQ's defaults.
    #[must_use]
    pub const fn new(name: Group) -> Self {
        Self {
            name,
            consume_enable: true,
            consume_from_min_enable: true,
            consume_broadcast_enable: true,
            consume_message_orderly: false,
            retry_queues: 1,
            retry_max_times: 16,
            broker_id: 0,
            which_broker_when_consume_slowly: 1,
            notify_consumer_ids_changed_enable: true,
            sys_flag: 0,
            consume_timeout_minute: 15,
            attributes: BTreeMap::new(),
        }
    }
}
