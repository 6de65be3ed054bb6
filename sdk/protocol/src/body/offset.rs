//! Offsets of groups: 43, 45, 220 to 223, 303, 308.

use std::collections::BTreeMap;

use blockhouse_model::DataVersion;
use serde::{Deserialize, Serialize};

use super::MessageQueue;

/// The answer to `INVOKE_BROKER_TO_RESET_OFFSET`, and the body of `RESET_CONSUMER_CLIENT_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResetOffsetBody {
    /// The new offsets.
    pub offset_table: BTreeMap<MessageQueue, i64>,
}

/// The answer to `GET_CONSUMER_STATUS_FROM_CLIENT` and `INVOKE_BROKER_TO_GET_CONSUMER_STATUS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerStatusBody {
    /// By client, what it has consumed.
    pub consumer_table: BTreeMap<String, BTreeMap<MessageQueue, i64>>,
    /// What one client has consumed.
    pub message_queue_table: BTreeMap<MessageQueue, i64>,
}

/// The answer to `GET_ALL_CONSUMER_OFFSET`, and RocketMQ's `consumerOffset.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerOffsets {
    /// The offsets' version.
    pub data_version: Option<DataVersion>,
    /// By group, its topics. Derived from `offset_table`.
    pub group_topic_map: Option<BTreeMap<String, Vec<String>>>,
    /// By `topic@group` and queue, the offset.
    pub offset_table: BTreeMap<String, BTreeMap<i32, i64>>,
}

/// The answer to `GET_ALL_DELAY_OFFSET`, and RocketMQ's `delayOffset.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DelayOffsets {
    /// The offsets' version.
    pub data_version: Option<DataVersion>,
    /// By delay level, the offset.
    pub offset_table: BTreeMap<i32, i64>,
}

/// The answer to `QUERY_CORRECTION_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CorrectionOffsets {
    /// By queue, the lowest offset of the other groups.
    pub correction_offsets: BTreeMap<i32, i64>,
}

/// The answer to `QUERY_CONSUME_TIME_SPAN`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeTimeSpans {
    /// One per queue.
    pub consume_time_span_set: Vec<QueueTimeSpan>,
}

/// From when to when a queue's messages are, and where a group is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueTimeSpan {
    /// When the message at the group's offset was stored.
    pub consume_time_stamp: i64,
    /// The same as text, by the server's local time.
    pub consume_time_stamp_str: Option<String>,
    /// How old that message is.
    pub delay_time: i64,
    /// When the last message was stored.
    pub max_time_stamp: i64,
    /// The same as text.
    pub max_time_stamp_str: Option<String>,
    /// The queue.
    pub message_queue: MessageQueue,
    /// When the first message was stored.
    pub min_time_stamp: i64,
    /// The same as text.
    pub min_time_stamp_str: Option<String>,
}
