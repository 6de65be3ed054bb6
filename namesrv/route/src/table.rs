//! The table itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_model::Perm;

use crate::Broker;

/// How many queues of a topic a broker serves, and what may be done with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Queues that consumers see.
    pub read_queues: u32,
    /// Queues that producers see.
    pub write_queues: u32,
    /// What may be done.
    pub perm: Perm,
    /// RocketMQ's topicSysFlag (unit topics).
    pub sys_flag: u32,
}

/// What an operator can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a broker may be silent if it does not say itself. RocketMQ: 120 s, fixed.
    pub broker_expiry: Duration,
    /// Whether a slave may be presented as master while there is none (`supportActingMaster`).
    pub support_acting_master: bool,
    /// Whether a registration also takes the topics out that it does not name
    /// (`deleteTopicWithBrokerRegistration`).
    pub delete_topics_with_registration: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            broker_expiry: Duration::from_mins(2),
            support_acting_master: false,
            delete_topics_with_registration: false,
        }
    }
}

/// Which brokers serve which topics.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    pub(crate) policy: Policy,
    pub(crate) brokers: BTreeMap<Arc<str>, Broker>,
    pub(crate) topics: BTreeMap<Arc<str>, BTreeMap<Arc<str>, QueueConfig>>,
}

impl Routes {
    /// An empty table.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Changes what an operator can choose, from now on.
    pub const fn choose(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// The choices in force.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// All brokers by name.
    #[must_use]
    pub const fn brokers(&self) -> &BTreeMap<Arc<str>, Broker> {
        &self.brokers
    }

    /// All topics, with the brokers that serve them.
    #[must_use]
    pub const fn topics(&self) -> &BTreeMap<Arc<str>, BTreeMap<Arc<str>, QueueConfig>> {
        &self.topics
    }

    /// Takes `broker` away from the topics that `leaving` picks, and topics nobody serves with it.
    pub(crate) fn forget_topics(&mut self, broker: &str, leaving: impl Fn(&str) -> bool) {
        self.topics.retain(|topic, served| {
            if leaving(topic) {
                served.remove(broker);
            }
            !served.is_empty()
        });
    }

    /// Takes the write permission of all of a broker's topics; returns how many topics it serves.
    pub(crate) fn take_write_perm(&mut self, broker: &str) -> usize {
        self.each_topic_of(broker, |queues| queues.perm.0 &= !Perm::WRITE)
    }

    /// Runs `change` on each topic of `broker`; returns how many there are.
    pub(crate) fn each_topic_of(
        &mut self,
        broker: &str,
        mut change: impl FnMut(&mut QueueConfig),
    ) -> usize {
        self.topics
            .values_mut()
            .filter_map(|served| served.get_mut(broker))
            .map(&mut change)
            .count()
    }
}
