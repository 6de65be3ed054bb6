//! The name server's section of the configuration.

use blockhouse_namesrv_remoting::Settings;
use blockhouse_transport::Limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where brokers and clients connect to, as host and port; port 0 picks a free one.
    /// RocketMQ: `listenPort`.
    pub listen: String,
    /// Options that can also be changed while it runs.
    pub service: Settings,
    /// Bounds on what clients may take.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9876".to_owned(),
            service: Settings::default(),
            limits: Limits::default(),
        }
    }
}
