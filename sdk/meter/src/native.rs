//! Our own names, in base units: what `/metrics/native` calls what `/metrics` has RocketMQ's names for.
//! What is not listed is called the same in both.

use crate::Metric;
use crate::catalogue as c;

/// What a metric is called in base units.
#[derive(Debug, PartialEq, Eq)]
pub struct Native {
    /// The metric.
    pub metric: &'static Metric,
    /// Its name here.
    pub name: &'static str,
    /// How many of its units are a base unit.
    pub per_unit: u32,
}

const fn named(metric: &'static Metric, name: &'static str) -> Native {
    Native { metric, name, per_unit: 1 }
}

const fn seconds(metric: &'static Metric, name: &'static str) -> Native {
    Native { metric, name, per_unit: 1_000 }
}

/// All that have another name.
pub const NATIVE: &[Native] = &[
    named(&c::MESSAGES_IN, "blockhouse_messages_in_total"),
    named(&c::THROUGHPUT_IN, "blockhouse_messages_in_bytes_total"),
    named(&c::MESSAGE_SIZE, "blockhouse_message_size_bytes"),
    named(&c::MESSAGES_OUT, "blockhouse_messages_out_total"),
    named(&c::THROUGHPUT_OUT, "blockhouse_messages_out_bytes_total"),
    named(&c::SEND_TO_DLQ, "blockhouse_dead_letters_total"),
    named(&c::LAG_MESSAGES, "blockhouse_consumer_lag_messages"),
    seconds(&c::LAG_LATENCY, "blockhouse_consumer_lag_seconds"),
    named(&c::LAG_INFLIGHT, "blockhouse_consumer_inflight_messages"),
    named(&c::LAG_READY, "blockhouse_consumer_ready_messages"),
    seconds(&c::LAG_QUEUEING, "blockhouse_consumer_queueing_seconds"),
    named(&c::PRODUCER_CONNECTIONS, "blockhouse_producer_members"),
    named(&c::CONSUMER_CONNECTIONS, "blockhouse_consumer_members"),
    named(&c::TOPIC_NUMBER, "blockhouse_topics"),
    named(&c::CONSUMER_GROUP_NUMBER, "blockhouse_consumer_groups"),
    named(&c::STORAGE_SIZE, "blockhouse_store_filesystem_used_bytes"),
    named(&c::FLUSH_BEHIND, "blockhouse_store_unflushed_bytes"),
    named(&c::DISPATCH_BEHIND, "blockhouse_store_undispatched_bytes"),
    seconds(&c::RESERVE_TIME, "blockhouse_store_oldest_message_age_seconds"),
    named(&c::PROCESSOR_WATERMARK, "blockhouse_waiting_requests"),
    named(&c::BROKER_PERMISSION, "blockhouse_broker_permission"),
    Native { metric: &c::STORE_DISK_USED, name: "blockhouse_store_disk_used_ratio", per_unit: 100 },
    seconds(&c::RPC_LATENCY, "blockhouse_rpc_duration_seconds"),
    seconds(&c::TOPIC_CREATION, "blockhouse_topic_creation_seconds"),
    seconds(&c::GROUP_CREATION, "blockhouse_consumer_group_creation_seconds"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CATALOGUE, Kind};

    #[test]
    fn names_are_our_own_in_base_units_and_each_is_there_once() {
        let native =
            |metric: &Metric| NATIVE.iter().find(|native| native.metric.name == metric.name);
        let mut names: Vec<&str> =
            CATALOGUE.iter().map(|m| native(m).map_or(m.name, |n| n.name)).collect();
        for (name, metric) in names.iter().zip(CATALOGUE) {
            assert!(name.starts_with("blockhouse_"), "{name}");
            for unit in ["milliseconds", "percent"] {
                assert!(!name.contains(unit), "{name}");
            }
            assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CATALOGUE.len());
    }
}
