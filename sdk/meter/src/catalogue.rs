//! Every metric that exists: the one place where names, units and labels are written.
//!
//! Names that start with `rocketmq_` are those of RocketMQ 5's own exporter, with its labels, so
//! that existing dashboards go on working. What RocketMQ does not have starts with `blockhouse_`.

use crate::creations::CREATION_BOUNDS_MS;
use crate::latencies::LATENCY_BOUNDS_MS;
use crate::sizes::SIZE_BOUNDS;

/// What a metric's value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size, up to each bound.
    Histogram,
}

/// What can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// Name, kind, unit and labels may change with any release.
    Experimental,
    /// They stay as they are. If one has to change, old and new are served side by side for a release, and the changelog
    /// says so.
    Stable,
}

/// A metric's description.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// The whole name, as Prometheus sees it.
    pub name: &'static str,
    /// What the value means.
    pub kind: Kind,
    /// What is counted: `messages`, `bytes`, `seconds`, ...
    pub unit: &'static str,
    /// One sentence for those who read the metrics page.
    pub help: &'static str,
    /// The bounds of a histogram, in its unit; none of others.
    pub bounds: &'static [u64],
    /// Names of the labels besides those that every metric has.
    pub labels: &'static [&'static str],
    /// What can be relied on.
    pub stability: Stability,
}

macro_rules! bounds {
    () => {
        &[]
    };
    ($bounds:expr) => {
        &$bounds
    };
}

macro_rules! catalogue {
    ($($constant:ident: $stability:ident $kind:ident $name:literal [$unit:literal $(, $bounds:expr)?] {$($label:literal),*} $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: $unit,
                help: $help,
                bounds: bounds!($($bounds)?),
                labels: &[$($label),*],
                stability: Stability::$stability,
            };
        )+

        /// All metrics, in the order of the metrics page.
        pub const CATALOGUE: &[&Metric] = &[$(&$constant),+];
    };
}

catalogue! {
    MESSAGES_IN: Stable Counter "rocketmq_messages_in_total" ["messages"] {"topic", "message_type", "is_system"}
        "Messages stored for producers, and once more when a delay is over; what clients send to retry topics themselves is left out.";
    THROUGHPUT_IN: Stable Counter "rocketmq_throughput_in_total" ["bytes"] {"topic", "message_type", "is_system"}
        "Bytes of these messages, as stored.";
    MESSAGE_SIZE: Stable Histogram "rocketmq_message_size" ["bytes", SIZE_BOUNDS] {"topic", "message_type", "is_system"}
        "Sizes of these messages, as stored.";
    MESSAGES_OUT: Stable Counter "rocketmq_messages_out_total" ["messages"] {"topic", "consumer_group", "is_system"}
        "Messages handed to consumers; those of retry and dead-letter topics are counted apart.";
    THROUGHPUT_OUT: Stable Counter "rocketmq_throughput_out_total" ["bytes"] {"topic", "consumer_group", "is_system"}
        "Bytes of messages handed to consumers; those of retry and dead-letter topics are left out.";
    RETRIES_OUT: Stable Counter "blockhouse_retry_messages_out_total" ["messages"] {"topic", "consumer_group"}
        "Messages of retry and dead-letter topics handed to consumers, which RocketMQ's count leaves out.";
    SEND_TO_DLQ: Stable Counter "rocketmq_send_to_dlq_messages_total" ["messages"] {"topic", "consumer_group", "is_system"}
        "Messages that ended in a group's dead-letter topic, by the topic that they came from.";
    LAG_MESSAGES: Stable Gauge "rocketmq_consumer_lag_messages" ["messages"] {"consumer_group", "topic", "is_retry", "is_system"}
        "Messages that a group has not committed, of every group with progress, members or not; 0 when it has caught up.";
    LAG_LATENCY: Stable Gauge "rocketmq_consumer_lag_latency_milliseconds" ["milliseconds"] {"consumer_group", "topic", "is_retry", "is_system"}
        "Age of the oldest message that a group has not committed; 0 when it has caught up.";
    LAG_INFLIGHT: Stable Gauge "rocketmq_consumer_inflight_messages" ["messages"] {"consumer_group", "topic", "is_retry", "is_system"}
        "Messages that a group has pulled and not committed.";
    LAG_READY: Stable Gauge "rocketmq_consumer_ready_messages" ["messages"] {"consumer_group", "topic", "is_retry", "is_system"}
        "Messages that a group has not pulled.";
    LAG_QUEUEING: Stable Gauge "rocketmq_consumer_queueing_latency_milliseconds" ["milliseconds"] {"consumer_group", "topic", "is_retry", "is_system"}
        "Age of the oldest message that a group has not pulled; 0 when there is none.";
    LAG_MEMBERS: Stable Gauge "blockhouse_consumer_online_members" ["members"] {"consumer_group", "topic"}
        "Members of the group that are connected: 0 with messages behind is a group that stands still.";
    LAG_STUCK: Stable Gauge "blockhouse_consumer_stuck_seconds" ["seconds"] {"consumer_group", "topic"}
        "For how long a group with members connected has been behind and has committed nothing, as far as this was looked at; of groups that are behind with members alone.";
    PRODUCER_CONNECTIONS: Stable Gauge "rocketmq_producer_connections" ["members"] {"language", "version", "protocol_type"}
        "Members of producer groups by language and version of their client; one that is in several groups counts in each.";
    CONSUMER_CONNECTIONS: Stable Gauge "rocketmq_consumer_connections" ["members"] {"consumer_group", "language", "version", "consume_mode", "protocol_type", "is_system"}
        "Members of consumer groups by language and version of their client, and by how they get messages: pull, push, pop.";
    TOPIC_NUMBER: Stable Gauge "rocketmq_topic_number" ["topics"] {}
        "Topics that the broker knows.";
    CONSUMER_GROUP_NUMBER: Stable Gauge "rocketmq_consumer_group_number" ["groups"] {}
        "Consumer groups that the broker knows.";
    STORAGE_SIZE: Stable Gauge "rocketmq_storage_size_bytes" ["bytes"] {"storage_type", "storage_medium"}
        "Bytes in use on the filesystem that holds the log, of whatever else is there too.";
    STORE_SIZE: Stable Gauge "blockhouse_store_size_bytes" ["bytes"] {}
        "Bytes between the first and the last message of the log.";
    FLUSH_BEHIND: Stable Gauge "rocketmq_storage_flush_behind_bytes" ["bytes"] {"storage_type", "storage_medium"}
        "Bytes of the log that are not on disk yet.";
    DISPATCH_BEHIND: Stable Gauge "rocketmq_storage_dispatch_behind_bytes" ["bytes"] {"storage_type", "storage_medium"}
        "Bytes of the log that consumers do not see yet.";
    RESERVE_TIME: Stable Gauge "rocketmq_storage_message_reserve_time_milliseconds" ["milliseconds"] {"storage_type", "storage_medium"}
        "Age of the oldest message of the log; 0 if there is none.";
    PROCESSOR_WATERMARK: Stable Gauge "rocketmq_processor_watermark" ["requests"] {"processor"}
        "Requests that were read and wait for their answer, by RocketMQ's name for who serves them; pulls that wait for messages are not among them.";
    BROKER_PERMISSION: Stable Gauge "rocketmq_broker_permission" ["1"] {}
        "What clients may do: 2 sends, 4 pulls, 6 both.";
    STORE_OFFSET: Stable Gauge "blockhouse_store_offset_bytes" ["bytes"] {"place"}
        "Offsets in the log: min, written, flushed, confirmed, dispatched.";
    STORE_DISK_USED: Stable Gauge "blockhouse_store_disk_used_percent" ["percent"] {}
        "Use of the filesystem that holds the log.";
    STORE_REFUSES: Stable Gauge "blockhouse_store_refuses_sends" ["1"] {}
        "1 while no messages are taken because of the disk.";
    STORE_FAULT: Stable Gauge "blockhouse_store_fault" ["1"] {"fault"}
        "1 while the disk fails the part that the label names; poisoned lasts until a restart.";
    STORE_FAILED_READS: Stable Counter "blockhouse_store_failed_reads_total" ["reads"] {}
        "Reads of the log that the disk failed: pulls are answered with an error, and come again.";
    STORE_LOST_PAGES: Stable Counter "blockhouse_store_lost_pages_total" ["pages"] {}
        "Pages of the log that were in memory and that the disk did not give a moment later; read again, or a failed read.";
    STORE_WAIT: Stable Gauge "blockhouse_store_wait_seconds" ["seconds"] {"operation"}
        "For how long the write, or the sync, of the log that is under way now has been so; 0 in between. Seconds are a disk that hangs.";
    STALLED: Stable Gauge "blockhouse_stalled_seconds" ["seconds"] {}
        "For how long none of the threads that serve clients has got on: all of them wait for a disk that hangs; 0 while they do.";
    METADATA_UNSAVED: Stable Gauge "blockhouse_metadata_unsaved" ["1"] {"file"}
        "1 while the file that the label names cannot be written: its changes are only in memory.";
    CONNECTIONS: Stable Gauge "blockhouse_connections" ["connections"] {}
        "Open client connections.";
    CONNECTIONS_OPENED: Stable Counter "blockhouse_connections_opened_total" ["connections"] {}
        "Client connections that were accepted.";
    CONNECTIONS_REFUSED: Stable Counter "blockhouse_connections_refused_total" ["connections"] {}
        "Client connections that were closed at once: over a limit, or not admitted.";
    BAD_FRAMES: Experimental Counter "blockhouse_bad_frames_total" ["connections"] {}
        "Client connections that were closed because what they sent is no request: too long, or a header that cannot be read.";
    CONNECTIONS_SHED: Stable Counter "blockhouse_connections_shed_total" ["connections"] {"reason"}
        "Client connections that were closed before a request of theirs was let in; `docs/operations.md` lists the reasons.";
    NETWORK_IN: Stable Counter "blockhouse_network_in_bytes_total" ["bytes"] {}
        "Bytes read from client connections.";
    NETWORK_OUT: Stable Counter "blockhouse_network_out_bytes_total" ["bytes"] {}
        "Bytes written to client connections.";
    CHANNEL_CONNECTIONS: Stable Gauge "blockhouse_channel_connections" ["connections"] {"channel"}
        "Open client connections in plaintext and over TLS; those that have sent nothing yet are in neither.";
    TLS_HANDSHAKES: Stable Counter "blockhouse_tls_handshakes_total" ["handshakes"] {"outcome"}
        "Handshakes that were done, failed, took too long, had a certificate without a name here (refused), or were none (plaintext, when only TLS is served).";
    TLS_RELOADS: Stable Counter "blockhouse_tls_reloads_total" ["changes"] {"outcome"}
        "Changes of certificates, keys, roots and revocation lists that were taken (done) or not (failed: the old ones stay).";
    TLS_CERTIFICATE_END: Stable Gauge "blockhouse_tls_certificate_expiry_seconds" ["seconds"] {}
        "When the server's certificate ends, in seconds since 1970.";
    TLS_REVOKED: Stable Counter "blockhouse_tls_revoked_connections_total" ["connections"] {}
        "Connections closed because their client's certificate is no longer good.";
    AUTHENTICATIONS: Stable Counter "blockhouse_authentications_total" ["requests"] {"outcome"}
        "Requests by what their credentials proved; `docs/authentication.md` lists the outcomes.";
    QUOTA_REFUSALS: Stable Counter "blockhouse_quota_refusals_total" ["requests"] {"kind"}
        "Requests beyond a quota: sends and others that were refused, pulls that were held back; for the kind `connections` the connections that were closed, for `topics` the topics that were not made.";
    REQUESTS: Stable Counter "blockhouse_requests_total" ["requests"] {"request_code", "response_code"}
        "Requests by name of their code and of the code they were answered with: also why sends and pulls fail.";
    RPC_LATENCY: Stable Histogram "rocketmq_rpc_latency_milliseconds" ["milliseconds", LATENCY_BOUNDS_MS] {"protocol_type", "request_code", "response_code", "is_long_polling", "result"}
        "Times of requests, from when they are read until their answer is ready to be written; `is_long_polling` is true for those that waited for messages.";
    TOPIC_CREATION: Stable Histogram "rocketmq_topic_create_execution_time_milliseconds" ["milliseconds", CREATION_BOUNDS_MS] {"invocation_status", "is_system"}
        "Times of admin commands that create or change topics.";
    GROUP_CREATION: Stable Histogram "rocketmq_consumer_group_create_execution_time_milliseconds" ["milliseconds", CREATION_BOUNDS_MS] {"invocation_status"}
        "Times of admin commands that create or change consumer groups.";
    SPANS_EXPORTED: Stable Counter "blockhouse_spans_exported_total" ["spans"] {}
        "Spans that a collector took.";
    SPANS_DROPPED: Stable Counter "blockhouse_spans_dropped_total" ["spans"] {"reason"}
        "Spans that no collector got: their record found the queue full (queue: counts records), the collector did not take them in time (failed) or rejected them (rejected), or there were too many traces that no `traceparent` wants (limit: counts traces).";
    SEND_STAGE_SECONDS: Experimental Counter "blockhouse_send_stage_seconds_total" ["seconds"] {"stage"}
        "What the time of bursts of sends went to: admit (authorization, topic, hooks), append (encoding and placing), flush (until it was as durable as configured, and answered); where it is measured, for the flight recorder or for traces.";
    SEND_BURSTS: Experimental Counter "blockhouse_send_bursts_total" ["bursts"] {}
        "Bursts of sends that this was measured of: what one connection sent at once.";
    TRACE_CONTEXTS_INVALID: Experimental Counter "blockhouse_trace_contexts_invalid_total" ["messages"] {}
        "Messages sent with a span in their properties (`traceparent` or another that is read) that is none, and requests to a name server with such a `traceparent`: they are treated as if they had none.";
    METRIC_EXPORTS: Experimental Counter "blockhouse_metric_exports_total" ["requests"] {"outcome"}
        "Times that all metrics were sent to a collector, by whether it took them in time: ok, failed, or rejected some of their points: rejected.";
    LOGS_EXPORTED: Experimental Counter "blockhouse_log_events_exported_total" ["events"] {}
        "Events of the log that a collector took.";
    LOGS_DROPPED: Experimental Counter "blockhouse_log_events_dropped_total" ["events"] {"reason"}
        "Events of the log that no collector got: they found the queue full (queue), or the collector did not take them in time (failed) or rejected them (rejected).";
    FLIGHT_COPIES: Experimental Counter "blockhouse_flight_copies_total" ["copies"] {"cause"}
        "Copies that the flight recorder kept, by why: command, signal, panic, latency.";
    HELD_PULLS: Stable Gauge "blockhouse_held_pulls" ["requests"] {}
        "Pulls that wait for messages to arrive (long polling).";
    PLUGIN_LOADED: Stable Gauge "blockhouse_plugin_loaded" ["1"] {"plugin"}
        "1 if the plugin could be loaded; with 0 its hooks fail as its binding says.";
    PLUGIN_BREAKER_OPEN: Stable Gauge "blockhouse_plugin_breaker_open" ["1"] {"plugin"}
        "1 while the plugin is left alone because it failed too often.";
    PLUGIN_INSTANCES: Stable Gauge "blockhouse_plugin_instances" ["instances"] {"plugin"}
        "Instances of the plugin, ready and at work.";
    PLUGIN_MEMORY: Stable Gauge "blockhouse_plugin_memory_bytes" ["bytes"] {"plugin"}
        "Linear memory of all instances of the plugin.";
    PLUGIN_UNHEALTHY: Stable Counter "blockhouse_plugin_unhealthy_instances_total" ["instances"] {"plugin"}
        "Instances that were replaced because they answered `health` with an error, or not at all.";
    PLUGIN_CALLS: Stable Counter "blockhouse_plugin_calls_total" ["calls"] {"plugin", "hook"}
        "Calls of plugins, those that failed included.";
    PLUGIN_MESSAGES: Stable Counter "blockhouse_plugin_messages_total" ["messages"] {"plugin", "hook"}
        "Messages that plugins were shown, or requests where there are none.";
    PLUGIN_SECONDS: Stable Counter "blockhouse_plugin_seconds_total" ["seconds"] {"plugin", "hook"}
        "Time in plugins, from before the instance is taken until the answer is checked.";
    PLUGIN_OBJECTIONS: Stable Counter "blockhouse_plugin_objections_total" ["messages"] {"plugin", "hook"}
        "Refusals, edits and omissions of plugins; in shadow mode what they would have been.";
    PLUGIN_VERDICTS: Stable Counter "blockhouse_plugin_verdicts_total" ["messages"] {"plugin", "hook", "verdict"}
        "Objections of plugins by what they are: reject, drop, reroute, rewrite, hide, identify, select, enrich.";
    PLUGIN_DISAGREEMENTS: Stable Counter "blockhouse_plugin_shadow_disagreements_total" ["messages"] {"plugin", "hook"}
        "Messages, or requests where there are none, that went on past a plugin in shadow mode which would have decided otherwise, or failed and would have refused them.";
    PLUGIN_EVENTS_LOST: Stable Counter "blockhouse_plugin_events_lost_total" ["events"] {"plugin", "hook"}
        "Messages and events that queued hooks were not told of, since there was no room for them or the node stopped.";
    PLUGIN_FAILURES: Stable Counter "blockhouse_plugin_failures_total" ["calls"] {"plugin", "hook", "kind"}
        "Calls of plugins that failed, by kind: trap, deadline, answer, refused, busy, open, missing.";
    PLUGIN_CODE: Stable Counter "blockhouse_plugin_code_total" ["files"] {"source"}
        "Plugins whose compiled code came out of the cache or was compiled, and files of the cache that were refused.";
    PLUGIN_GENERATION: Stable Gauge "blockhouse_plugin_generation" ["changes"] {}
        "Changes of the plugins in force that this node has seen, over restarts.";
    PLUGIN_CHANGES: Stable Counter "blockhouse_plugin_changes_total" ["changes"] {"outcome"}
        "Deploys, rollbacks and switches: done, refused (nothing changed; refused uploads are among them), reverted (by the node itself, since it did worse).";
    POLICY_DECISIONS: Stable Counter "blockhouse_policy_decisions_total" ["requests"] {"outcome"}
        "Requests that policies were asked for: allowed, denied, super (of a user who may do everything).";
    POLICY_RULES: Stable Gauge "blockhouse_policy_rules" ["rules"] {}
        "Rules in force.";
    POLICY_GENERATION: Stable Gauge "blockhouse_policy_generation" ["changes"] {}
        "Changes of the policies that this node has seen, over restarts.";
    POLICY_CHANGES: Stable Counter "blockhouse_policy_changes_total" ["changes"] {"outcome"}
        "Loads of policies since the start: done, refused (what was in force stayed in force).";
    AUDIT_RECORDS: Stable Counter "blockhouse_audit_records_total" ["records"] {"kind"}
        "Records of the audit log, by kind of event; its own are of the kind audit.";
    AUDIT_BYTES: Stable Counter "blockhouse_audit_bytes_total" ["bytes"] {}
        "Bytes of records of the audit log.";
    AUDIT_MERGED: Stable Counter "blockhouse_audit_merged_total" ["events"] {}
        "Events that share a record of the audit log with others like them, which has their number.";
    AUDIT_LOST: Stable Counter "blockhouse_audit_lost_total" ["events"] {}
        "Events of which the audit log has no record; a later record says how many.";
    AUDIT_WRITE_FAILURES: Stable Counter "blockhouse_audit_write_failures_total" ["failures"] {}
        "Writes and syncs of the audit log that failed.";
    AUDIT_WRITABLE: Stable Gauge "blockhouse_audit_writable" ["1"] {}
        "0 while the audit log cannot be written and admin commands are refused.";
    AUDIT_PENDING: Stable Gauge "blockhouse_audit_pending_events" ["events"] {}
        "Events whose record is not on disk yet.";
    AUDIT_LAG: Stable Gauge "blockhouse_audit_lag_seconds" ["seconds"] {}
        "For how long the oldest event has not been on disk, 0 if all are.";
    AUDIT_CHECKPOINT_TIME: Stable Gauge "blockhouse_audit_checkpoint_time_seconds" ["seconds"] {}
        "When the last checkpoint of the audit log was signed, in seconds since 1970.";
    NAMES_REFUSED: Stable Counter "blockhouse_names_refused_total" ["requests"] {"table"}
        "Requests for which there was no room among the topics, groups, places of groups (offsets), members or locked queues that a broker keeps.";
    OVERFLOWS: Experimental Counter "blockhouse_metric_overflow_total" ["label sets"] {"family"}
        "How often there was no room for a series of its own, by family: what it stands for is in the series `(other)`.";
    UPTIME: Stable Gauge "blockhouse_uptime_seconds" ["seconds"] {}
        "Seconds since the process was ready to start its parts.";
    BUILD_INFO: Stable Gauge "blockhouse_build_info" ["1"] {"version"}
        "Always 1; the labels tell what runs.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_that_dashboards_rely_on() {
        let mut names: Vec<_> = CATALOGUE.iter().map(|m| m.name).collect();
        for metric in CATALOGUE {
            assert!(metric.name.starts_with("rocketmq_") || metric.name.starts_with("blockhouse_"));
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{metric:?}");
            assert!(metric.help.ends_with('.'), "{metric:?}");
            assert_eq!(metric.kind == Kind::Histogram, !metric.bounds.is_empty(), "{metric:?}");
            assert!(metric.bounds.is_sorted(), "{metric:?}");
            // What RocketMQ's dashboards rely on is not ours to change.
            let is_stable = metric.stability == Stability::Stable;
            assert!(is_stable || metric.name.starts_with("blockhouse_"), "{metric:?}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CATALOGUE.len());
    }
}
