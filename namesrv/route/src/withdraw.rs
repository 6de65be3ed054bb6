//! Brokers that leave.

use std::sync::Arc;
use std::time::Duration;

use crate::{ConnectionId, Routes};

/// A broker process that left the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// Its cluster.
    pub cluster: Arc<str>,
    /// Its broker name.
    pub broker: Arc<str>,
    /// Its id.
    pub id: u64,
    /// Its address.
    pub addr: Arc<str>,
    /// The connection it had registered over.
    pub connection: ConnectionId,
    /// Whether it was the last of its name, so that its topics went with it.
    pub last: bool,
}

impl Routes {
    /// A broker says that it leaves. As in RocketMQ the address decides, not the id.
    pub fn unregister(&mut self, broker: &str, addr: &str) -> Option<Withdrawn> {
        self.drop_address(broker, addr)
    }

    /// Takes all processes out that have been silent for too long; their connections should be
    /// closed.
    pub fn expire(&mut self, now: Duration) -> Vec<Withdrawn> {
        self.withdraw_where(|member| member.expired(now))
    }

    /// Takes all processes out that had registered over `connection`.
    pub fn connection_closed(&mut self, connection: ConnectionId) -> Vec<Withdrawn> {
        self.withdraw_where(|member| member.connection == connection)
    }

    fn withdraw_where(&mut self, leaving: impl Fn(&crate::Member) -> bool) -> Vec<Withdrawn> {
        let mut addresses = Vec::new();
        for (name, broker) in &self.brokers {
            for member in broker.members.values().filter(|m| leaving(m)) {
                addresses.push((Arc::clone(name), Arc::clone(&member.addr)));
            }
        }
        addresses.iter().filter_map(|(name, addr)| self.drop_address(name, addr)).collect()
    }

    /// Takes one address of a broker name out, and the name with its topics if it was the last.
    pub(crate) fn drop_address(&mut self, name: &str, addr: &str) -> Option<Withdrawn> {
        let broker = self.brokers.get_mut(name)?;
        let id = broker.members.iter().find(|(_, m)| *m.addr == *addr).map(|(id, _)| *id)?;
        let member = broker.members.remove(&id)?;
        let withdrawn = Withdrawn {
            cluster: Arc::clone(&broker.cluster),
            broker: Arc::from(name),
            id,
            addr: member.addr,
            connection: member.connection,
            last: broker.members.is_empty(),
        };
        if withdrawn.last {
            self.brokers.remove(name);
            self.forget_topics(name, |_| true);
        } else if broker.acting_master && !broker.has_master() {
            // A stand-in serves reads only.
            self.take_write_perm(name);
        }
        Some(withdrawn)
    }
}
