//! The options of the ops listener.

use std::net::SocketAddr;

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Health, metrics and control API over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen, as IP and port; `off` switches the listener off. RocketMQ's own Prometheus exporter has
    /// the same port.
    #[schemars(with = "Option<String>")]
    pub listen: Option<SocketAddr>,
    /// Most connections at a time; further ones are closed at once.
    #[schemars(range(min = 1))]
    pub connections_max: usize,
    /// Take HTTPS only, with the certificates of section `tls` (and its `client_auth`). Clients say who they are
    /// by HTTP Basic, with the users of section `authn`, or by a certificate.
    pub tls: bool,
}

impl Default for Config {
    fn default() -> Self {
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 5557)));
        Self { listen, connections_max: 256, tls: false }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option with which nobody could be served.
    pub fn validate(&self) -> Result<(), OptionError> {
        OptionError::check_least("connections_max", &self.connections_max, &1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_takes_one_connection_at_least() {
        assert_eq!(Config::default().validate(), Ok(()));
        let none = Config { connections_max: 0, ..Config::default() };
        assert_eq!(none.validate().unwrap_err().to_string(), "connections_max must be at least 1");
    }
}
