//! The options of the flight recorder.

use std::ops::RangeInclusive;

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds of [`Config::records`].
const RECORDS: RangeInclusive<u32> = 1_024..=1_048_576;
/// Bounds of [`Config::copy_above_p99_ms`].
const ABOVE_MS: RangeInclusive<u64> = 0..=600_000;
/// Bounds of [`Config::copy_window_s`].
const WINDOW_S: RangeInclusive<u64> = 1..=3_600;
/// Bounds of [`Config::copy_requests_min`].
const REQUESTS: RangeInclusive<u64> = 1..=1_000_000;

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
    /// Keep a copy when requests become slow: when 1 of 100 of a code takes longer than so many
    /// milliseconds, pulls that wait for messages aside; 0 does not. A copy is as large as the records:
    /// give the disk room for four.
    #[schemars(range(max = 600_000))]
    pub copy_above_p99_ms: u64,
    /// Over so many seconds requests are looked at together for that.
    #[schemars(range(min = 1, max = 3_600))]
    pub copy_window_s: u64,
    /// Fewer requests of a code than so many in that time say nothing.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub copy_requests_min: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            records: 65_536,
            copy_above_p99_ms: 0,
            copy_window_s: 10,
            copy_requests_min: 100,
        }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that is out of its bounds.
    pub fn validate(&self) -> Result<(), OptionError> {
        OptionError::check_range("records", &self.records, &RECORDS)?;
        OptionError::check_range("copy_above_p99_ms", &self.copy_above_p99_ms, &ABOVE_MS)?;
        OptionError::check_range("copy_window_s", &self.copy_window_s, &WINDOW_S)?;
        OptionError::check_range("copy_requests_min", &self.copy_requests_min, &REQUESTS)
    }
}
