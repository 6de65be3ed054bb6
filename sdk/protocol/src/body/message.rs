//! Looking at messages and consumers at work: 307, 309, 321, 345.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::heartbeat::SubscriptionData;
use super::java_enum;

java_enum! {
    /// How consuming one message went.
    ConsumeMessageResult {
        /// It was consumed.
        Success = "CR_SUCCESS",
        /// It is to come again.
        #[default]
        Later = "CR_LATER",
        /// Orderly: take back.
        Rollback = "CR_ROLLBACK",
        /// Orderly: commit.
        Commit = "CR_COMMIT",
        /// The listener threw.
        ThrowException = "CR_THROW_EXCEPTION",
        /// The listener returned null.
        ReturnNull = "CR_RETURN_NULL",
    }
}

/// The answer to `CONSUME_MESSAGE_DIRECTLY`. Brokers hand it on as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeMessageDirectlyResult {
    /// Whether the consumer commits by itself.
    pub auto_commit: bool,
    /// How it went.
    pub consume_result: ConsumeMessageResult,
    /// Whether the consumer is an orderly one.
    pub order: bool,
    /// What the listener threw.
    pub remark: Option<String>,
    /// How long it took.
    pub spent_time_mills: i64,
}

/// The answer to `QUERY_SUBSCRIPTION_BY_CONSUMER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QuerySubscriptionResponse {
    /// The group.
    pub group: String,
    /// What it wants.
    pub subscription_data: Option<SubscriptionData>,
    /// The topic.
    pub topic: String,
}

/// The answer to `QUERY_CONSUME_QUEUE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryConsumeQueueResponse {
    /// The compiled filter as text; Java writes `null` in quotes if there is none.
    pub filter_data: Option<String>,
    /// The offset after the last.
    pub max_queue_index: i64,
    /// The first offset.
    pub min_queue_index: i64,
    /// The entries.
    pub queue_data: Vec<ConsumeQueueData>,
    /// What the group wants.
    pub subscription_data: Option<SubscriptionData>,
}

/// An entry of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeQueueData {
    /// The filter bits.
    pub bit_map: Option<String>,
    /// Whether the filter takes it.
    pub eval: bool,
    /// The extended entry.
    pub extend_data_json: Option<String>,
    /// What went wrong.
    pub msg: Option<String>,
    /// The message's place in the log.
    pub physic_offset: i64,
    /// Its size.
    pub physic_size: i32,
    /// Its tag's hash code.
    pub tags_code: i64,
}

/// The answer to `GET_CONSUMER_RUNNING_INFO`: a tree that brokers hand on as bytes and tools print.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConsumerRunningInfo(pub Value);
