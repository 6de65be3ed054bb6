//! What a broker of RocketMQ 5.3.3 exports itself, as Prometheus stores it: the families that are not
//! served here, with the reason, but for those of tiered storage. All others are in the catalogue, with
//! RocketMQ's names, labels and buckets.

use crate::sidecar::families::Missing;

const TRANSACTIONS: &str = "comes with transactions";
const TIMER: &str = "comes with messages that have a time of delivery of their own";
const POP: &str = "comes with POP";
const ROCKSDB: &str = "queues are in files, not in RocksDB";

const STORE: &[&str] = &["storage_type", "storage_medium"];
const TOPIC: &[&str] = &["topic", "storage_type", "storage_medium"];
const ROCKS: &[&str] = &["type", "storage_type", "storage_medium"];

const fn missing(
    name: &'static str,
    labels: &'static [&'static str],
    why: &'static str,
) -> Missing {
    Missing { name, labels, why }
}

/// All families that are not served.
pub const MISSING: &[Missing] = &[
    missing("rocketmq_commit_messages_total", &["topic"], TRANSACTIONS),
    missing("rocketmq_rollback_messages_total", &["topic"], TRANSACTIONS),
    missing("rocketmq_finish_message_latency_milliseconds", &["topic"], TRANSACTIONS),
    missing("rocketmq_half_messages", &["topic"], TRANSACTIONS),
    missing("rocketmq_timer_enqueue_lag", STORE, TIMER),
    missing("rocketmq_timer_enqueue_latency_milliseconds", STORE, TIMER),
    missing("rocketmq_timer_dequeue_lag", STORE, TIMER),
    missing("rocketmq_timer_dequeue_latency_milliseconds", STORE, TIMER),
    missing("rocketmq_timing_messages", TOPIC, TIMER),
    missing("rocketmq_timer_enqueue_total", TOPIC, TIMER),
    missing("rocketmq_timer_dequeue_total", TOPIC, TIMER),
    missing(
        "rocketmq_timer_message_snapshot",
        &["timer_bound_s", "storage_type", "storage_medium"],
        TIMER,
    ),
    missing("rocketmq_delay_message_latency_seconds", TOPIC, TIMER),
    missing("rocketmq_pop_buffer_scan_time_consume_milliseconds", &[], POP),
    missing(
        "rocketmq_pop_revive_in_message_total",
        &["consumer_group", "topic", "revive_message_type", "put_status"],
        POP,
    ),
    missing(
        "rocketmq_pop_revive_out_message_total",
        &["consumer_group", "topic", "queue_id", "revive_message_type"],
        POP,
    ),
    missing(
        "rocketmq_pop_revive_retry_messages_total",
        &["consumer_group", "topic", "put_status"],
        POP,
    ),
    missing("rocketmq_pop_revive_lag_milliseconds", &["queue_id"], POP),
    missing("rocketmq_pop_revive_latency_milliseconds", &["queue_id"], POP),
    missing("rocketmq_pop_offset_buffer_size", &[], POP),
    missing("rocketmq_pop_checkpoint_buffer_size", &[], POP),
    missing("rocketmq_rocksdb_bytes_written", ROCKS, ROCKSDB),
    missing("rocketmq_rocksdb_bytes_read", ROCKS, ROCKSDB),
    missing("rocketmq_rocksdb_times_written_self", ROCKS, ROCKSDB),
    missing("rocketmq_rocksdb_times_written_other", ROCKS, ROCKSDB),
    missing("rocketmq_rocksdb_rate_cache_hit", ROCKS, ROCKSDB),
    missing("rocketmq_rocksdb_times_compressed", ROCKS, ROCKSDB),
    missing("rocketmq_rocksdb_read_amplification_bytes", ROCKS, ROCKSDB),
    missing("rocketmq_rocksdb_times_read", ROCKS, ROCKSDB),
];

/// Families that are served and say something else than RocketMQ's where it says nothing useful, or says
/// it wrongly; and what all of them have in common.
pub const DIFFERENCES: &[(&str, &str)] = &[
    (
        "all",
        "RocketMQ's label `otel_scope_name`, its `target_info` and `otel_scope_info` are not there, nor its timestamps: with these, Prometheus shows a series that is gone for 5 more minutes.",
    ),
    (
        "`rocketmq_processor_watermark`",
        "RocketMQ tells how many requests are in the queues of its thread pools. There are none here: it is how many were read and wait for their answer, for the disk as a rule. `async_put`, `ack`, `transaction` and `reply` are always 0.",
    ),
    (
        "`rocketmq_rpc_latency_milliseconds`",
        "All series have all five labels, where RocketMQ's of pulls have no `is_long_polling` with `transferMsgByHeap=false`. `result` is `success` or `oneway`: an answer that cannot be written is no answer.",
    ),
    (
        "`rocketmq_message_size`",
        "Each message of a batch counts with its own size and type. RocketMQ counts a batch once, with the average size, and as `normal`.",
    ),
    (
        "lag",
        "All groups with progress are there, members or not. RocketMQ's go with the last member.",
    ),
    (
        "`rocketmq_send_to_dlq_messages_total`",
        "`consumer_group` is the group also where a client sends the message to the retry topic itself; RocketMQ's has the client's producer group there.",
    ),
    (
        "`rocketmq_storage_message_reserve_time_milliseconds`",
        "0 if there is no message, where RocketMQ's is not there.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CATALOGUE, Kind};

    type Given = (&'static str, Kind, &'static [&'static str], &'static [u64]);

    const NO: &[u64] = &[];
    const LAG: &[&str] = &["consumer_group", "topic", "is_retry", "is_system"];
    const IN: &[&str] = &["topic", "message_type", "is_system"];
    const OUT: &[&str] = &["topic", "consumer_group", "is_system"];
    const CREATED: &[u64] = &[10, 100, 1_000, 3_000, 5_000];
    const SIZES: &[u64] = &[1_024, 4_096, 524_288, 1_048_576, 2_097_152, 4_194_304];
    const LATENCIES: &[u64] = &[1, 3, 5, 7, 10, 100, 1_000, 2_000, 3_000];

    /// What RocketMQ 5.3.3 gives of what there is here, read from its source and from a scrape of it.
    const GIVEN: &[Given] = &[
        ("rocketmq_messages_in_total", Kind::Counter, IN, NO),
        ("rocketmq_throughput_in_total", Kind::Counter, IN, NO),
        ("rocketmq_message_size", Kind::Histogram, IN, SIZES),
        ("rocketmq_messages_out_total", Kind::Counter, OUT, NO),
        ("rocketmq_throughput_out_total", Kind::Counter, OUT, NO),
        ("rocketmq_send_to_dlq_messages_total", Kind::Counter, OUT, NO),
        ("rocketmq_consumer_lag_messages", Kind::Gauge, LAG, NO),
        ("rocketmq_consumer_lag_latency_milliseconds", Kind::Gauge, LAG, NO),
        ("rocketmq_consumer_inflight_messages", Kind::Gauge, LAG, NO),
        ("rocketmq_consumer_queueing_latency_milliseconds", Kind::Gauge, LAG, NO),
        ("rocketmq_consumer_ready_messages", Kind::Gauge, LAG, NO),
        (
            "rocketmq_producer_connections",
            Kind::Gauge,
            &["language", "version", "protocol_type"],
            NO,
        ),
        (
            "rocketmq_consumer_connections",
            Kind::Gauge,
            &[
                "consumer_group",
                "language",
                "version",
                "consume_mode",
                "protocol_type",
                "is_system",
            ],
            NO,
        ),
        ("rocketmq_topic_number", Kind::Gauge, &[], NO),
        ("rocketmq_consumer_group_number", Kind::Gauge, &[], NO),
        ("rocketmq_broker_permission", Kind::Gauge, &[], NO),
        ("rocketmq_processor_watermark", Kind::Gauge, &["processor"], NO),
        ("rocketmq_storage_size_bytes", Kind::Gauge, STORE, NO),
        ("rocketmq_storage_flush_behind_bytes", Kind::Gauge, STORE, NO),
        ("rocketmq_storage_dispatch_behind_bytes", Kind::Gauge, STORE, NO),
        ("rocketmq_storage_message_reserve_time_milliseconds", Kind::Gauge, STORE, NO),
        (
            "rocketmq_rpc_latency_milliseconds",
            Kind::Histogram,
            &["protocol_type", "request_code", "response_code", "is_long_polling", "result"],
            LATENCIES,
        ),
        (
            "rocketmq_topic_create_execution_time_milliseconds",
            Kind::Histogram,
            &["invocation_status", "is_system"],
            CREATED,
        ),
        (
            "rocketmq_consumer_group_create_execution_time_milliseconds",
            Kind::Histogram,
            &["invocation_status"],
            CREATED,
        ),
    ];

    #[test]
    fn what_has_rocketmq_s_name_has_its_labels_and_buckets() {
        let ours = CATALOGUE.iter().filter(|metric| metric.name.starts_with("rocketmq_"));
        let mut ours: Vec<Given> = ours.map(|m| (m.name, m.kind, m.labels, m.bounds)).collect();
        let mut given = GIVEN.to_vec();
        ours.sort_by_key(|family| family.0);
        given.sort_by_key(|family| family.0);
        assert_eq!(ours, given);
    }

    #[test]
    fn what_is_said_to_be_missing_is() {
        let mut names: Vec<&str> = MISSING.iter().map(|family| family.name).collect();
        assert!(MISSING.iter().all(|family| !CATALOGUE.iter().any(|m| m.name == family.name)));
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), MISSING.len() + GIVEN.len()), (MISSING.len(), 53));
    }
}
