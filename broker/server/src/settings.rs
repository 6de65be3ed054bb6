//! Everything a broker is told.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// What a broker is to be. The sections belong to the crates that act on them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// RocketMQ: `brokerClusterName`.
    pub cluster: String,
    /// RocketMQ: `brokerName`.
    pub name: String,
    /// RocketMQ: `brokerId`.
    pub broker_id: u64,
    /// The data directory.
    pub data: PathBuf,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Whether the port two below `listen`'s serves as well.
    pub vip_port: bool,
    /// The address that clients are told, if not `listen`'s.
    pub advertise: Option<IpAddr>,
    /// The name servers to report to.
    pub name_servers: Vec<String>,
    /// Use cases.
    pub core: blockhouse_core::Config,
    /// The store.
    pub store: blockhouse_store::Config,
    /// Bounds on clients.
    pub limits: blockhouse_transport::Limits,
    /// Quotas of users and addresses.
    pub quota: blockhouse_remoting::quota::Config,
    /// Reporting.
    pub registrar: blockhouse_registrar::Config,
    /// The configuration in RocketMQ's `key=value` form, for `getBrokerConfig`.
    pub properties: String,
}

/// The store's options with those that it takes from elsewhere: a store is opened with these, and
/// they are what has to be valid.
#[must_use]
pub fn store_config(
    store: &blockhouse_store::Config,
    core: &blockhouse_core::Config,
    data: &Path,
) -> blockhouse_store::Config {
    blockhouse_store::Config {
        dir: data.to_owned(),
        delay_levels: core.message_delay_level.clone(),
        max_message_size: usize::try_from(core.max_message_size).unwrap_or(usize::MAX),
        ..store.clone()
    }
}

impl Settings {
    /// The address that clients are told, with the port that is really listened on.
    #[must_use]
    pub fn advertised(&self, listening: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.advertise.unwrap_or(listening.ip()), listening.port())
    }
}
