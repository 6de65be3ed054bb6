//! Options that can be changed while the name server runs.

use std::collections::BTreeMap;
use std::time::Duration;

use blockhouse_model::OptionError;
use blockhouse_route::Policy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Options that can be changed while the name server runs (`updateNamesrvConfig`); such a change
/// lasts until it stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "RocketMQ's own independent switches")]
pub struct Settings {
    /// How long a broker may be silent before it is taken out, in milliseconds, unless it says
    /// itself. RocketMQ: fixed.
    #[schemars(range(min = 1_000))]
    pub broker_expiry_ms: u64,
    /// Milliseconds between two looks for silent brokers. RocketMQ: `scanNotActiveBrokerInterval`.
    #[schemars(range(min = 10))]
    pub scan_interval_ms: u64,
    /// Whether routes are refused at first, so that brokers have the time to report.
    /// RocketMQ: `needWaitForService`.
    pub need_wait_for_service: bool,
    /// For how many seconds after the start. RocketMQ: `waitSecondsForService`.
    pub wait_for_service_s: u64,
    /// Whether routes carry the queue counts of ordered topics. RocketMQ: `orderMessageEnable`.
    pub order_message_enable: bool,
    /// Whether brokers that register are told the queue counts of ordered topics.
    /// RocketMQ: `returnOrderTopicConfigToBroker`.
    pub return_order_topic_config_to_broker: bool,
    /// Whether all topics may be listed. RocketMQ: `enableAllTopicList`.
    pub enable_all_topic_list: bool,
    /// Whether topics may be listed by cluster and unit. RocketMQ: `enableTopicList`.
    pub enable_topic_list: bool,
    /// Whether a slave is presented as master while there is none. RocketMQ: `supportActingMaster`.
    pub support_acting_master: bool,
    /// Whether a registration takes the topics out that it does not name.
    /// RocketMQ: `deleteTopicWithBrokerRegistration`.
    pub delete_topic_with_broker_registration: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            broker_expiry_ms: 120_000,
            scan_interval_ms: 5_000,
            need_wait_for_service: false,
            wait_for_service_s: 45,
            order_message_enable: false,
            return_order_topic_config_to_broker: true,
            enable_all_topic_list: true,
            enable_topic_list: true,
            support_acting_master: false,
            delete_topic_with_broker_registration: false,
        }
    }
}

const EXPIRY_MIN_MS: u64 = 1_000;
const SCAN_MIN_MS: u64 = 10;

/// An option by RocketMQ's name.
struct Knob {
    name: &'static str,
    value: Value,
}

enum Value {
    Flag(fn(&mut Settings) -> &mut bool),
    /// With the least it may be.
    Number(fn(&mut Settings) -> &mut u64, u64),
}

const KNOBS: &[Knob] = &[
    Knob {
        name: "brokerExpiryMillis",
        value: Value::Number(|s| &mut s.broker_expiry_ms, EXPIRY_MIN_MS),
    },
    Knob {
        name: "scanNotActiveBrokerInterval",
        value: Value::Number(|s| &mut s.scan_interval_ms, SCAN_MIN_MS),
    },
    Knob { name: "needWaitForService", value: Value::Flag(|s| &mut s.need_wait_for_service) },
    Knob { name: "waitSecondsForService", value: Value::Number(|s| &mut s.wait_for_service_s, 0) },
    Knob { name: "orderMessageEnable", value: Value::Flag(|s| &mut s.order_message_enable) },
    Knob {
        name: "returnOrderTopicConfigToBroker",
        value: Value::Flag(|s| &mut s.return_order_topic_config_to_broker),
    },
    Knob { name: "enableAllTopicList", value: Value::Flag(|s| &mut s.enable_all_topic_list) },
    Knob { name: "enableTopicList", value: Value::Flag(|s| &mut s.enable_topic_list) },
    Knob { name: "supportActingMaster", value: Value::Flag(|s| &mut s.support_acting_master) },
    Knob {
        name: "deleteTopicWithBrokerRegistration",
        value: Value::Flag(|s| &mut s.delete_topic_with_broker_registration),
    },
];

impl Settings {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option with which no broker would stay known.
    pub fn validate(&self) -> Result<(), OptionError> {
        OptionError::check_least("broker_expiry_ms", &self.broker_expiry_ms, &EXPIRY_MIN_MS)?;
        OptionError::check_least("scan_interval_ms", &self.scan_interval_ms, &SCAN_MIN_MS)
    }

    /// What the route table needs to know.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            broker_expiry: Duration::from_millis(self.broker_expiry_ms),
            support_acting_master: self.support_acting_master,
            delete_topics_with_registration: self.delete_topic_with_broker_registration,
        }
    }

    /// How long to wait between two looks for silent brokers.
    #[must_use]
    pub fn scan_interval(&self) -> Duration {
        Duration::from_millis(self.scan_interval_ms.max(SCAN_MIN_MS))
    }

    /// All options by RocketMQ's names.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<String, String> {
        let mut read = self.clone();
        let text = |knob: &Knob, from: &mut Self| match knob.value {
            Value::Flag(place) => place(from).to_string(),
            Value::Number(place, _) => place(from).to_string(),
        };
        KNOBS.iter().map(|knob| (knob.name.to_owned(), text(knob, &mut read))).collect()
    }

    /// These settings with one option changed.
    ///
    /// # Errors
    /// There is no such option, or it cannot have that value.
    pub fn with(mut self, name: &str, value: &str) -> Result<Self, Error> {
        let knob = KNOBS.iter().find(|knob| knob.name == name);
        let knob = knob.ok_or_else(|| Error::UnknownOption(name.to_owned()))?;
        let bad = || Error::OptionValue { name: knob.name, value: value.to_owned() };
        match knob.value {
            Value::Flag(place) => *place(&mut self) = value.parse().map_err(|_| bad())?,
            Value::Number(place, least) => {
                let number = value.parse().ok().filter(|number| *number >= least);
                *place(&mut self) = number.ok_or_else(bad)?;
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_can_be_read_and_changed_by_name() {
        let settings = Settings::default();
        for (name, value) in settings.by_name() {
            let other = match value.as_str() {
                "true" => "false",
                "false" => "true",
                _ => "98765",
            };
            let changed = settings.clone().with(&name, other).unwrap();
            assert_eq!(changed.by_name()[&name], other);
            assert_ne!(changed, settings);
        }
        let fields = serde_json::to_value(&settings).unwrap();
        assert_eq!(fields.as_object().unwrap().len(), KNOBS.len());
    }

    #[test]
    fn a_start_has_the_bounds_of_a_change() {
        assert_eq!(Settings::default().validate(), Ok(()));
        let short = Settings { broker_expiry_ms: 999, ..Settings::default() };
        assert_eq!(short.validate().unwrap_err().option, "broker_expiry_ms");
        let short = Settings { scan_interval_ms: 9, ..Settings::default() };
        assert_eq!(short.validate().unwrap_err().option, "scan_interval_ms");
    }

    #[test]
    fn bad_names_and_values_are_named() {
        let fails = |name, value| Settings::default().with(name, value).unwrap_err().to_string();
        assert_eq!(fails("x", "1"), "x is not an option of this name server");
        assert_eq!(fails("enableTopicList", "yes"), "enableTopicList cannot be \"yes\"");
        assert_eq!(
            fails("scanNotActiveBrokerInterval", "0"),
            "scanNotActiveBrokerInterval cannot be \"0\""
        );
    }
}
