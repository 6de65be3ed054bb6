//! How long it took to create or change topics and groups.

use crate::catalogue as c;
use crate::histogram::{Counted, Histogram, in_micros};
use crate::meter::truth;
use crate::{HistogramSample, Metric};

/// The bounds, in milliseconds: those of RocketMQ.
pub const CREATION_BOUNDS_MS: [u64; 5] = [10, 100, 1_000, 3_000, 5_000];
const BOUNDS: [u64; 5] = in_micros(CREATION_BOUNDS_MS);
const CELLS: usize = BOUNDS.len() + 2;

/// Whether it could be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// It was.
    Success,
    /// It was refused, or failed.
    Failure,
}

/// As the label says it, in the order of [`Invocation`].
const STATUS: [&str; 2] = ["success", "failure"];

/// What was created or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// A topic.
    Topic,
    /// A consumer group.
    Group,
}

impl Created {
    /// Both, in their order.
    const ALL: [(Self, &'static Metric); 2] =
        [(Self::Topic, &c::TOPIC_CREATION), (Self::Group, &c::GROUP_CREATION)];
}

/// Times by [`Created`], by status, and for those of RocketMQ itself.
#[derive(Debug, Default)]
pub struct Creations([[[Histogram<CELLS>; 2]; STATUS.len()]; 2]);

impl Creations {
    /// Counts one that took `micros`. Groups are not told apart by whose they are: RocketMQ does not.
    pub fn add(&self, created: Created, is_system: bool, status: Invocation, micros: u64) {
        let mut counted = Counted::default();
        counted.add(&BOUNDS, micros, 1);
        let is_system = is_system && created == Created::Topic;
        self.0[created as usize][status as usize][usize::from(is_system)].add(&counted);
    }

    pub(crate) fn read(&self, visit: &mut dyn FnMut(&HistogramSample<'_>)) {
        for (created, metric) in Created::ALL {
            for (status, by_system) in STATUS.iter().zip(&self.0[created as usize]) {
                for (is_system, histogram) in [false, true].into_iter().zip(by_system) {
                    let counted = histogram.read();
                    if counted.count() == 0 {
                        continue;
                    }
                    let labels: &[&str] = &[*status, truth(is_system)];
                    let labels = &labels[..metric.labels.len()];
                    let (counts, sum) = (counted.counts(), counted.sum() as f64 / 1e3);
                    visit(&HistogramSample { metric, labels, counts, sum });
                }
            }
        }
    }
}
