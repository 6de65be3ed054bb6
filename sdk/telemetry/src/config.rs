//! What of a process is told to others, and whom.

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::logs::Config as Logs;
use crate::metrics::Config as Metrics;
use crate::otlp::{Config as Otlp, Endpoint};
use crate::traces::Config as Traces;

/// Section `[telemetry]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How spans, metrics and logs get to collectors: over OTLP (`docs/tracing.md`).
    pub otlp: Otlp,
    /// Spans of what the broker does for messages (`docs/tracing.md`).
    pub traces: Traces,
    /// What the ops listener shows at `/metrics`, sent to a collector.
    pub metrics: Metrics,
    /// What the process says about itself, sent to a collector.
    pub logs: Logs,
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that nothing could work with.
    pub fn validate(&self) -> Result<(), OptionError> {
        self.otlp.validate().map_err(|error| error.within("otlp"))?;
        self.traces.validate().map_err(|error| error.within("traces"))?;
        self.metrics.validate().map_err(|error| error.within("metrics"))?;
        self.logs.validate().map_err(|error| error.within("logs"))
    }

    /// The endpoints that there are, each with its option.
    pub fn endpoints(&self) -> impl Iterator<Item = (&'static str, Endpoint)> {
        let all = [
            ("telemetry.traces.endpoint", &self.traces.endpoint),
            ("telemetry.metrics.endpoint", &self.metrics.endpoint),
            ("telemetry.logs.endpoint", &self.logs.endpoint),
        ];
        all.into_iter().filter_map(|(option, text)| Some((option, Endpoint::parse(text)?)))
    }
}
