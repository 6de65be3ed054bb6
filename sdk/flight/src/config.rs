//! The options of the flight recorder.

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds of [`Config::records`].
const RECORDS: std::ops::RangeInclusive<u32> = 1_024..=1_048_576;

/// Section `[flight]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Keep records of the last requests.
    pub enabled: bool,
    /// How many, for each shard of threads; there is one per processor, up to 8. A record has 128
    /// bytes, and is of one burst of requests that were answered alike.
    #[schemars(range(min = 1_024, max = 1_048_576))]
    pub records: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: true, records: 65_536 }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that is out of its bounds.
    pub fn validate(&self) -> Result<(), OptionError> {
        OptionError::check_range("records", &self.records, &RECORDS)
    }
}
