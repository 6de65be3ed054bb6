//! What is looked at, from where on it is not well, and what helps.

use super::Check;
use crate::samples::Sample;

/// A check of one metric, series by series.
pub(super) struct Rule {
    pub(super) metric: &'static str,
    /// Which of its series.
    pub(super) keep: fn(&Sample) -> bool,
    /// From where on it is a warning, and from where on a failure.
    pub(super) limits: [f64; 2],
    /// What the number is, after it.
    pub(super) unit: &'static str,
    pub(super) check: Check,
}

/// As metrics name the code.
pub(super) const FLUSH_DISK_TIMEOUT: &str = "flush_disk_timeout";
const NEVER: f64 = f64::INFINITY;
/// More than none.
pub(super) const ANY: f64 = 1.0;

const fn all(_: &Sample) -> bool {
    true
}

/// A failure from the first on.
const fn broken(metric: &'static str, unit: &'static str, check: Check) -> Rule {
    Rule { metric, keep: all, limits: [ANY, ANY], unit, check }
}

/// A warning from the first on.
const fn lost(metric: &'static str, unit: &'static str, check: Check) -> Rule {
    Rule { metric, keep: all, limits: [ANY, NEVER], unit, check }
}

const fn check(
    name: &'static str,
    advice: &'static str,
    panel: &'static str,
    page: &'static str,
) -> Check {
    Check { name, advice, panel, page }
}

const HANGS: &str = "operations.md#when-the-disk-hangs";
const HANGS_ADVICE: &str =
    "look at the kernel's log (dmesg) and at the volume (iostat -x): clients wait for the disk";
const DISK: &str = "operations.md#when-the-disk-fails";
const GROUPS: &str = "operations.md#when-groups-fall-behind";
const NAMES: &str = "operations.md#names-that-clients-make-up";
const LIMITS: &str = "operations.md#connections-that-only-take";

pub(super) const RULES: &[Rule] = &[
    Rule {
        metric: "blockhouse_store_disk_used_percent",
        keep: all,
        limits: [80.0, 90.0],
        unit: "% of the log's filesystem is used",
        check: check(
            "disk-use",
            "make room, or keep less (store.file_reserved_hours): at store.disk_max_used_percent sends are refused",
            "Disk",
            DISK,
        ),
    },
    Rule {
        metric: "blockhouse_store_wait_seconds",
        keep: all,
        limits: [5.0, 30.0],
        unit: "s of waiting for the disk",
        check: check("disk-hangs", HANGS_ADVICE, "Faults", HANGS),
    },
    Rule {
        metric: "blockhouse_stalled_seconds",
        keep: all,
        limits: [5.0, 5.0],
        unit: "s without any thread that serves clients getting on",
        check: check("stalled", HANGS_ADVICE, "Faults", HANGS),
    },
    broken(
        "blockhouse_store_refuses_sends",
        "refuses sends because of the disk",
        check(
            "sends-refused",
            "make room on the log's filesystem: sends are taken again without a restart",
            "Faults",
            DISK,
        ),
    ),
    broken(
        "blockhouse_store_fault",
        "fault of the store",
        check(
            "store-fault",
            "look at the log of the process and of the kernel; poisoned lasts until a restart on a disk that works",
            "Faults",
            DISK,
        ),
    ),
    broken(
        "blockhouse_metadata_unsaved",
        "file cannot be written",
        check(
            "metadata-unsaved",
            "its changes are only in memory: make room, mend the filesystem or its permissions",
            "Faults",
            DISK,
        ),
    ),
    lost(
        "blockhouse_store_failed_reads_total",
        "reads that the disk failed",
        check(
            "failed-reads",
            "look at the kernel's log; `blockhouse admin store check` on the stopped store says what is damaged",
            "",
            DISK,
        ),
    ),
    lost(
        "blockhouse_store_lost_pages_total",
        "pages that the disk did not give again",
        check("lost-pages", "look at the kernel's log: the device loses data", "", DISK),
    ),
    Rule {
        metric: "rocketmq_storage_flush_behind_bytes",
        keep: all,
        limits: [256e6, 2e9],
        unit: "bytes are not on disk yet",
        check: check(
            "flush-behind",
            "the disk is slower than what is sent: a crash of the machine would lose this much",
            "Log",
            "operations.md#what-is-promised-and-what-may-be-lost",
        ),
    },
    Rule {
        metric: "blockhouse_requests_total",
        keep: |sample| sample.label("response_code") == FLUSH_DISK_TIMEOUT,
        limits: [ANY, NEVER],
        unit: "sends were stored and not synced in time",
        check: check(
            "syncs-too-slow",
            "under flush = \"sync\" the disk took longer than store.sync_flush_timeout_ms: it is overloaded or hangs",
            "Answers other than success",
            "operations.md#what-is-promised-and-what-may-be-lost",
        ),
    },
    Rule {
        metric: "rocketmq_consumer_lag_latency_milliseconds",
        keep: |sample| sample.label("is_system") != "true",
        limits: [300e3, NEVER],
        unit: "ms behind",
        check: check(
            "group-late",
            "`blockhouse admin progress GROUP` says where: add consumers or mend what they wait for",
            "Time behind",
            GROUPS,
        ),
    },
    Rule {
        metric: "blockhouse_consumer_stuck_seconds",
        keep: all,
        limits: [30.0, NEVER],
        unit: "s behind without a commit, though members are connected",
        check: check(
            "group-stuck",
            "its members have messages and are not done with them, or do not pull: `blockhouse top` says which, their own logs on what",
            "Messages behind",
            GROUPS,
        ),
    },
    lost(
        "blockhouse_names_refused_total",
        "requests for which there was no room",
        check(
            "names-full",
            "delete topics and groups that nobody needs, close clients, or raise broker.topics_max, groups_max, members_max; \
             `blockhouse admin refusals` says who wanted more",
            "",
            NAMES,
        ),
    ),
    lost(
        "blockhouse_metric_overflow_total",
        "times no room for a series of its own",
        check(
            "metric-overflow",
            "sums are exact, but what is in `(other)` cannot be told apart: who makes so many names up?",
            "",
            NAMES,
        ),
    ),
    lost(
        "rocketmq_send_to_dlq_messages_total",
        "messages given up",
        check(
            "dead-letters",
            "consumers failed on them again and again: read topic %DLQ%GROUP, mend the consumer, send them again",
            "Messages stored",
            GROUPS,
        ),
    ),
    lost(
        "blockhouse_connections_refused_total",
        "connections refused",
        check(
            "connections-refused",
            "raise transport.connections_max or the descriptors of the process, or find who opens so many",
            "Connections",
            LIMITS,
        ),
    ),
    lost(
        "blockhouse_connections_shed_total",
        "connections closed before a request was let in",
        check(
            "connections-shed",
            "clients that say nothing or cannot log in: the log at level debug says who",
            "Connections",
            LIMITS,
        ),
    ),
    lost(
        "blockhouse_quota_refusals_total",
        "requests over a quota",
        check(
            "quotas",
            "the audit log says whose: raise the quota or slow the client",
            "Answers other than success",
            "operations.md#quotas",
        ),
    ),
    Rule {
        metric: "blockhouse_tls_reloads_total",
        keep: |sample| sample.label("outcome") == "failed",
        limits: [ANY, NEVER],
        unit: "changes of certificates not taken",
        check: check(
            "tls-reload",
            "the log says which file; the old certificates stay in force until they end",
            "",
            "tls.md#changing-files",
        ),
    },
    Rule {
        metric: "blockhouse_tls_handshakes_total",
        keep: |sample| matches!(sample.label("outcome"), "failed" | "refused" | "plaintext"),
        limits: [ANY, NEVER],
        unit: "connections without a good handshake",
        check: check(
            "tls-handshakes",
            "clients with the wrong root, an old certificate or without TLS: the log at level debug says who",
            "Connections",
            "tls.md#clients",
        ),
    },
    Rule {
        metric: "blockhouse_authentications_total",
        keep: |sample| {
            matches!(
                sample.label("outcome"),
                "unknown_user" | "bad_signature" | "disabled" | "plaintext"
            )
        },
        limits: [ANY, NEVER],
        unit: "requests with wrong credentials",
        check: check(
            "credentials",
            "`blockhouse audit query DIR --kind authentication --outcome refused` says from where",
            "",
            "authentication.md#what-is-refused",
        ),
    },
    Rule {
        metric: "blockhouse_policy_changes_total",
        keep: |sample| sample.label("outcome") == "refused",
        limits: [ANY, NEVER],
        unit: "loads of policies refused",
        check: check(
            "policies-refused",
            "the set before stays in force: `blockhouse policy check` says what is wrong with the new one",
            "Decisions of policies",
            "policies.md#nodes",
        ),
    },
    lost(
        "blockhouse_plugin_failures_total",
        "calls failed",
        check(
            "plugin-failures",
            "`blockhouse plugin logs NAME` says why; `blockhouse plugin rollback NAME` goes back",
            "Calls of plugins",
            "plugins.md#failures",
        ),
    ),
    broken(
        "blockhouse_plugin_breaker_open",
        "left alone because it failed too often",
        check(
            "plugin-breaker",
            "until it is tried again its hooks do what on_failure says: `blockhouse plugin logs NAME`",
            "Calls of plugins",
            "plugins.md#failures",
        ),
    ),
    lost(
        "blockhouse_plugin_events_lost_total",
        "events for which there was no room",
        check(
            "plugin-events",
            "the plugin is slower than its events: `blockhouse plugin top`",
            "Calls of plugins",
            "plugins.md#limits",
        ),
    ),
    Rule {
        metric: "blockhouse_plugin_changes_total",
        keep: |sample| sample.label("outcome") == "reverted",
        limits: [ANY, NEVER],
        unit: "versions taken back by the node",
        check: check(
            "plugin-reverted",
            "`blockhouse plugin list` and `describe NAME` say which and why",
            "Calls of plugins",
            "plugins.md#deploy-and-rollback",
        ),
    },
    Rule {
        metric: "blockhouse_spans_dropped_total",
        // The others are beyond a limit that somebody wants.
        keep: |sample| sample.label("reason") != "limit",
        limits: [ANY, NEVER],
        unit: "spans that no collector got",
        check: check(
            "spans-dropped",
            "the collector cannot be reached or is too slow: the log says which",
            "",
            "tracing.md#when-spans-are-dropped",
        ),
    },
    lost(
        "blockhouse_audit_lost_total",
        "events have no record",
        check(
            "audit-lost",
            "a record says how many and when: `blockhouse audit query DIR --kind audit`",
            "Audit log",
            "audit.md#when-it-cannot-be-written",
        ),
    ),
    lost(
        "blockhouse_audit_write_failures_total",
        "writes and syncs failed",
        check(
            "audit-writes",
            "make room, or mend the filesystem of audit.dir",
            "Audit log",
            "audit.md#when-it-cannot-be-written",
        ),
    ),
    Rule {
        metric: "blockhouse_audit_lag_seconds",
        keep: all,
        limits: [10.0, 60.0],
        unit: "s an event waits for its record",
        check: check(
            "audit-late",
            "the disk of audit.dir is too slow for this many events",
            "Audit log",
            "audit.md#what-waits",
        ),
    },
];

pub(super) const ASKED: Check = check(
    "ops-listener",
    "is a node running, and is that its ops.listen? If it answers 401 or 403, say who you are: --access-key NAME --secret-key-file FILE. What it answers is in its log, too",
    "",
    "operations.md#health",
);
pub(super) const PLUGIN_LOADED: Check = check(
    "plugin-loaded",
    "its hooks fail as on_failure says: the log says why it cannot be loaded",
    "Calls of plugins",
    "plugins.md#failures",
);
pub(super) const AUDIT_WRITABLE: Check = check(
    "audit-writable",
    "admin commands are refused until it can be written: make room, or mend the filesystem of audit.dir",
    "Audit log",
    "audit.md#when-it-cannot-be-written",
);
pub(super) const PERMISSION: Check = check(
    "broker-permission",
    "broker.permission says 6 for sending and pulling",
    "",
    "operations.md#configuration",
);
pub(super) const CERTIFICATE: Check = check(
    "tls-certificate",
    "renew it: files are read again without a restart",
    "",
    "tls.md#changing-files",
);
pub(super) const ALONE: Check = check(
    "group-stands-still",
    "messages wait and nobody of the group is connected: start its consumers, or delete the group",
    "Messages behind",
    GROUPS,
);
pub(super) const BUSY: Check = check(
    "busy",
    "the broker answers SYSTEM_BUSY: it is overloaded, or a limit in [transport] is too low",
    "Answers other than success",
    "operations.md#configuration",
);
pub(super) const SAME_VERSION: Check = check(
    "same-version",
    "finish the upgrade: nodes of one cluster should run one version",
    "",
    "operations.md#start-stop-exit-codes",
);

const LISTENERS: &str = "operations.md#where-it-listens";

pub(super) const NAME_SERVER: Check = check(
    "name-server-answers",
    "start it, or take it out of --namesrv here and of the configuration of brokers and clients; if it answers NO_PERMISSION, say who you are: --access-key NAME --secret-key-file FILE; if it takes TLS only: --tls-ca FILE",
    "",
    LISTENERS,
);
pub(super) const REGISTERED: Check = check(
    "brokers-registered",
    "brokers report to the name servers of node.namesrv when they start and every 30 s: start one, or mend its list",
    "",
    LISTENERS,
);
pub(super) const SAME: Check = check(
    "name-servers-agree",
    "list every name server in every broker's node.namesrv: a client may ask any of them",
    "",
    LISTENERS,
);
pub(super) const BROKER: Check = check(
    "broker-answers",
    "name servers give this address to clients: is the broker running, and is --advertise reachable from here?",
    "",
    LISTENERS,
);
