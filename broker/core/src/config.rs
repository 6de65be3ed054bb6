//! What a broker can be told about its use cases.

use std::num::NonZero;

use blockhouse_model::{DelayLevels, OptionError};
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
    /// Most topics, with the broker's own, retry and dead-letter topics: clients make them up. There may be
    /// more in the files of a data directory that is taken over; new ones are refused then. A report of many more
    /// than the default may be longer than a frame that name servers take (`registrar.compressed`).
    #[schemars(range(min = 100, max = 1_000_000))]
    pub topics_max: usize,
    /// Most consumer groups, with the broker's own; files may have more, as with `topics_max`.
    #[schemars(range(min = 100, max = 1_000_000))]
    pub groups_max: usize,
    /// Most memberships of connected clients in consumer groups, and as many in producer groups: a client has
    /// one in each group that its heartbeats name.
    #[schemars(range(min = 100, max = 16_777_216))]
    pub members_max: usize,
    /// Queues of a topic that is created by a send, unless the client asks for fewer
    /// (RocketMQ: `defaultTopicQueueNums`).
    #[schemars(range(min = 1, max = 65_536))]
    pub default_topic_queues: u32,
    /// Start though the data directory holds what is not served: half messages of transactions,
    /// timer messages, POP deliveries. They stay where they are.
    pub allow_inert: bool,
    /// Largest message body in bytes (RocketMQ: `maxMessageSize`). Below
    /// `transport.frame_len_max`.
    #[schemars(range(min = 1))]
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
    /// Waiting times of the delay levels, at most 128 (RocketMQ: `messageDelayLevel`).
    pub message_delay_level: String,
    /// Tell consumers at once when a member joins or leaves their group
    /// (RocketMQ: `notifyConsumerIdsChangedEnable`).
    pub notify_consumer_ids_changed: bool,
    /// How many messages one pull may get from memory
    /// (RocketMQ: `maxTransferCountOnMessageInMemory`).
    #[schemars(range(min = 1, max = 65_536))]
    pub pull_messages_max: usize,
    /// How many bytes one pull may get (RocketMQ: `maxTransferBytesOnMessageInMemory`).
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub pull_bytes_max: usize,
    /// How many pulls may wait for the disk at a time; 0 is one per processor. Others wait for their turn: consumers
    /// that catch up are not to take the processors and the disk from those who send. More may help consumers of
    /// a disk that is slow to answer and can do many things at once. One connection has at most twice as many that
    /// read, wait for their turn, or were read and are not taken yet.
    #[schemars(range(max = 512))]
    pub cold_reads_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            auto_create_topic: true,
            auto_create_subscription_group: true,
            topics_max: blockhouse_meta::topics::TOPICS_MAX,
            groups_max: blockhouse_meta::groups::GROUPS_MAX,
            members_max: crate::clients::MEMBERS_MAX,
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
            cold_reads_max: 0,
        }
    }
}

impl Config {
    /// How many pulls may wait for the disk at a time.
    pub(crate) fn cold_reads(&self) -> usize {
        match self.cold_reads_max {
            0 => std::thread::available_parallelism().map_or(1, NonZero::get),
            max => max,
        }
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that no broker could work with.
    pub fn validate(&self) -> Result<(), OptionError> {
        let queues_max = blockhouse_meta::topics::QUEUES_MAX;
        let queues = &self.default_topic_queues;
        OptionError::check_range("default_topic_queues", queues, &(1..=queues_max))?;
        OptionError::check_range("topics_max", &self.topics_max, &(100..=1_000_000))?;
        OptionError::check_range("groups_max", &self.groups_max, &(100..=1_000_000))?;
        OptionError::check_range("members_max", &self.members_max, &(100..=1 << 24))?;
        OptionError::check_least("max_message_size", &self.max_message_size, &1)?;
        if !matches!(self.permission, 2 | 4 | 6) {
            let rule = "must be 6 (read and write), 4 (read only) or 2 (write only)";
            return Err(OptionError::new("permission", rule));
        }
        if DelayLevels::parse(&self.message_delay_level).is_none() {
            let rule = "must be up to 128 waiting times like `1s 5s 10m 2h 1d`";
            return Err(OptionError::new("message_delay_level", rule));
        }
        // The region travels as a property of messages, and these characters end one.
        if self.region_id.chars().any(char::is_control) {
            return Err(OptionError::new("region_id", "must be text without control characters"));
        }
        OptionError::check_range("pull_messages_max", &self.pull_messages_max, &(1..=65_536))?;
        OptionError::check_range("cold_reads_max", &self.cold_reads_max, &(0..=512))?;
        OptionError::check_range("pull_bytes_max", &self.pull_bytes_max, &(1..=1 << 30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option that is to be refused, and what makes it wrong.
    type Case = (&'static str, fn(&mut Config));

    #[test]
    fn what_no_broker_could_work_with_is_refused() {
        assert_eq!(Config::default().validate(), Ok(()));
        let set: [Case; 12] = [
            ("topics_max", |c| c.topics_max = 99),
            ("groups_max", |c| c.groups_max = 0),
            ("members_max", |c| c.members_max = usize::MAX),
            ("default_topic_queues", |c| c.default_topic_queues = 0),
            ("default_topic_queues", |c| c.default_topic_queues = 65_537),
            ("max_message_size", |c| c.max_message_size = 0),
            ("permission", |c| c.permission = 99),
            ("permission", |c| c.permission = 0),
            ("message_delay_level", |c| c.message_delay_level = "bogus".to_owned()),
            ("region_id", |c| c.region_id = "a\u{1}b".to_owned()),
            ("pull_messages_max", |c| c.pull_messages_max = 0),
            ("pull_bytes_max", |c| c.pull_bytes_max = 0),
        ];
        for (option, set) in set {
            let mut config = Config::default();
            set(&mut config);
            assert_eq!(config.validate().unwrap_err().option, option);
        }
    }
}
