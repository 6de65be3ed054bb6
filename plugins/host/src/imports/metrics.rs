//! Metrics that guests make themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::contract::imported::metrics::Kind;

const METRICS_MAX: usize = 64;
const NAME_MAX: usize = 64;
const HELP_MAX: usize = 256;

/// The bounds of a histogram: wide enough for seconds as well as for bytes, since a plugin does not
/// say what it counts.
const BOUNDS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1e3, 1e4, 1e5, 1e6];
/// Ends of the names that a histogram's own samples have.
const TAKEN: [&str; 3] = ["_bucket", "_count", "_sum"];

/// One metric of a plugin.
#[derive(Debug)]
pub(crate) struct Custom {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) help: String,
    /// A counter's count, or how many values a histogram saw.
    pub(crate) count: AtomicU64,
    /// A gauge's value, or a histogram's sum, as the bits of an `f64`.
    pub(crate) value: AtomicU64,
    /// How many values of a histogram are within each bound and in no smaller one; empty for others.
    within: Box<[AtomicU64]>,
}

impl Custom {
    /// A histogram's bounds, and how many values are at most as large.
    pub(crate) fn buckets(&self) -> Vec<(f64, u64)> {
        let mut sum = 0;
        let cumulate = |(bound, within): (f64, &AtomicU64)| {
            sum += within.load(Ordering::Relaxed);
            (bound, sum)
        };
        BOUNDS.into_iter().zip(&self.within).map(cumulate).collect()
    }
}

/// The metrics of a binding.
#[derive(Default)]
pub(crate) struct Metrics(RwLock<Vec<Arc<Custom>>>);

impl Metrics {
    pub(crate) fn register(&self, name: &str, kind: Kind, help: &str) -> Result<u32, String> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if !begins || name.len() > NAME_MAX || !name.bytes().all(legal) {
            return Err(format!(
                "a name is 1 to {NAME_MAX} of a-z, 0-9 and _, and begins with a letter"
            ));
        }
        if let Some(end) = TAKEN.into_iter().find(|end| name.ends_with(end)) {
            return Err(format!("a name does not end with {end}, which histograms have"));
        }
        if help.len() > HELP_MAX {
            return Err(format!("the help text is at most {HELP_MAX} bytes long"));
        }
        let mut all = self.0.write();
        let found = all.iter().position(|custom| custom.name == name);
        if let Some(i) = found {
            if all[i].kind as u8 != kind as u8 {
                return Err(format!("{name} is there already, of another kind"));
            }
            return Ok(u32::try_from(i).unwrap_or(u32::MAX));
        }
        if all.len() == METRICS_MAX {
            return Err(format!("a plugin has at most {METRICS_MAX} metrics"));
        }
        all.push(Arc::new(Custom {
            name: name.to_owned(),
            kind,
            help: help.to_owned(),
            count: AtomicU64::new(0),
            value: AtomicU64::new(0),
            within: match kind {
                Kind::Histogram => BOUNDS.iter().map(|_| AtomicU64::new(0)).collect(),
                Kind::Counter | Kind::Gauge => Box::default(),
            },
        }));
        Ok(u32::try_from(all.len() - 1).unwrap_or(u32::MAX))
    }

    fn with(&self, metric: u32, kind: Kind, act: impl FnOnce(&Custom)) {
        if let Some(custom) = self.0.read().get(metric as usize)
            && custom.kind as u8 == kind as u8
        {
            act(custom);
        }
    }

    pub(crate) fn add(&self, metric: u32, amount: u64) {
        self.with(metric, Kind::Counter, |custom| {
            custom.count.fetch_add(amount, Ordering::Relaxed);
        });
    }

    pub(crate) fn set(&self, metric: u32, value: f64) {
        self.with(metric, Kind::Gauge, |custom| {
            custom.value.store(value.to_bits(), Ordering::Relaxed);
        });
    }

    pub(crate) fn observe(&self, metric: u32, value: f64) {
        // One of these would spoil the sum for good.
        if !value.is_finite() {
            return;
        }
        self.with(metric, Kind::Histogram, |custom| {
            let bucket = BOUNDS.iter().position(|bound| value <= *bound);
            if let Some(within) = bucket.and_then(|bucket| custom.within.get(bucket)) {
                within.fetch_add(1, Ordering::Relaxed);
            }
            custom.count.fetch_add(1, Ordering::Relaxed);
            let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
            // The closure never answers `None`, so this cannot fail.
            let _sum = custom.value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        });
    }

    /// All of them, to be shown.
    pub(crate) fn all(&self) -> Vec<Arc<Custom>> {
        self.0.read().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_again_and_only_counts_what_it_is_for() {
        let metrics = Metrics::default();
        let hits = metrics.register("hits", Kind::Counter, "").unwrap();
        assert_eq!(metrics.register("hits", Kind::Counter, ""), Ok(hits));
        assert!(metrics.register("hits", Kind::Gauge, "").is_err());
        let size = metrics.register("size", Kind::Histogram, "").unwrap();
        metrics.add(hits, 2);
        metrics.add(size, 2);
        metrics.add(99, 2);
        metrics.set(hits, 7.0);
        metrics.observe(size, 1.5);
        metrics.observe(size, 2.0);
        let all = metrics.all();
        let seen = |i: usize| {
            let value = f64::from_bits(all[i].value.load(Ordering::Relaxed));
            (all[i].count.load(Ordering::Relaxed), value)
        };
        assert_eq!([seen(0), seen(1)], [(2, 0.0), (2, 3.5)]);
        metrics.observe(size, 2e6);
        metrics.observe(size, f64::NAN);
        let buckets = all[1].buckets();
        assert_eq!([buckets[6], buckets[7], buckets[15]], [(1.0, 0), (5.0, 2), (1e6, 2)]);
        assert_eq!(seen(1).0, 3, "what is over the last bound is counted");
        assert!(all[0].buckets().is_empty());
    }

    #[test]
    fn names_and_their_number_are_bounded() {
        let metrics = Metrics::default();
        for name in ["", "A", "1a", "a-b", "a_sum", "a_bucket", &"a".repeat(65)] {
            assert!(metrics.register(name, Kind::Gauge, "").is_err(), "{name}");
        }
        assert!(metrics.register("a", Kind::Gauge, &"h".repeat(257)).is_err());
        for i in 0..METRICS_MAX {
            metrics.register(&format!("m{i}"), Kind::Gauge, "").unwrap();
        }
        assert!(metrics.register("one_more", Kind::Gauge, "").is_err());
    }
}
