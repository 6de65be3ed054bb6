//! A broker's report of itself and its topics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use blockhouse_model::{DataVersion, Perm};

use crate::broker::MASTER_ID;
use crate::{Broker, ConnectionId, Member, QueueConfig, Routes};

/// The topics of a broker, with their version.
#[derive(Clone, Debug, Default)]
pub struct ReportedTopics {
    /// Tells one state of the broker's topics from another.
    pub version: DataVersion,
    /// The topics by name.
    pub queues: BTreeMap<Arc<str>, QueueConfig>,
}

/// What a broker says when it registers.
#[derive(Clone, Debug)]
pub struct Registration<'a> {
    /// Its cluster.
    pub cluster: &'a str,
    /// Its name, shared by a master and its slaves.
    pub broker: &'a str,
    /// Its id; 0 is the master.
    pub id: u64,
    /// Where clients reach it.
    pub addr: &'a str,
    /// Where slaves reach it.
    pub ha_addr: Option<&'a str>,
    /// Its zone.
    pub zone: Option<&'a str>,
    /// How long it may be silent, if it says so.
    pub timeout: Option<Duration>,
    /// Whether a slave may stand in for the master; brokers before RocketMQ 5.0 do not say.
    pub acting_master: Option<bool>,
    /// Its topics.
    pub topics: ReportedTopics,
    /// Filter servers beside it; `None` leaves what is known.
    pub filter_servers: Option<Vec<Arc<str>>>,
    /// The connection it speaks over.
    pub connection: ConnectionId,
}

/// What came of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The broker is in the table.
    Accepted {
        /// For a slave whose master is here: the master's address and replication address.
        master: Option<(Arc<str>, Option<Arc<str>>)>,
        /// Whether this id of this broker was not registered before.
        first: bool,
        /// How many topics are new or different now.
        topics_changed: usize,
        /// The address that had this id of this broker until now, if it was another.
        instead_of: Option<Arc<str>>,
    },
    /// Another address holds this id with a newer state version; nothing is kept of the caller.
    /// RocketMQ answers success without a master.
    Outdated,
    /// A broker that is not known yet reported a single topic: that is a change report, whose full
    /// report must come first.
    FullReportFirst,
    /// There are as many brokers, or topics of brokers, as there may be.
    Full,
}

impl Routes {
    /// Takes a broker's report in at the monotonic time `now`.
    ///
    /// Unlike RocketMQ, a report that is refused leaves no empty broker name behind, and a broker
    /// that changes its cluster or its name is under the new one only.
    pub fn register(&mut self, report: &Registration<'_>, now: Duration) -> Registered {
        let known = self.brokers.get(report.broker);
        if known.is_some_and(|b| b.holds_newer(report)) {
            self.drop_address(report.broker, report.addr);
            return Registered::Outdated;
        }
        // One topic is what a broker sends after a change (RocketMQ 5.x single topic register).
        let id_known = known.is_some_and(|b| b.members.contains_key(&report.id));
        if !id_known && report.topics.queues.len() == 1 {
            return Registered::FullReportFirst;
        }
        let same_version = known
            .and_then(|b| b.at(report.addr))
            .is_some_and(|m| m.version == report.topics.version);

        if !self.has_room(report, id_known) {
            return Registered::Full;
        }
        self.leave_other_names(report);
        let (name, instead_of) = self.admit(report, now);
        let unchanged = id_known && same_version;
        let topics_changed = self.take_topics(&name, report, unchanged);
        Registered::Accepted {
            master: self.master_for(&name, report.id),
            first: !id_known,
            topics_changed,
            instead_of,
        }
    }

    /// Whether all that a report says can be kept.
    fn has_room(&self, report: &Registration<'_>, id_known: bool) -> bool {
        let members = || self.brokers.values().map(|broker| broker.members.len()).sum::<usize>();
        if !id_known && members() >= self.bounds.members {
            return false;
        }
        let queues = &report.topics.queues;
        if self.places + queues.len() <= self.bounds.places {
            return true;
        }
        // Most of them are known, as a rule.
        let is_new = |topic: &Arc<str>| {
            self.topics.get(topic).is_none_or(|served| !served.contains_key(report.broker))
        };
        self.places + queues.keys().filter(|topic| is_new(topic)).count() <= self.bounds.places
    }

    /// Puts the process under its id; returns the name as the table holds it, and the other address that had the id.
    fn admit(&mut self, report: &Registration<'_>, now: Duration) -> (Arc<str>, Option<Arc<str>>) {
        let name = self.brokers.get_key_value(report.broker).map(|(name, _)| Arc::clone(name));
        let name = name.unwrap_or_else(|| Arc::from(report.broker));
        let broker = self.brokers.entry(Arc::clone(&name)).or_insert_with(|| Broker {
            cluster: Arc::from(report.cluster),
            zone: None,
            acting_master: false,
            members: BTreeMap::new(),
        });
        if *broker.cluster != *report.cluster {
            broker.cluster = Arc::from(report.cluster);
        }
        broker.zone = report.zone.map(Arc::from);
        broker.acting_master = report.acting_master.unwrap_or(false);
        let filter_servers = match &report.filter_servers {
            Some(servers) => servers.clone(),
            None => broker.at(report.addr).map(|m| m.filter_servers.clone()).unwrap_or_default(),
        };
        // An address that switches roles stands under its new id only.
        broker.members.retain(|id, m| *id == report.id || *m.addr != *report.addr);
        let member = Member {
            addr: Arc::from(report.addr),
            ha_addr: report.ha_addr.map(Arc::from),
            version: report.topics.version,
            seen: now,
            timeout: report.timeout.unwrap_or(self.policy.broker_expiry),
            connection: report.connection,
            filter_servers,
        };
        let before = broker.members.insert(report.id, member).map(|member| member.addr);
        (name, before.filter(|addr| **addr != *report.addr))
    }

    /// Takes the topics of a master, or of the lowest slave while there is no master.
    /// `unchanged`: the version is the one known, so that only missing topics are added. That is
    /// why a wiped write permission outlives the periodic report, but not the next topic change.
    fn take_topics(
        &mut self,
        name: &Arc<str>,
        report: &Registration<'_>,
        unchanged: bool,
    ) -> usize {
        let Some(broker) = self.brokers.get(name) else { return 0 };
        let slave = report.id != MASTER_ID;
        // Slaves before RocketMQ 5.0 (which do not speak of acting masters) never report topics.
        let prime = report.acting_master.is_some() && broker.lowest_id() == Some(report.id);
        if slave && !prime {
            return 0;
        }
        let read_only = slave && broker.acting_master;
        if self.policy.delete_topics_with_registration {
            let kept: BTreeSet<&str> = report.topics.queues.keys().map(AsRef::as_ref).collect();
            self.forget_topics(name, |topic| !kept.contains(topic));
        }
        let mut changed = 0;
        for (topic, queues) in &report.topics.queues {
            let mut queues = *queues;
            if read_only {
                queues.perm.0 &= !Perm::WRITE;
            }
            let served = self.topics.entry(Arc::clone(topic)).or_default();
            if unchanged && served.contains_key(name) {
                continue;
            }
            let before = served.insert(Arc::clone(name), queues);
            self.places += usize::from(before.is_none());
            changed += usize::from(before != Some(queues));
        }
        changed
    }

    /// An address belongs to one broker name of its cluster: a broker that was renamed leaves its
    /// old name.
    fn leave_other_names(&mut self, report: &Registration<'_>) {
        let old: Vec<_> = self
            .brokers
            .iter()
            .filter(|(name, broker)| {
                ***name != *report.broker && *broker.cluster == *report.cluster
            })
            .filter(|(_, broker)| broker.at(report.addr).is_some())
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in old {
            self.drop_address(&name, report.addr);
        }
    }

    fn master_for(&self, name: &str, id: u64) -> Option<(Arc<str>, Option<Arc<str>>)> {
        let master = self.brokers.get(name)?.members.get(&MASTER_ID)?;
        (id != MASTER_ID).then(|| (Arc::clone(&master.addr), master.ha_addr.clone()))
    }

    /// Whether the topics that `addr` would report differ from those known.
    #[must_use]
    pub fn topics_changed(&self, cluster: &str, addr: &str, version: DataVersion) -> bool {
        self.known_version(cluster, addr) != Some(version)
    }

    /// The version of the topics last reported by `addr`.
    #[must_use]
    pub fn known_version(&self, cluster: &str, addr: &str) -> Option<DataVersion> {
        let brokers = self.brokers.values().filter(|b| *b.cluster == *cluster);
        brokers.filter_map(|b| b.at(addr)).map(|m| m.version).next()
    }

    /// A sign of life of `addr`. Returns whether it is known.
    pub fn heartbeat(&mut self, cluster: &str, addr: &str, now: Duration) -> bool {
        let mut brokers = self.brokers.values_mut().filter(|b| *b.cluster == *cluster);
        let member = brokers.find_map(|b| b.at_mut(addr));
        if let Some(member) = member {
            member.seen = now;
            return true;
        }
        false
    }
}

impl Broker {
    /// Whether another address has the reported id with a higher state version (a fenced master
    /// that comes back does not take the id from its successor).
    fn holds_newer(&self, report: &Registration<'_>) -> bool {
        self.members.get(&report.id).is_some_and(|m| {
            *m.addr != *report.addr && m.version.state_version > report.topics.version.state_version
        })
    }
}
