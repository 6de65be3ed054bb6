//! The options.

use std::time::Duration;

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the broker reports to name servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Milliseconds between two signs of life; values outside of 10,000 to 60,000 are brought
    /// inside. RocketMQ: `registerNameServerPeriod`.
    pub report_ms: u64,
    /// Whether the topics are sent with every sign of life, instead of only when the name server
    /// knows another version. RocketMQ: `forceRegister`.
    pub report_in_full: bool,
    /// After a change of topics was reported, how many milliseconds the next change waits for
    /// further ones.
    pub change_pause_ms: u64,
    /// Milliseconds a name server has to accept a connection.
    #[schemars(range(min = 1))]
    pub connect_timeout_ms: u64,
    /// Milliseconds a name server has to answer. RocketMQ: `registerBrokerTimeoutMills`.
    #[schemars(range(min = 1))]
    pub answer_timeout_ms: u64,
    /// Milliseconds until an unreachable name server is tried again; doubled with every failure,
    /// up to `retry_ms_max`.
    pub retry_ms: u64,
    /// Most milliseconds until an unreachable name server is tried again.
    pub retry_ms_max: u64,
    /// Whether the topics are sent compressed. RocketMQ: `compressedRegister`.
    pub compressed: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            report_ms: 30_000,
            report_in_full: false,
            change_pause_ms: 100,
            connect_timeout_ms: 3_000,
            answer_timeout_ms: 10_000,
            retry_ms: 100,
            retry_ms_max: 5_000,
            compressed: false,
        }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option with which no report could get through.
    pub fn validate(&self) -> Result<(), OptionError> {
        OptionError::check_least("connect_timeout_ms", &self.connect_timeout_ms, &1)?;
        OptionError::check_least("answer_timeout_ms", &self.answer_timeout_ms, &1)
    }

    pub(crate) fn report_period(&self) -> Duration {
        Duration::from_millis(self.report_ms.clamp(10_000, 60_000))
    }

    pub(crate) fn change_pause(&self) -> Duration {
        Duration::from_millis(self.change_pause_ms)
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.answer_timeout_ms)
    }

    /// How long to wait after `failures` failures in a row (counted from 1).
    pub(crate) fn retry_after(&self, failures: u32) -> Duration {
        let doubled = self.retry_ms.saturating_mul(1 << failures.saturating_sub(1).min(20));
        Duration::from_millis(doubled.min(self.retry_ms_max).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_is_given_some_time() {
        assert_eq!(Config::default().validate(), Ok(()));
        let none = Config { answer_timeout_ms: 0, ..Config::default() };
        assert_eq!(none.validate().unwrap_err().option, "answer_timeout_ms");
        let none = Config { connect_timeout_ms: 0, ..Config::default() };
        assert_eq!(none.validate().unwrap_err().option, "connect_timeout_ms");
    }

    #[test]
    fn retries_slow_down_to_the_limit() {
        let config = Config::default();
        let waits: Vec<_> = (1..9).map(|n| config.retry_after(n).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(config.retry_after(u32::MAX).as_millis(), 5000);
    }

    #[test]
    fn the_period_stays_between_10_and_60_seconds() {
        let period = |report_ms| Config { report_ms, ..Config::default() }.report_period();
        assert_eq!(period(1).as_secs(), 10);
        assert_eq!(period(30_000).as_secs(), 30);
        assert_eq!(period(600_000).as_secs(), 60);
    }
}
