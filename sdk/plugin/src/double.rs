//! The host's functions in native builds, answered by the double of this thread.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use crate::bindings::imports::blockhouse::plugin as contract;

/// A value in the double's store, and when it ends.
struct Value {
    bytes: Vec<u8>,
    number: Option<i64>,
    ends_ms: Option<u64>,
}

/// A message that a plugin published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The topic.
    pub topic: String,
    /// The body.
    pub body: Vec<u8>,
    /// Names and values of the properties.
    pub properties: Vec<(String, String)>,
}

/// What the double has seen and what it will answer.
pub(crate) struct Double {
    pub(crate) lines: Vec<(contract::log::Level, String)>,
    pub(crate) level: contract::log::Level,
    pub(crate) now_ms: u64,
    pub(crate) metrics: Vec<(String, contract::metrics::Kind, Vec<f64>)>,
    pub(crate) requests: Vec<contract::http::Request>,
    pub(crate) responses: VecDeque<Result<contract::http::Response, contract::http::Failure>>,
    pub(crate) published: Vec<Published>,
    pub(crate) publish_failure: Option<contract::publish::Failure>,
    pub(crate) kv_full: bool,
    values: BTreeMap<String, Value>,
}

impl Double {
    const fn new() -> Self {
        Self {
            lines: Vec::new(),
            level: contract::log::Level::Trace,
            now_ms: 0,
            metrics: Vec::new(),
            requests: Vec::new(),
            responses: VecDeque::new(),
            published: Vec::new(),
            publish_failure: None,
            kv_full: false,
            values: BTreeMap::new(),
        }
    }

    /// Takes out what has ended, so that a key is there or not by the clock alone.
    fn values(&mut self) -> &mut BTreeMap<String, Value> {
        let now = self.now_ms;
        self.values.retain(|_, value| value.ends_ms.is_none_or(|end| now < end));
        &mut self.values
    }

    fn end(&self, ttl_ms: u64) -> Option<u64> {
        (ttl_ms > 0).then(|| self.now_ms.saturating_add(ttl_ms))
    }
}

thread_local! {
    static DOUBLE: RefCell<Double> = const { RefCell::new(Double::new()) };
}

/// Runs `f` on this thread's double.
pub(crate) fn with<R>(f: impl FnOnce(&mut Double) -> R) -> R {
    DOUBLE.with_borrow_mut(f)
}

/// Forgets everything.
pub(crate) fn reset() {
    with(|double| *double = Double::new());
}

pub(crate) mod log {
    use super::contract::log::{Field, Level};
    use super::with;

    pub(crate) fn enabled(level: Level) -> bool {
        with(|double| level as u8 >= double.level as u8)
    }

    pub(crate) fn write(level: Level, line: &str, fields: &[Field]) {
        let mut line = line.to_owned();
        for Field { name, value } in fields {
            line.push_str(&format!(" {name}={value}"));
        }
        with(|double| double.lines.push((level, line)));
    }
}

pub(crate) mod metrics {
    use super::contract::metrics::Kind;
    use super::with;

    pub(crate) fn register(name: &str, kind: Kind, _help: &str) -> Result<u32, String> {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(legal) {
            return Err(format!("{name}: lower-case letters, digits and underscores only"));
        }
        with(|double| {
            let found = double.metrics.iter().position(|(other, ..)| other == name);
            let place = found.unwrap_or_else(|| {
                double.metrics.push((name.to_owned(), kind, Vec::new()));
                double.metrics.len() - 1
            });
            if double.metrics.get(place).is_some_and(|(_, other, _)| *other != kind) {
                return Err(format!("{name} is another kind of metric"));
            }
            u32::try_from(place).map_err(|e| e.to_string())
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
    pub(crate) fn add(metric: u32, amount: u64) {
        note(metric, amount as f64);
    }

    pub(crate) fn set(metric: u32, value: f64) {
        note(metric, value);
    }

    pub(crate) fn observe(metric: u32, value: f64) {
        note(metric, value);
    }

    fn note(metric: u32, value: f64) {
        with(|double| {
            if let Some((.., values)) = double.metrics.get_mut(metric as usize) {
                values.push(value);
            }
        });
    }
}

pub(crate) mod clock {
    use super::with;

    pub(crate) fn now_ms() -> u64 {
        with(|double| double.now_ms)
    }

    pub(crate) fn monotonic_ns() -> u64 {
        with(|double| double.now_ms.saturating_mul(1_000_000))
    }
}

pub(crate) mod kv {
    use super::contract::kv::Refusal;
    use super::{Value, with};

    pub(crate) fn get(key: &str) -> Option<Vec<u8>> {
        with(|double| double.values().get(key).map(|value| value.bytes.clone()))
    }

    pub(crate) fn set(key: &str, bytes: &[u8], ttl_ms: u64) -> Result<(), Refusal> {
        with(|double| {
            if double.kv_full {
                return Err(Refusal::Full);
            }
            let ends_ms = double.end(ttl_ms);
            let value = Value { bytes: bytes.to_vec(), number: None, ends_ms };
            double.values().insert(key.to_owned(), value);
            Ok(())
        })
    }

    pub(crate) fn add(key: &str, amount: i64, ttl_ms: u64) -> Result<i64, Refusal> {
        with(|double| {
            if double.kv_full {
                return Err(Refusal::Full);
            }
            let ends_ms = double.end(ttl_ms);
            let fresh = || Value { bytes: Vec::new(), number: Some(0), ends_ms };
            let value = double.values().entry(key.to_owned()).or_insert_with(fresh);
            let sum = value.number.ok_or(Refusal::NotANumber)?.saturating_add(amount);
            value.number = Some(sum);
            value.bytes = sum.to_string().into_bytes();
            Ok(sum)
        })
    }

    pub(crate) fn delete(key: &str) {
        with(|double| double.values().remove(key));
    }
}

pub(crate) mod http {
    use super::contract::http::{Failure, Request, Response};
    use super::with;

    pub(crate) fn send(request: &Request) -> Result<Response, Failure> {
        with(|double| {
            double.requests.push(request.clone());
            double.responses.pop_front().unwrap_or(Err(Failure::NotGranted))
        })
    }
}

pub(crate) mod publish {
    use super::contract::publish::{Failure, Property};
    use super::{Published, with};

    pub(crate) fn send(topic: &str, body: &[u8], properties: &[Property]) -> Result<(), Failure> {
        with(|double| {
            if let Some(failure) = &double.publish_failure {
                return Err(failure.clone());
            }
            let properties = properties.iter().map(|p| (p.name.clone(), p.value.clone())).collect();
            let (topic, body) = (topic.to_owned(), body.to_vec());
            double.published.push(Published { topic, body, properties });
            Ok(())
        })
    }
}
