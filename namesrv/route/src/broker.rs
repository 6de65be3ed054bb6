//! Brokers as a name server sees them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_model::DataVersion;

/// The broker id of a master; every other id is a slave.
pub const MASTER_ID: u64 = 0;

/// The connection over which a broker last registered; its end takes the broker out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A broker name: a master and its slaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// The cluster it said it belongs to, last.
    pub cluster: Arc<str>,
    /// The zone it said it stands in.
    pub zone: Option<Arc<str>>,
    /// Whether its lowest slave may stand in for a lost master.
    pub acting_master: bool,
    /// The processes, by broker id.
    pub members: BTreeMap<u64, Member>,
}

/// One broker process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where clients reach it.
    pub addr: Arc<str>,
    /// Where slaves reach it.
    pub ha_addr: Option<Arc<str>>,
    /// The version of the topics it reported last.
    pub version: DataVersion,
    /// When it was heard of last (monotonic).
    pub seen: Duration,
    /// How long it may be silent.
    pub timeout: Duration,
    /// Over which connection it registered last.
    pub connection: ConnectionId,
    /// Filter servers of RocketMQ 4.x beside it; handed to consumers as they are.
    pub filter_servers: Vec<Arc<str>>,
}

impl Broker {
    /// The lowest id there is: the master's, or the prime slave's.
    #[must_use]
    pub fn lowest_id(&self) -> Option<u64> {
        self.members.keys().next().copied()
    }

    /// Whether the master itself is registered.
    #[must_use]
    pub fn has_master(&self) -> bool {
        self.members.contains_key(&MASTER_ID)
    }

    /// The member that is reached at `addr`.
    #[must_use]
    pub fn at(&self, addr: &str) -> Option<&Member> {
        self.members.values().find(|m| *m.addr == *addr)
    }

    pub(crate) fn at_mut(&mut self, addr: &str) -> Option<&mut Member> {
        self.members.values_mut().find(|m| *m.addr == *addr)
    }

    /// Addresses by id.
    #[must_use]
    pub fn addrs(&self) -> BTreeMap<u64, Arc<str>> {
        self.members.iter().map(|(id, m)| (*id, Arc::clone(&m.addr))).collect()
    }
}

impl Member {
    /// Whether it has been silent for longer than it may.
    #[must_use]
    pub fn expired(&self, now: Duration) -> bool {
        self.seen.saturating_add(self.timeout) < now
    }
}
