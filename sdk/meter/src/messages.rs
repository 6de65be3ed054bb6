//! Messages in and out, as RocketMQ's exporter counts them.

use std::sync::Arc;

use blockhouse_model::{MessageType, names};

use crate::catalogue as c;
use crate::meter::{REST, count, truth};
use crate::{Meter, Sample};

/// Which messages were stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InLabels {
    /// The topic.
    pub topic: Box<str>,
    /// Their type.
    pub kind: MessageType,
}

/// Whose messages were handed out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutLabels {
    /// The topic.
    pub topic: Arc<str>,
    /// The consumer group.
    pub group: Arc<str>,
}

/// Whether RocketMQ has messages of this type in its metrics of what is stored in `topic`. It leaves
/// out dead letters, and what clients send to retry topics themselves; but what comes there because
/// its delay is over counts, as everywhere.
#[must_use]
pub fn is_told(topic: &str, kind: MessageType) -> bool {
    !names::is_dlq(topic) && (kind == MessageType::Delay || !names::is_retry(topic))
}

impl Meter {
    pub(crate) fn read_messages(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        let stored = self.stored.read();
        for (metric, at) in [(&c::MESSAGES_IN, 0), (&c::THROUGHPUT_IN, 1)] {
            for (labels, counts) in &stored {
                let (topic, kind) =
                    labels.as_ref().map_or((REST, REST), |l| (&*l.topic, l.kind.name()));
                let labels = &[topic, kind, truth(names::is_system_topic(topic))];
                visit(&Sample { metric, labels, value: count(counts[at]) });
            }
        }
        let (again, delivered): (Vec<_>, Vec<_>) =
            self.delivered.read().into_iter().partition(|(labels, _)| {
                let (topic, _) = texts(labels.as_ref());
                names::is_retry(topic) || names::is_dlq(topic)
            });
        for (metric, at) in [(&c::MESSAGES_OUT, 0), (&c::THROUGHPUT_OUT, 1)] {
            for (labels, counts) in &delivered {
                let (topic, group) = texts(labels.as_ref());
                let labels = &[topic, group, truth(names::is_system(topic, group))];
                visit(&Sample { metric, labels, value: count(counts[at]) });
            }
        }
        for (labels, [messages, _]) in again {
            let (topic, group) = texts(labels.as_ref());
            let labels = &[topic, group];
            visit(&Sample { metric: &c::RETRIES_OUT, labels, value: count(messages) });
        }
        for (labels, [messages]) in self.dead_lettered.read() {
            let (topic, group) = texts(labels.as_ref());
            let labels = &[topic, group, truth(names::is_system(topic, group))];
            visit(&Sample { metric: &c::SEND_TO_DLQ, labels, value: count(messages) });
        }
    }
}

fn texts(labels: Option<&OutLabels>) -> (&str, &str) {
    labels.map_or((REST, REST), |l| (&l.topic, &l.group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(meter: &Meter) -> Vec<String> {
        let mut lines = Vec::new();
        meter.read_messages(&mut |s| {
            assert_eq!(s.labels.len(), s.metric.labels.len(), "{s:?}");
            lines.push(format!("{} {} {}", s.metric.name, s.labels.join(","), s.value));
        });
        lines
    }

    fn out(topic: &str, group: &str) -> OutLabels {
        OutLabels { topic: topic.into(), group: group.into() }
    }

    #[test]
    fn messages_have_rocketmq_s_labels_and_those_of_retries_are_counted_apart() {
        let meter = Meter::default();
        let stored = |topic: &str, kind| InLabels { topic: topic.into(), kind };
        let counts = [
            (stored("orders", MessageType::Normal), [3, 300]),
            (stored("orders", MessageType::Delay), [1, 50]),
            (stored("SCHEDULE_TOPIC_XXXX", MessageType::Delay), [1, 50]),
        ];
        meter.stored.take(counts, ([0; 2], 0));
        let counts = [
            (out("%RETRY%g", "g"), [2, 200]),
            (out("%DLQ%g", "h"), [1, 100]),
            (out("orders", "CID_RMQ_SYS_x"), [4, 400]),
            (out("orders", "g"), [5, 500]),
        ];
        meter.delivered.take(counts, ([0; 2], 0));
        meter.dead_lettered.take([(out("orders", "g"), [1])], ([0], 0));
        assert_eq!(
            lines(&meter),
            [
                "rocketmq_messages_in_total SCHEDULE_TOPIC_XXXX,delay,true 1",
                "rocketmq_messages_in_total orders,normal,false 3",
                "rocketmq_messages_in_total orders,delay,false 1",
                "rocketmq_throughput_in_total SCHEDULE_TOPIC_XXXX,delay,true 50",
                "rocketmq_throughput_in_total orders,normal,false 300",
                "rocketmq_throughput_in_total orders,delay,false 50",
                "rocketmq_messages_out_total orders,CID_RMQ_SYS_x,true 4",
                "rocketmq_messages_out_total orders,g,false 5",
                "rocketmq_throughput_out_total orders,CID_RMQ_SYS_x,true 400",
                "rocketmq_throughput_out_total orders,g,false 500",
                "blockhouse_retry_messages_out_total %DLQ%g,h 1",
                "blockhouse_retry_messages_out_total %RETRY%g,g 2",
                "rocketmq_send_to_dlq_messages_total orders,g,false 1",
            ]
        );
    }

    #[test]
    fn what_comes_out_of_a_delay_is_told_wherever_it_goes() {
        use MessageType::{Delay, Fifo, Normal};
        for (topic, kind, told) in [
            ("orders", Normal, true),
            ("%RETRY%g", Normal, false),
            ("%RETRY%g", Fifo, false),
            ("%RETRY%g", Delay, true),
            ("%DLQ%g", Delay, false),
        ] {
            assert_eq!(is_told(topic, kind), told, "{topic} {kind:?}");
        }
    }
}
