//! What operators say of quotas.

use std::collections::BTreeSet;

use blockhouse_meter::QuotaKind;
use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A second, in which rates are counted, in nanoseconds.
pub(super) const SECOND: u64 = 1_000_000_000;

/// Section `[quota]`: what users and addresses may take of the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether anything is bounded.
    pub enabled: bool,
    /// What each user may take, on all connections together.
    pub user: Share,
    /// What each address may take (of IPv6 each /64), whoever is there.
    pub address: Rates,
    /// Users with bounds of their own, as `[[quota.override]]` tables; see docs/operations.md.
    #[serde(rename = "override")]
    pub overrides: Vec<Override>,
}

/// Bounds per second; 0 is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Requests in a second; 0 for no bound.
    pub requests: u64,
    /// Bytes of bodies that are sent in a second; 0 for no bound.
    pub produce_bytes: u64,
    /// Bytes of messages that are pulled in a second; 0 for no bound.
    pub fetch_bytes: u64,
}

/// What one user may take: bounds per second, and of what there is at once; 0 is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Share {
    /// Requests in a second; 0 for no bound.
    pub requests: u64,
    /// Bytes of bodies that are sent in a second; 0 for no bound.
    pub produce_bytes: u64,
    /// Bytes of messages that are pulled in a second; 0 for no bound.
    pub fetch_bytes: u64,
    /// Connections at once; 0 for no bound.
    pub connections: u64,
    /// Requests that are not answered yet, pulls that wait for messages among them; 0 for no bound.
    pub in_flight: u64,
    /// Topics of this broker that the user made, by a command or by a first message; 0 for no bound.
    pub topics: u64,
}

/// Other bounds for some: what it does not name is not bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Override {
    /// `user:NAME`, each with buckets of its own, or `anonymous`, all of them together.
    pub principals: Vec<String>,
    /// Requests in a second.
    pub requests: u64,
    /// Bytes of bodies that are sent in a second.
    pub produce_bytes: u64,
    /// Bytes of messages that are pulled in a second.
    pub fetch_bytes: u64,
    /// Connections at once.
    pub connections: u64,
    /// Requests that are not answered yet.
    pub in_flight: u64,
    /// Topics that the user made; not for `anonymous`, whose topics are nobody's.
    pub topics: u64,
}

/// How many there may be at once of what somebody holds; 0 is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) connections: u64,
    pub(super) in_flight: u64,
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The override that bounds nobody, or somebody twice.
    pub fn validate(&self) -> Result<(), OptionError> {
        let wrong = |rule: String| Err(OptionError::new("override", rule));
        let mut seen = BTreeSet::new();
        for (at, one) in self.overrides.iter().enumerate() {
            if one.principals.is_empty() {
                return wrong("must have principals in each table".to_owned());
            }
            if one.topics > 0 && one.principals.iter().any(|name| name == "anonymous") {
                return wrong("must not bound topics of anonymous: they are nobody's".to_owned());
            }
            for (nth, name) in one.principals.iter().enumerate() {
                if name != "anonymous" && name.strip_prefix("user:").is_none_or(str::is_empty) {
                    let option = format!("override[{at}].principals[{nth}]");
                    return Err(OptionError::new(&option, "must be user:NAME or anonymous"));
                }
                if !seen.insert(name) {
                    return wrong(format!("must name `{name}` once"));
                }
            }
        }
        Ok(())
    }

    /// How many topics each user may make that no override names; 0 is no bound.
    #[must_use]
    pub const fn topics(&self) -> u64 {
        if self.enabled { self.user.topics } else { 0 }
    }

    /// How many those may make that one names, as `user:NAME`.
    pub fn topics_of(&self) -> impl Iterator<Item = (&str, u64)> {
        let overrides = self.overrides.iter().filter(|_| self.enabled);
        overrides.flat_map(|one| one.principals.iter().map(|name| (name.as_str(), one.topics)))
    }
}

impl Override {
    pub(super) const fn share(&self) -> Share {
        let Self { requests, produce_bytes, fetch_bytes, connections, in_flight, topics, .. } =
            *self;
        Share { requests, produce_bytes, fetch_bytes, connections, in_flight, topics }
    }
}

impl Share {
    pub(super) const fn rates(&self) -> Rates {
        let Self { requests, produce_bytes, fetch_bytes, .. } = *self;
        Rates { requests, produce_bytes, fetch_bytes }
    }

    pub(super) const fn numbers(&self) -> Numbers {
        Numbers { connections: self.connections, in_flight: self.in_flight }
    }
}

impl Numbers {
    pub(super) const fn are_none(self) -> bool {
        self.connections == 0 && self.in_flight == 0
    }
}

impl Rates {
    pub(super) fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// How long it takes until this much may be taken, in nanoseconds; `None` without a bound.
    pub(super) fn cost(&self, kind: QuotaKind, amount: u64) -> Option<u64> {
        let rate = match kind {
            QuotaKind::Requests => self.requests,
            QuotaKind::ProduceBytes => self.produce_bytes,
            QuotaKind::FetchBytes => self.fetch_bytes,
            QuotaKind::Connections | QuotaKind::InFlight | QuotaKind::Topics => return None,
        };
        let time = (u128::from(amount) * u128::from(SECOND)).checked_div(u128::from(rate))?;
        Some(u64::try_from(time).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_name_somebody_once() {
        let rule = |principals: &[&[&str]]| {
            let named = |names: &&[&str]| Override {
                principals: names.iter().map(|name| (*name).to_owned()).collect(),
                ..Override::default()
            };
            let overrides = principals.iter().map(named).collect();
            let config = Config { overrides, ..Config::default() };
            config.validate().err().map(|error| error.to_string())
        };
        assert_eq!(rule(&[&["user:a", "anonymous"], &["user:b"]]), None);
        assert!(rule(&[&[]]).unwrap().contains("must have principals"));
        for (wrong, option) in [
            (&[&["alice"][..]][..], "override[0].principals[0]"),
            (&[&["user:a"], &["anonymous", "user:"]], "override[1].principals[1]"),
        ] {
            assert_eq!(rule(wrong), Some(format!("{option} must be user:NAME or anonymous")));
        }
        assert!(rule(&[&["user:a"], &["user:a"]]).unwrap().contains("`user:a` once"));
        let one =
            Override { principals: vec!["anonymous".into()], topics: 1, ..Override::default() };
        let config = Config { overrides: vec![one], ..Config::default() };
        assert!(config.validate().unwrap_err().rule.contains("topics of anonymous"));
    }
}
