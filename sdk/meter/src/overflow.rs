//! Label sets for which there was no room, by family: what is not told apart has to be told.

use blockhouse_model::names;
use parking_lot::Mutex;

use crate::catalogue as c;
use crate::meter::Meter;
use crate::sidecar::{SidecarView, TOPICS_MAX};
use crate::sizes::MessageSizes;
use crate::{LAG_PAIRS_MAX, Sample};

/// Label sets of a family that is made anew for each read.
#[derive(Debug, Default)]
pub(crate) struct Overflow(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// At the last read.
    now: usize,
    /// How many came since the first read.
    ever: u64,
}

impl Overflow {
    /// So many share one series at this read.
    pub(crate) fn note(&self, left_out: usize) {
        let mut seen = self.0.lock();
        seen.ever += left_out.saturating_sub(seen.now) as u64;
        seen.now = left_out;
    }

    fn ever(&self) -> u64 {
        self.0.lock().ever
    }
}

/// Families that are made anew for each read.
#[derive(Debug, Default)]
pub(crate) struct Overflows {
    pub(crate) lag: Overflow,
    pub(crate) producers: Overflow,
    pub(crate) consumers: Overflow,
    /// Of the view of rocketmq-exporter: topics, pairs of group and topic, producer groups, members.
    sidecar: [Overflow; 4],
}

impl Overflows {
    pub(crate) fn note_sidecar(&self, view: &SidecarView) {
        let dead = view.topics.iter().filter(|view| names::is_dlq(&view.topic)).count();
        let retry = view.topics.iter().filter(|view| names::is_retry(&view.topic)).count();
        let retried = view.groups.iter().filter(|view| names::is_retry(&view.lag.topic)).count();
        // Usual, retry and dead-letter topics are families of their own.
        let topics = [view.topics.len() - dead - retry, dead, retry];
        let pairs = [view.groups.len() - retried, retried];
        let beyond = |most| move |count: usize| count.saturating_sub(most);
        let left_out = [
            topics.map(beyond(TOPICS_MAX)).iter().sum(),
            pairs.map(beyond(LAG_PAIRS_MAX)).iter().sum(),
            beyond(TOPICS_MAX)(view.producers.len()),
            beyond(TOPICS_MAX)(view.members.len()),
        ];
        for (overflow, left_out) in self.sidecar.iter().zip(left_out) {
            overflow.note(left_out);
        }
    }
}

impl Meter {
    pub(crate) fn read_overflows(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        let [topics, groups, producers, members] = &self.overflows.sidecar;
        let made = &self.overflows;
        for (family, label_sets) in [
            ("messages_in", self.stored.overflowed()),
            ("messages_out", self.delivered.overflowed()),
            ("dead_letters", self.dead_lettered.overflowed()),
            ("message_size", self.sizes().map_or(0, MessageSizes::overflowed)),
            ("consumer_lag", made.lag.ever()),
            ("consumer_connections", made.consumers.ever()),
            ("producer_connections", made.producers.ever()),
            ("exporter_topics", topics.ever()),
            ("exporter_groups", groups.ever()),
            ("exporter_producers", producers.ever()),
            ("exporter_members", members.ever()),
        ] {
            visit(&Sample { metric: &c::OVERFLOWS, labels: &[family], value: label_sets as f64 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_come_are_counted_once_however_often_they_are_read() {
        let overflow = Overflow::default();
        for left_out in [0, 5, 5, 3, 3, 6] {
            overflow.note(left_out);
        }
        assert_eq!(overflow.ever(), 8);
    }
}
