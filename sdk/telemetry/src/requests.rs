//! What a histogram of the times of requests has beside its buckets.

use std::collections::HashMap;

use blockhouse_meter::exemplars::{Exemplar, Row};
use blockhouse_meter::fine::FineCounts;
use prometheus::proto::LabelPair;

/// Values of the labels that tell histograms of the family apart.
pub(crate) type Key = Vec<String>;

/// Exemplars and fine buckets of the family of the times of requests.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    family: &'static str,
    /// Names of the labels that tell its histograms apart.
    names: &'static [&'static str],
    /// Thousandths of a millisecond in the family's unit.
    micros: f64,
    exemplars: HashMap<Key, Row>,
    fine: HashMap<Key, FineCounts>,
}

impl Requests {
    pub(crate) fn new(
        (family, names): (&'static str, &'static [&'static str]),
        micros: f64,
        exemplars: Vec<(Key, Row)>,
        fine: Vec<(Key, FineCounts)>,
    ) -> Self {
        let (exemplars, fine) = (exemplars.into_iter().collect(), fine.into_iter().collect());
        Self { family, names, micros, exemplars, fine }
    }

    /// What stands for a histogram, if it is of this family.
    pub(crate) fn key(&self, family: &str, labels: &[LabelPair]) -> Option<Key> {
        if family != self.family {
            return None;
        }
        let value = |name: &&str| {
            labels.iter().find(|pair| pair.name() == *name).map(|pair| pair.value().to_owned())
        };
        self.names.iter().map(value).collect()
    }

    /// Exemplars of a histogram, by bucket.
    pub(crate) fn exemplars(&self, key: &[String]) -> Option<&Row> {
        self.exemplars.get(key)
    }

    /// The histogram by exponential buckets.
    pub(crate) fn fine(&self, key: &[String]) -> Option<&FineCounts> {
        self.fine.get(key)
    }

    /// How long it took, in the family's unit.
    pub(crate) fn value(&self, exemplar: &Exemplar) -> f64 {
        exemplar.micros as f64 / self.micros
    }
}

/// The ids of its trace and its span.
pub(crate) fn ids(exemplar: &Exemplar) -> [String; 2] {
    let span = &exemplar.span;
    [format!("{:032x}", span.trace_id), format!("{:016x}", span.span_id)]
}
