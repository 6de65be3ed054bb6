//! What broker and store count for themselves, copied into the meter before it is read.

use std::time::Duration;

use blockhouse_broker::Running;
use blockhouse_core::lag::{Lag, LagTimes};
use blockhouse_core::stats::{Kind, Stats, Volume};
use blockhouse_meter::messages::is_told;
use blockhouse_meter::{
    GroupLag, InLabels, METADATA_FILES, Meter, OutLabels, QuotaKind, STORE_FAULTS,
};
use blockhouse_model::{MessageType, PhysicalOffset};

pub(super) fn refresh(meter: &Meter, broker: &Running) {
    read_messages(meter, broker.core().stats());
    let core = broker.core();
    for (refused, counter) in core.refused_names().into_iter().zip(&meter.names_refused) {
        counter.set(refused);
    }
    meter.quota_refusals.set(QuotaKind::Topics, core.topics().refused_owners());
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
    if let Some(space) = broker.space() {
        let used = space.total.saturating_sub(space.free);
        health.disk_used_bytes.set(i64::try_from(used).unwrap_or(i64::MAX));
    }
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

/// What RocketMQ's exporter tells of messages. Deleted topics and groups are not among them any more.
fn read_messages(meter: &Meter, stats: &Stats) {
    let both = |volume: Volume| [volume.messages, volume.bytes];
    let stored = stats.by_type().into_iter().flat_map(|(topic, volumes)| {
        let told = MessageType::ALL.into_iter().zip(volumes);
        let told = told.filter(|(kind, volume)| volume.messages > 0 && is_told(&topic, *kind));
        let told =
            told.map(|(kind, volume)| (InLabels { topic: topic.clone(), kind }, both(volume)));
        told.collect::<Vec<_>>()
    });
    let rest = |kind| {
        let (volume, times) = stats.rest(kind);
        (both(volume), times)
    };
    meter.stored.take(stored, rest(Kind::TopicPut));
    let pair = |key: &str| {
        let (topic, group) = key.split_once('@').unwrap_or((key, ""));
        OutLabels { topic: topic.into(), group: group.into() }
    };
    let delivered = stats.by_key(Kind::GroupGet).into_iter();
    let delivered = delivered.map(|(key, volume)| (pair(&key), both(volume)));
    meter.delivered.take(delivered, rest(Kind::GroupGet));
    let given_up = stats.by_key(Kind::GivenUp).into_iter();
    let given_up = given_up.map(|(key, volume)| (pair(&key), [volume.messages]));
    let ([messages, _], times) = rest(Kind::GivenUp);
    meter.dead_lettered.take(given_up, ([messages], times));
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
        stuck_seconds: lag.stuck.as_secs(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_file_of_metadata_has_its_gauge() {
        assert_eq!(blockhouse_meter::METADATA_FILES, blockhouse_meta::UNSAVED_FILES);
    }
}
