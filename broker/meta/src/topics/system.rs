//! The topics that a broker has without being asked, with the queues and permissions that a Java
//! broker gives them: tools show them all.

use blockhouse_model::{Perm, Topic, TopicConfig, names};

use super::owners::TopicShares;

/// Most topics if nothing is said: with names as long as any, a report of all of them still fits the largest
/// frame that name servers take.
pub const TOPICS_MAX: usize = 20_000;

/// How a broker's own topics are named and which there are.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "RocketMQ's own independent switches")]
pub struct TopicSettings {
    /// The cluster's name, which is a topic.
    pub cluster: String,
    /// The broker's name, which is a topic.
    pub broker: String,
    /// Whether unknown topics are created when a message for them arrives.
    pub auto_create: bool,
    /// Most topics, the broker's own included; there may be more in the file.
    pub topics_max: usize,
    /// How many of them users may make.
    pub shares: TopicShares,
    /// Queues of the template topic.
    pub template_queues: u32,
    /// Whether there is a topic for message traces.
    pub trace_topic: bool,
    /// Whether the cluster's topic can be used (RocketMQ: `clusterTopicEnable`).
    pub cluster_topic: bool,
    /// Whether the broker's topic can be used (RocketMQ: `brokerTopicEnable`).
    pub broker_topic: bool,
    /// Whether there is a topic for timer messages (RocketMQ: `timerWheelEnable`).
    pub timer_topic: bool,
    /// Queues of the topic for POP check points (RocketMQ: `reviveQueueNum`).
    pub revive_queues: u32,
    /// Refuse changes of the broker's own topics
    /// (RocketMQ: `validateSystemTopicWhenUpdateTopic`).
    pub validate_system_topic: bool,
    /// Allow topics of mixed message types (RocketMQ: `enableMixedMessageType`).
    pub mixed_message_type: bool,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self {
            cluster: "DefaultCluster".to_owned(),
            broker: "broker-a".to_owned(),
            auto_create: true,
            topics_max: TOPICS_MAX,
            shares: TopicShares::default(),
            template_queues: 8,
            trace_topic: false,
            cluster_topic: true,
            broker_topic: true,
            timer_topic: true,
            revive_queues: 8,
            validate_system_topic: true,
            mixed_message_type: false,
        }
    }
}

const INHERIT: u32 = Perm::INHERIT;
const RW: u32 = Perm::RW.0;
/// Queues of a Java broker's topics when nothing is said.
const DEFAULT_QUEUES: u32 = 16;
/// The topic has these queues whatever the delay levels are.
const SCHEDULE_QUEUES: u32 = 18;
const BENCHMARK_QUEUES: u32 = 1_024;

/// The topics of a broker with these settings.
pub(super) fn topics(settings: &TopicSettings) -> Vec<TopicConfig> {
    let usable = |on: bool| if on { INHERIT | RW } else { INHERIT };
    let cluster = &settings.cluster;
    let mut topics = vec![
        topic(names::SELF_TEST_TOPIC, 1, RW),
        topic(names::BENCHMARK_TOPIC, BENCHMARK_QUEUES, RW),
        topic(cluster, DEFAULT_QUEUES, usable(settings.cluster_topic)),
        topic(&settings.broker, 1, usable(settings.broker_topic)),
        topic(names::OFFSET_MOVED_EVENT, 1, RW),
        topic(names::SCHEDULE_TOPIC, SCHEDULE_QUEUES, RW),
        topic(&format!("{cluster}_{}", names::REPLY_TOPIC_POSTFIX), 1, RW),
        topic(&format!("rmq_sys_REVIVE_LOG_{cluster}"), settings.revive_queues, RW),
        topic(&format!("rmq_sys_SYNC_BROKER_MEMBER_{}", settings.broker), 1, INHERIT),
        topic(names::TRANS_HALF_TOPIC, 1, RW),
        topic(names::TRANS_OP_HALF_TOPIC, 1, RW),
    ];
    if settings.auto_create {
        topics.push(topic(names::AUTO_CREATE_TOPIC, settings.template_queues, INHERIT | RW));
    }
    if settings.trace_topic {
        topics.push(topic(names::TRACE_TOPIC, 1, RW));
    }
    if settings.timer_topic {
        topics.push(topic(names::TIMER_TOPIC, 1, RW));
    }
    topics
}

fn topic(name: &str, queues: u32, perm: u32) -> TopicConfig {
    TopicConfig { perm: Perm(perm), ..TopicConfig::new(Topic::trusted(name), queues) }
}
