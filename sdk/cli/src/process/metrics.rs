//! What the broker counts for itself, copied into the meter before it is read.

use blockhouse_broker::Running;
use blockhouse_core::stats::Kind;
use blockhouse_meter::{Meter, OutLabels};

pub(super) fn refresh(meter: &Meter, broker: &Running) {
    let stats = broker.core().stats();
    for (topic, volume) in stats.by_key(Kind::TopicPut) {
        meter.stored.of(topic.as_ref()).set([volume.messages, volume.bytes]);
    }
    for (key, volume) in stats.by_key(Kind::GroupGet) {
        let (topic, group) = key.split_once('@').unwrap_or((&key, ""));
        let labels = OutLabels { topic: topic.into(), group: group.into() };
        meter.delivered.of(&labels).set([volume.messages, volume.bytes]);
    }
    for (group, volume) in stats.by_key(Kind::DeadLetter) {
        let topic = blockhouse_model::names::dlq_topic(&group);
        let labels = OutLabels { topic: topic.as_str().into(), group: group.as_ref().into() };
        meter.dead_lettered.of(&labels).set(volume.messages);
    }
    meter.connections.open.set(i64::try_from(broker.connections()).unwrap_or(i64::MAX));
}
