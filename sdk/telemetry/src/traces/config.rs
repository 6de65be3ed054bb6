//! The options of traces.

use std::time::Duration;

use blockhouse_meter::spans::{RatioRule, Rules};
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
    /// So many traces a second are recorded at most of what comes without a `traceparent`, slow and failed
    /// requests included; further ones are counted. 0 does not limit.
    #[schemars(range(max = 1_000_000))]
    pub per_second_max: u32,
    /// Ratios of their own for some, each with `topic`, `group` (of producers) and `ratio`; a name, or its
    /// beginning and `*`, which is also what an absent one means. Of several rules the first that fits.
    pub rules: Vec<Rule>,
    /// Where a message has no `traceparent` (and no `TRACE_CONTEXT`, which says the same), look for what tracers
    /// wrote before there was that: `b3`, `X-B3-TraceId` and its sisters, `uber-trace-id`, in this order.
    pub older_contexts: bool,
    /// Make spans of what clients with `enableMsgTrace` write into RocketMQ's own trace topic,
    /// `RMQ_SYS_TRACE_TOPIC`, from the start on.
    pub bridge: bool,
    /// Records that wait to be exported, of about 200 bytes each; further ones are dropped and counted.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub queue_max: usize,
}

/// A ratio of its own: `[[telemetry.traces.rules]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The topics: a name, or its beginning and `*`.
    #[serde(default = "all")]
    pub topic: String,
    /// The producer groups, likewise.
    #[serde(default = "all")]
    pub group: String,
    /// In place of `head_ratio`: from 0 to 1.
    pub ratio: f64,
}

fn all() -> String {
    "*".to_owned()
}

/// Most rules: each send that carries no decision is held against them.
const RULES_MAX: usize = 64;

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            head_ratio: 0.01,
            slow_ms: 500,
            errors: true,
            per_second_max: 200,
            rules: Vec::new(),
            older_contexts: false,
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
        if self.rules.len() > RULES_MAX {
            return Err(OptionError::new("rules", format!("must be at most {RULES_MAX}")));
        }
        for (at, rule) in self.rules.iter().enumerate() {
            rule.validate().map_err(|error| error.within(&format!("rules[{at}]")))?;
        }
        OptionError::check_range("per_second_max", &self.per_second_max, &(0..=1_000_000))?;
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

    /// The ratios that some have of their own.
    #[must_use]
    pub fn ratios(&self) -> Vec<RatioRule> {
        self.rules.iter().map(|rule| RatioRule::new(&rule.topic, &rule.group, rule.ratio)).collect()
    }
}

impl Rule {
    fn validate(&self) -> Result<(), OptionError> {
        for (option, text) in [("topic", &self.topic), ("group", &self.group)] {
            if text.is_empty() || text.strip_suffix('*').unwrap_or(text).contains('*') {
                let rule = "must be a name, or its beginning and `*`";
                return Err(OptionError::new(option, rule));
            }
        }
        if !(0.0..=1.0).contains(&self.ratio) {
            return Err(OptionError::new("ratio", "must be from 0 to 1"));
        }
        Ok(())
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
        let rule = |topic: &str, ratio| Rule { topic: topic.to_owned(), group: all(), ratio };
        let legal =
            Config { rules: vec![rule("orders-*", 1.0), rule("*", 0.0)], ..Config::default() };
        assert_eq!(legal.validate(), Ok(()));
        for (bad, option) in [
            (rule("a*b", 0.5), "rules[1].topic"),
            (rule("", 0.5), "rules[1].topic"),
            (rule("a", 1.5), "rules[1].ratio"),
            (rule("a", f64::NAN), "rules[1].ratio"),
        ] {
            let config = Config { rules: vec![rule("a", 0.5), bad], ..Config::default() };
            assert_eq!(config.validate().unwrap_err().option, option);
        }
        let set: [Case; 8] = [
            ("endpoint", |c| c.endpoint = "127.0.0.1:4317".to_owned()),
            ("endpoint", |c| c.endpoint = "http://host".to_owned()),
            ("head_ratio", |c| c.head_ratio = 1.1),
            ("head_ratio", |c| c.head_ratio = f64::NAN),
            ("head_ratio", |c| c.head_ratio = -0.1),
            ("per_second_max", |c| c.per_second_max = 1_000_001),
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
