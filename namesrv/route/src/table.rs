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

/// How much there may be: whoever speaks to a name server can report brokers that are none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Processes of all brokers.
    pub(crate) members: usize,
    /// Topics, each as often as there are brokers that serve it.
    pub(crate) places: usize,
}

/// Most processes of all brokers together.
pub const MEMBERS_MAX: usize = 10_000;
/// Most topics, each counted as often as there are brokers that serve it.
pub const PLACES_MAX: usize = 2_000_000;

impl Default for Bounds {
    fn default() -> Self {
        Self { members: MEMBERS_MAX, places: PLACES_MAX }
    }
}

/// Which brokers serve which topics.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    pub(crate) bounds: Bounds,
    /// Topics, each as often as there are brokers that serve it.
    pub(crate) places: usize,
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

    /// Topics, each counted as often as there are brokers that serve it.
    #[must_use]
    pub const fn places(&self) -> usize {
        self.places
    }

    /// Takes `broker` away from the topics that `leaving` picks, and topics nobody serves with it.
    pub(crate) fn forget_topics(&mut self, broker: &str, leaving: impl Fn(&str) -> bool) {
        let places = &mut self.places;
        self.topics.retain(|topic, served| {
            if leaving(topic) && served.remove(broker).is_some() {
                *places -= 1;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use blockhouse_model::DataVersion;

    use super::*;
    use crate::{ConnectionId, QueueRoute, Registered, Registration, ReportedTopics};

    fn report<'a>(broker: &'a str, topics: &[&str], counter: i64) -> Registration<'a> {
        let queues = QueueConfig { read_queues: 1, write_queues: 1, perm: Perm::RW, sys_flag: 0 };
        Registration {
            cluster: "c",
            broker,
            id: 0,
            addr: broker,
            ha_addr: None,
            zone: None,
            timeout: None,
            acting_master: None,
            topics: ReportedTopics {
                version: DataVersion { state_version: 0, timestamp: 1, counter },
                queues: topics.iter().map(|topic| (Arc::from(*topic), queues)).collect(),
            },
            filter_servers: None,
            connection: ConnectionId(1),
        }
    }

    #[test]
    fn brokers_and_their_topics_are_bounded_and_those_that_leave_make_room() {
        let mut routes = Routes { bounds: Bounds { members: 2, places: 5 }, ..Routes::default() };
        let take = |routes: &mut Routes, broker, topics: &[&str], counter| {
            routes.register(&report(broker, topics, counter), Duration::ZERO) != Registered::Full
        };
        assert!(take(&mut routes, "a", &["t", "u"], 1) && take(&mut routes, "b", &["t", "u"], 1));
        assert!(!take(&mut routes, "x", &[], 1), "a third broker");
        assert!(!take(&mut routes, "a", &["t", "u", "v", "w"], 2), "a sixth topic");
        assert_eq!(routes.places(), 4, "a refused report changes nothing");
        assert!(take(&mut routes, "a", &["t", "u", "v"], 2));
        let queues = QueueConfig { read_queues: 1, write_queues: 1, perm: Perm::RW, sys_flag: 0 };
        let one = [QueueRoute { broker: "a".into(), queues }];
        assert!(!routes.register_topic("w", &one) && routes.register_topic("v", &one));
        assert!(routes.delete_topic("v", None) && routes.register_topic("w", &one));
        assert_eq!(routes.places(), 5);
        routes.unregister("b", "b").unwrap();
        assert_eq!(routes.places(), 3);
        assert!(take(&mut routes, "x", &["t", "y"], 1));
    }
}
