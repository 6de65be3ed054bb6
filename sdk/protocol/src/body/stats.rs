//! Progress and statistics: 202, 208, 315, 317.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::MessageQueue;

/// The answer to `GET_TOPIC_STATS_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicStatsTable {
    /// How far the queues go.
    pub offset_table: BTreeMap<MessageQueue, TopicOffset>,
    /// Messages stored per second.
    pub topic_put_tps: f64,
}

/// How far a queue goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicOffset {
    /// When the newest message was stored, 0 if there is none.
    pub last_update_timestamp: i64,
    /// The offset after the last.
    pub max_offset: i64,
    /// The first offset.
    pub min_offset: i64,
}

/// The answer to `GET_CONSUME_STATS`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeStats {
    /// Messages delivered per second.
    pub consume_tps: f64,
    /// How far the group is.
    pub offset_table: BTreeMap<MessageQueue, OffsetWrapper>,
}

/// How far a group is in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OffsetWrapper {
    /// The offset after the queue's last.
    pub broker_offset: i64,
    /// What the group has committed.
    pub consumer_offset: i64,
    /// When the message before the committed offset was stored.
    pub last_timestamp: i64,
    /// What the group has pulled.
    pub pull_offset: i64,
}

/// The answer to `GET_BROKER_CONSUME_STATS`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeStatsList {
    /// The broker.
    pub broker_addr: String,
    /// One map per group, with one entry per topic.
    pub consume_stats_list: Vec<BTreeMap<String, Vec<ConsumeStats>>>,
    /// Messages that are not committed.
    pub total_diff: i64,
    /// Messages that are pulled but not committed.
    pub total_inflight_diff: i64,
}

/// The answer to `VIEW_BROKER_STATS_DATA`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerStatsData {
    /// Over the last day.
    pub stats_day: BrokerStatsItem,
    /// Over the last hour.
    pub stats_hour: BrokerStatsItem,
    /// Over the last minute.
    pub stats_minute: BrokerStatsItem,
}

/// A statistic over a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrokerStatsItem {
    /// The average per call.
    pub avgpt: f64,
    /// The sum.
    pub sum: i64,
    /// The sum per second.
    pub tps: f64,
}
