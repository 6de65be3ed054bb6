//! Questions to the table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::broker::MASTER_ID;
use crate::{Broker, QueueConfig, Routes};

/// RocketMQ's `TopicSysFlag`: the topic belongs to a unit.
pub const UNIT: u32 = 1;
/// RocketMQ's `TopicSysFlag`: the topic is subscribed to from units.
pub const UNIT_SUB: u32 = 1 << 1;
/// Topics that carry the members of a group of brokers; never presented with an acting master.
const MEMBER_GROUP_PREFIX: &str = "rmq_sys_SYNC_BROKER_MEMBER_";

/// Where a topic is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicRoute {
    /// Its queues, by broker.
    pub queues: Vec<QueueRoute>,
    /// The brokers.
    pub brokers: Vec<BrokerRoute>,
    /// Filter servers by broker address; empty unless some broker reported any.
    pub filter_servers: BTreeMap<Arc<str>, Vec<Arc<str>>>,
}

/// A topic's queues on one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRoute {
    /// The broker's name.
    pub broker: Arc<str>,
    /// The queues.
    pub queues: QueueConfig,
}

/// A broker as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRoute {
    /// Its cluster.
    pub cluster: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Addresses by broker id.
    pub addrs: BTreeMap<u64, Arc<str>>,
    /// Its zone.
    pub zone: Option<Arc<str>>,
    /// Whether a slave may stand in for its master.
    pub acting_master: bool,
}

impl BrokerRoute {
    /// What clients see of `broker`.
    #[must_use]
    pub fn of(name: &Arc<str>, broker: &Broker) -> Self {
        Self {
            cluster: Arc::clone(&broker.cluster),
            name: Arc::clone(name),
            addrs: broker.addrs(),
            zone: broker.zone.clone(),
            acting_master: broker.acting_master,
        }
    }

    /// Presents the lowest slave as the master.
    fn present_acting_master(&mut self) {
        if self.acting_master
            && !self.addrs.contains_key(&MASTER_ID)
            && let Some((_, addr)) = self.addrs.pop_first()
        {
            self.addrs.insert(MASTER_ID, addr);
        }
    }
}

impl TopicRoute {
    /// Leaves only the brokers of `zone`, and those without a master: when a master is down, its
    /// slaves are read from across zones.
    pub fn keep_zone(&mut self, zone: &str) {
        let gone = |b: &BrokerRoute| {
            b.addrs.contains_key(&MASTER_ID)
                && !b.zone.as_deref().is_some_and(|z| z.eq_ignore_ascii_case(zone))
        };
        let gone: Vec<_> = self.brokers.extract_if(.., |b| gone(b)).collect();
        self.queues.retain(|q| gone.iter().all(|b| b.name != q.broker));
        for addr in gone.iter().flat_map(|b| b.addrs.values()) {
            self.filter_servers.remove(addr);
        }
    }
}

impl Routes {
    /// Where `topic` is served; `None` if nowhere.
    #[must_use]
    pub fn route(&self, topic: &str) -> Option<TopicRoute> {
        let served = self.topics.get(topic)?;
        let mut route = TopicRoute::default();
        for (name, queues) in served {
            let Some(broker) = self.brokers.get(name) else { continue };
            route.queues.push(QueueRoute { broker: Arc::clone(name), queues: *queues });
            let mut seen = BrokerRoute::of(name, broker);
            for member in broker.members.values().filter(|m| !m.filter_servers.is_empty()) {
                let servers = member.filter_servers.clone();
                route.filter_servers.insert(Arc::clone(&member.addr), servers);
            }
            // While the write permission stands, the missing master is not known to be lost.
            if self.policy.support_acting_master
                && !queues.perm.writeable()
                && !topic.starts_with(MEMBER_GROUP_PREFIX)
            {
                seen.present_acting_master();
            }
            route.brokers.push(seen);
        }
        (!route.brokers.is_empty()).then_some(route)
    }

    /// Broker names by cluster.
    #[must_use]
    pub fn clusters(&self) -> BTreeMap<Arc<str>, BTreeSet<Arc<str>>> {
        let mut clusters: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (name, broker) in &self.brokers {
            clusters.entry(Arc::clone(&broker.cluster)).or_default().insert(Arc::clone(name));
        }
        clusters
    }

    /// The addresses of a broker name by id; empty if it is not known.
    #[must_use]
    pub fn member_group(&self, broker: &str) -> BTreeMap<u64, Arc<str>> {
        self.brokers.get(broker).map(Broker::addrs).unwrap_or_default()
    }

    /// The topics that a cluster serves.
    #[must_use]
    pub fn topics_of_cluster(&self, cluster: &str) -> BTreeSet<Arc<str>> {
        let of_cluster = |name: &Arc<str>| {
            self.brokers.get(name).is_some_and(|broker| *broker.cluster == *cluster)
        };
        let topics = self.topics.iter().filter(|(_, served)| served.keys().any(of_cluster));
        topics.map(|(topic, _)| Arc::clone(topic)).collect()
    }

    /// The topics that brokers make for themselves here, named like clusters and brokers, and the
    /// address of a broker that knows the others.
    #[must_use]
    pub fn system_topics(&self) -> (BTreeSet<Arc<str>>, Option<Arc<str>>) {
        let mut topics: BTreeSet<_> = self.brokers.keys().cloned().collect();
        topics.extend(self.brokers.values().map(|b| Arc::clone(&b.cluster)));
        let broker = self.brokers.values().next().and_then(|b| b.members.values().next());
        (topics, broker.map(|m| Arc::clone(&m.addr)))
    }

    /// Topics whose system flag (of the first broker) pleases `wanted`.
    #[must_use]
    pub fn topics_by_flag(&self, wanted: impl Fn(u32) -> bool) -> BTreeSet<Arc<str>> {
        let first = |served: &BTreeMap<_, QueueConfig>| served.values().next().map(|q| q.sys_flag);
        let topics = self.topics.iter().filter(|(_, served)| first(served).is_some_and(&wanted));
        topics.map(|(topic, _)| Arc::clone(topic)).collect()
    }
}
