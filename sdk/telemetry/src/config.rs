//! What of a process is told to others, and whom.

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::traces::Config as Traces;

/// Section `[telemetry]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Spans of what the broker does for messages (`docs/tracing.md`).
    pub traces: Traces,
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that nothing could work with.
    pub fn validate(&self) -> Result<(), OptionError> {
        self.traces.validate().map_err(|error| error.within("traces"))
    }
}
