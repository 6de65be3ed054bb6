//! What the broker says of itself, and what it hears back.

use std::collections::BTreeMap;
use std::sync::Arc;

use blockhouse_model::{DataVersion, TopicConfig};
use tokio::sync::watch;

/// Who the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its cluster (`brokerClusterName`).
    pub cluster: String,
    /// Its name (`brokerName`).
    pub broker: String,
    /// Its id (`brokerId`); 0 is a master.
    pub id: u64,
    /// Where clients reach it: advertised host and port.
    pub addr: String,
    /// Where slaves reach it.
    pub ha_addr: String,
}

/// All topics of the broker at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Their version.
    pub version: DataVersion,
    /// The topics. With fewer than two, name servers refuse a broker they do not know.
    pub topics: Vec<TopicConfig>,
}

/// What a name server answers to a full report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// To a slave: the master's address.
    pub master_addr: Option<String>,
    /// To a slave: where it replicates from.
    pub ha_addr: Option<String>,
    /// The name server's `ORDER_TOPIC_CONFIG`, if it sent that: queue counts by topic.
    pub order_topics: Option<BTreeMap<String, String>>,
}

/// The broker's topics, as the registrar needs them.
pub trait Reported: Send + Sync + 'static {
    /// All topics with their version, of one moment.
    fn snapshot(&self) -> Snapshot;

    /// The version alone.
    fn version(&self) -> DataVersion;

    /// A name server took the report in.
    fn answered(&self, _name_server: &str, _answer: &Answer) {}
}

/// Where the owner of the topics says that they changed. Clones are the same place.
#[derive(Clone, Debug)]
pub struct Changes(Arc<watch::Sender<u64>>);

impl Changes {
    /// A place where nothing has changed yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// The topics have changed. Never blocks; many changes in a row become one report.
    pub fn tell(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

impl Default for Changes {
    fn default() -> Self {
        Self::new()
    }
}
