//! The options of logs over OTLP.

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::otlp::Endpoint;

/// Section `[telemetry.logs]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The collector, as `http://HOST:PORT` or `https://HOST:PORT`. Empty: none; the log goes to stderr
    /// either way.
    pub endpoint: String,
    /// Events that wait to be exported; further ones are dropped and counted.
    #[schemars(range(min = 1, max = 65_536))]
    pub queue_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { endpoint: String::new(), queue_max: 2_048 }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that no exporter could work with.
    pub fn validate(&self) -> Result<(), OptionError> {
        Endpoint::check(&self.endpoint)?;
        OptionError::check_range("queue_max", &self.queue_max, &(1..=65_536))
    }

    /// Whether there is anybody to export to.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.endpoint.is_empty()
    }
}
