//! The options of the ops listener.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Health, metrics and control API over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen; nothing switches the listener off. RocketMQ's own Prometheus exporter has
    /// the same port.
    #[schemars(with = "Option<String>")]
    pub listen: Option<SocketAddr>,
    /// Most connections at a time; further ones are closed at once.
    pub connections_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from(([127, 0, 0, 1], 5557))), connections_max: 256 }
    }
}
