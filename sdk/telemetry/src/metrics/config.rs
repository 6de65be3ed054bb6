//! The options of metrics over OTLP.

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::otlp::Endpoint;

/// Section `[telemetry.metrics]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The collector, as `http://HOST:PORT` or `https://HOST:PORT` (RocketMQ: `metricsGrpcExporterTarget`).
    /// Empty: none; the ops listener shows metrics either way.
    pub endpoint: String,
    /// How often they are sent, in milliseconds (RocketMQ: `metricGrpcExporterIntervalInMills`).
    #[schemars(range(min = 100, max = 3_600_000))]
    pub interval_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { endpoint: String::new(), interval_ms: 60_000 }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that no exporter could work with.
    pub fn validate(&self) -> Result<(), OptionError> {
        Endpoint::check(&self.endpoint)?;
        OptionError::check_range("interval_ms", &self.interval_ms, &(100..=3_600_000))
    }

    /// Whether there is anybody to export to.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.endpoint.is_empty()
    }
}
