//! What a broker can be told about its use cases.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Section `[broker]`: what clients may do and what they are told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "RocketMQ's own independent switches")]
pub struct Config {
    /// Create a topic when the first message for it arrives (RocketMQ: `autoCreateTopicEnable`).
    /// Switch it off where topics are provisioned.
    pub auto_create_topic: bool,
    /// Create a consumer group when it first appears (RocketMQ: `autoCreateSubscriptionGroup`).
    pub auto_create_subscription_group: bool,
    /// Queues of a topic that is created by a send, unless the client asks for fewer
    /// (RocketMQ: `defaultTopicQueueNums`). At least 1.
    pub default_topic_queues: u32,
    /// Start though the data directory holds what is not served: half messages of transactions,
    /// timer messages, POP deliveries. They stay where they are.
    pub allow_inert: bool,
    /// Largest message body in bytes (RocketMQ: `maxMessageSize`).
    pub max_message_size: u32,
    /// Hold a pull that finds nothing until a message arrives or the client's time is over
    /// (RocketMQ: `longPollingEnable`).
    pub long_polling: bool,
    /// How long a pull waits when `long_polling` is off, in milliseconds
    /// (RocketMQ: `shortPollingTimeMills`).
    pub short_polling_ms: u64,
    /// The region that clients are told (RocketMQ: `regionId`).
    pub region_id: String,
    /// Tell clients to send message traces, if they can (RocketMQ: `traceOn`).
    pub trace_on: bool,
    /// Have the topic that takes message traces (RocketMQ: `traceTopicEnable`).
    pub trace_topic: bool,
    /// What may be done with this broker: 6 read and write, 4 read only, 2 write only
    /// (RocketMQ: `brokerPermission`).
    pub permission: u32,
    /// Waiting times of the delay levels (RocketMQ: `messageDelayLevel`).
    pub message_delay_level: String,
    /// Tell consumers at once when a member joins or leaves their group
    /// (RocketMQ: `notifyConsumerIdsChangedEnable`).
    pub notify_consumer_ids_changed: bool,
    /// How many messages one pull may get from memory
    /// (RocketMQ: `maxTransferCountOnMessageInMemory`).
    pub pull_messages_max: usize,
    /// How many bytes one pull may get (RocketMQ: `maxTransferBytesOnMessageInMemory`).
    pub pull_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            auto_create_topic: true,
            auto_create_subscription_group: true,
            default_topic_queues: 8,
            allow_inert: false,
            max_message_size: 4 * 1024 * 1024,
            long_polling: true,
            short_polling_ms: 1_000,
            region_id: "DefaultRegion".to_owned(),
            trace_on: true,
            trace_topic: false,
            permission: 6,
            message_delay_level: blockhouse_model::delay::DEFAULT_LEVELS.to_owned(),
            notify_consumer_ids_changed: true,
            pull_messages_max: 32,
            pull_bytes_max: 256 * 1024,
        }
    }
}
