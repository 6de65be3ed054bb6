//! What broker and store count for themselves, copied into the meter before it is read.

use std::time::Duration;

use blockhouse_broker::Running;
use blockhouse_core::lag::{Lag, LagTimes};
use blockhouse_core::stats::{Kind, Volume};
use blockhouse_meter::{GroupLag, METADATA_FILES, Meter, OutLabels, STORE_FAULTS};
use blockhouse_model::PhysicalOffset;

pub(super) fn refresh(meter: &Meter, broker: &Running) {
    let stats = broker.core().stats();
    let both = |volume: Volume| [volume.messages, volume.bytes];
    let stored = stats.by_key(Kind::TopicPut).into_iter();
    meter.stored.take(stored.map(|(topic, volume)| (topic, both(volume))));
    let delivered = stats.by_key(Kind::GroupGet).into_iter().map(|(key, volume)| {
        let (topic, group) = key.split_once('@').unwrap_or((&key, ""));
        (OutLabels { topic: topic.into(), group: group.into() }, both(volume))
    });
    meter.delivered.take(delivered);
    let given_up = stats.by_key(Kind::DeadLetter).into_iter().map(|(group, volume)| {
        let topic = blockhouse_model::names::dlq_topic(&group);
        let labels = OutLabels { topic: topic.as_str().into(), group: group.as_ref().into() };
        (labels, [volume.messages])
    });
    meter.dead_lettered.take(given_up);
    let core = broker.core();
    let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    meter.held_pulls.set(whole(core.held().count()));
    meter.permission.set(i64::from(core.config().permission));
    let oldest = core.store().earliest_message_time();
    meter.reserve_ms.set(oldest.map_or(0, |at| core.clock().now().0.saturating_sub(at.0).max(0)));
    meter.topics.set(whole(core.topics().count()));
    meter.consumer_groups.set(whole(core.groups().count()));
    let store = core.store().stats();
    let place = |offset: PhysicalOffset| i64::try_from(offset.0).unwrap_or(i64::MAX);
    meter.store.min.set(place(store.log_min));
    meter.store.written.set(place(store.written));
    meter.store.flushed.set(place(store.flushed));
    meter.store.confirmed.set(place(store.confirmed));
    // What is confirmed is dispatched in the same step: consumers see it at once.
    meter.store.dispatched.set(place(store.confirmed));
    let faults = core.store().faults();
    let health = &meter.store_health;
    health.disk_used.set(i64::try_from(store.disk_used_percent).unwrap_or(100));
    health.refuses.set(faults.iter().any(|fault| fault.refuses).into());
    health.failed_reads.set(store.failed_reads);
    health.lost_pages.set(store.lost_pages);
    for (wait, gauge) in store.waits.iter().zip(&health.waits) {
        gauge.set(i64::try_from(wait.as_secs()).unwrap_or(i64::MAX));
    }
    for (name, gauge) in STORE_FAULTS.iter().zip(&health.faults) {
        gauge.set(faults.iter().any(|fault| fault.name == *name).into());
    }
    let unsaved = broker.unsaved();
    for (name, gauge) in METADATA_FILES.iter().zip(&meter.metadata_unsaved) {
        gauge.set(unsaved.iter().any(|(file, _)| file == name).into());
    }
}

/// How far all groups with progress are behind.
pub(super) fn lags(core: &blockhouse_core::Broker, times: &mut LagTimes) -> Vec<GroupLag> {
    core.lags(times).iter().map(told).collect()
}

/// How far a group is behind, as the meter has it.
pub(super) fn told(lag: &Lag) -> GroupLag {
    let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    GroupLag {
        topic: lag.topic.as_str().into(),
        group: lag.group.as_str().into(),
        messages: lag.messages,
        ready: lag.ready,
        behind_ms: millis(lag.behind),
        queueing_ms: millis(lag.queueing),
        members: lag.members,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_file_of_metadata_has_its_gauge() {
        assert_eq!(blockhouse_meter::METADATA_FILES, blockhouse_meta::UNSAVED_FILES);
    }
}
