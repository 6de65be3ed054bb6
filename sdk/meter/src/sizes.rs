//! How large messages are, by topic and type.

use std::sync::Arc;

use crate::catalogue as c;
use crate::histogram::{Counted, Histogram};
use crate::messages::is_told;
use crate::meter::{REST, truth};
use crate::{Family, HistogramSample};
use blockhouse_model::{MessageType, names};

/// Topics that have series of their own: the first that messages came for. What is stored in others is
/// counted in one more.
pub const SIZE_TOPICS_MAX: usize = 2_000;
/// The bounds, in bytes: those of RocketMQ.
pub const SIZE_BOUNDS: [u64; 6] = [1_024, 4_096, 524_288, 1_048_576, 2_097_152, 4_194_304];
const CELLS: usize = SIZE_BOUNDS.len() + 2;

/// Sizes of the messages of some sends, by [`MessageType`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SizeCounts([Counted<CELLS>; MessageType::ALL.len()]);

impl SizeCounts {
    /// How many messages of each type there are, and their bytes.
    pub fn amounts(&self) -> impl Iterator<Item = [u64; 2]> {
        self.0.iter().map(|counted| [counted.count(), counted.sum()])
    }

    /// Counts a message of `bytes`, as stored.
    pub fn add(&mut self, kind: MessageType, bytes: u64) {
        self.0[kind as usize].add(&SIZE_BOUNDS, bytes, 1);
    }
}

/// Sizes of the messages of a topic, by [`MessageType`].
#[derive(Debug, Default)]
pub struct TopicSizes([Histogram<CELLS>; MessageType::ALL.len()]);

impl TopicSizes {
    /// Adds those of some sends.
    pub fn add(&self, counts: &SizeCounts) {
        for (histogram, counted) in self.0.iter().zip(&counts.0) {
            histogram.add(counted);
        }
    }
}

/// Sizes of messages, by topic.
#[derive(Debug)]
pub struct MessageSizes(Family<String, TopicSizes>);

impl Default for MessageSizes {
    fn default() -> Self {
        Self(Family::bounded(SIZE_TOPICS_MAX))
    }
}

impl MessageSizes {
    /// The cells of a topic, for whoever stores its messages to keep.
    pub fn of(&self, topic: &str) -> Arc<TopicSizes> {
        self.0.of(topic)
    }

    /// The cells of what is stored in topics that nobody tells apart.
    pub fn rest(&self) -> Arc<TopicSizes> {
        self.0.rest()
    }

    /// For how many topics there was no room.
    pub fn overflowed(&self) -> u64 {
        self.0.overflowed()
    }

    /// The topic is gone.
    pub fn forget(&self, topic: &str) {
        self.0.forget(|known| known == topic);
    }

    pub(crate) fn read(&self, visit: &mut dyn FnMut(&HistogramSample<'_>)) {
        for (topic, sizes) in self.0.read() {
            let topic = topic.as_deref().unwrap_or(REST);
            for (kind, histogram) in MessageType::ALL.iter().zip(&sizes.0) {
                let counted = histogram.read();
                if counted.count() == 0 || !is_told(topic, *kind) {
                    continue;
                }
                let labels = &[topic, kind.name(), truth(names::is_system_topic(topic))];
                let (counts, sum) = (counted.counts(), counted.sum() as f64);
                visit(&HistogramSample { metric: &c::MESSAGE_SIZE, labels, counts, sum });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(sizes: &MessageSizes) -> Vec<String> {
        let mut lines = Vec::new();
        sizes.read(&mut |s| {
            assert_eq!(s.labels.len(), s.metric.labels.len());
            lines.push(format!("{} {:?} {}", s.labels.join(","), s.counts, s.sum));
        });
        lines
    }

    #[test]
    fn sizes_are_counted_by_topic_and_type() {
        let sizes = MessageSizes::default();
        let mut counts = SizeCounts::default();
        counts.add(MessageType::Normal, 1_024);
        counts.add(MessageType::Normal, 1_025);
        counts.add(MessageType::Fifo, 5_000_000);
        sizes.of("orders").add(&counts);
        sizes.of("SCHEDULE_TOPIC_XXXX").add(&counts);
        sizes.of("%RETRY%g").add(&counts);
        let of = |topic: &str, system: bool| {
            [
                format!("{topic},normal,{system} [1, 1, 0, 0, 0, 0, 0] 2049"),
                format!("{topic},fifo,{system} [0, 0, 0, 0, 0, 0, 1] 5000000"),
            ]
        };
        assert_eq!(lines(&sizes), [of("SCHEDULE_TOPIC_XXXX", true), of("orders", false)].concat());
        sizes.forget("orders");
        assert_eq!(lines(&sizes).len(), 2);
    }

    #[test]
    fn beyond_the_budget_the_sums_are_exact() {
        let sizes = MessageSizes::default();
        let mut counts = SizeCounts::default();
        counts.add(MessageType::Normal, 10);
        (0..SIZE_TOPICS_MAX + 7).for_each(|at| sizes.of(&format!("t{at}")).add(&counts));
        let lines = lines(&sizes);
        assert_eq!(lines.len(), SIZE_TOPICS_MAX + 1);
        assert_eq!(
            lines.iter().find(|l| l.starts_with('(')).unwrap(),
            "(other),normal,false [7, 0, 0, 0, 0, 0, 0] 70"
        );
    }
}
