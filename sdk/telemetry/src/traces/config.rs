//! The options of traces.

use std::time::Duration;

use blockhouse_meter::spans::Rules;
use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::otlp::Endpoint;

/// Section `[telemetry.traces]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The collector, as `http://HOST:PORT` or `https://HOST:PORT`. Empty: no traces.
    pub endpoint: String,
    /// How much is recorded of what comes without a `traceparent`, which decides otherwise: from 0
    /// (nothing) to 1 (all).
    pub head_ratio: f64,
    /// Record whatever takes at least so long, in milliseconds; 0 does not.
    pub slow_ms: u64,
    /// Record whatever is refused or fails.
    pub errors: bool,
    /// Make spans of what clients with `enableMsgTrace` write into RocketMQ's own trace topic,
    /// `RMQ_SYS_TRACE_TOPIC`, from the start on.
    pub bridge: bool,
    /// Records that wait to be exported, of about 200 bytes each; further ones are dropped and counted.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub queue_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            head_ratio: 0.01,
            slow_ms: 500,
            errors: true,
            bridge: false,
            queue_max: 8_192,
        }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that no exporter could work with.
    pub fn validate(&self) -> Result<(), OptionError> {
        Endpoint::check(&self.endpoint)?;
        if !(0.0..=1.0).contains(&self.head_ratio) {
            return Err(OptionError::new("head_ratio", "must be from 0 to 1"));
        }
        OptionError::check_range("queue_max", &self.queue_max, &(1..=1_048_576))?;
        Ok(())
    }

    /// Whether there is anybody to export to.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.endpoint.is_empty()
    }

    /// What is recorded.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let slow = Some(Duration::from_millis(self.slow_ms)).filter(|slow| !slow.is_zero());
        Rules { head: self.head_ratio, slow, errors: self.errors }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option that is to be refused, and what makes it wrong.
    type Case = (&'static str, fn(&mut Config));

    #[test]
    fn what_no_exporter_could_work_with_is_refused() {
        assert_eq!(Config::default().validate(), Ok(()));
        let set: [Case; 7] = [
            ("endpoint", |c| c.endpoint = "127.0.0.1:4317".to_owned()),
            ("endpoint", |c| c.endpoint = "http://host".to_owned()),
            ("head_ratio", |c| c.head_ratio = 1.1),
            ("head_ratio", |c| c.head_ratio = f64::NAN),
            ("head_ratio", |c| c.head_ratio = -0.1),
            ("queue_max", |c| c.queue_max = 0),
            ("queue_max", |c| c.queue_max = 1_048_577),
        ];
        for (option, set) in set {
            let mut config = Config::default();
            set(&mut config);
            assert_eq!(config.validate().unwrap_err().option, option, "{config:?}");
        }
    }
}
