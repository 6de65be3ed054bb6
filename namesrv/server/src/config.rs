//! The name server's section of the configuration.

use std::net::SocketAddr;

use blockhouse_model::OptionError;
use blockhouse_namesrv_remoting::{Registration, Settings};
use blockhouse_transport::Limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where brokers and clients connect to, as IP and port; port 0 picks a free one.
    /// RocketMQ: `listenPort`.
    pub listen: String,
    /// Options that can also be changed while it runs.
    pub service: Settings,
    /// What brokers may report, where clients are asked who they are or what they may.
    pub registration: Registration,
    /// Bounds on what clients may take.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9876".to_owned(),
            service: Settings::default(),
            registration: Registration::default(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that no name server could work with.
    pub fn validate(&self) -> Result<(), OptionError> {
        self.address()?;
        self.service.validate().map_err(|e| e.within("service"))?;
        self.limits.validate().map_err(|e| e.within("limits"))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// `listen` is no address.
    pub fn address(&self) -> Result<SocketAddr, OptionError> {
        let parsed = self.listen.parse();
        parsed.map_err(|_| OptionError::new("listen", "must be IP:PORT"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_named_with_the_section_it_is_in() {
        assert_eq!(Config::default().validate(), Ok(()));
        let refused = |config: Config| config.validate().unwrap_err().option;
        let mut config = Config { listen: "here".to_owned(), ..Config::default() };
        assert_eq!(refused(config.clone()), "listen");
        config.listen = "[::1]:0".to_owned();
        config.limits.connections_max = 0;
        assert_eq!(refused(config.clone()), "limits.connections_max");
        config.service.scan_interval_ms = 0;
        assert_eq!(refused(config), "service.scan_interval_ms");
    }
}
