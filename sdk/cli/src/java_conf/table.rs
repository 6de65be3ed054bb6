//! What each key of RocketMQ's `broker.conf` is here.

/// What becomes of a key.
#[derive(Clone, Copy)]
pub(crate) enum Meaning {
    /// Our option has the same values.
    Is(&'static str),
    /// Our option has some of the same values; the text says which.
    Only(&'static str, fn(&str) -> bool, &'static str),
    /// Our option has other values; the text says which there are.
    Through(&'static str, fn(&str) -> Option<String>, &'static str),
    /// Half of the address that is our option.
    Address(&'static str, Half),
    /// Other values than these would be dangerous to pass over.
    Refused(&'static [&'static str], &'static str),
    /// Which way metrics go.
    Exporter,
    /// Our option, if metrics go to a collector; the text says which values there are.
    Collector(&'static str, fn(&str) -> Option<String>, &'static str),
    /// No effect, because. The first text says which values there are; with those of the list nothing is
    /// missed.
    Moot(fn(&str) -> bool, &'static str, &'static [&'static str], &'static str),
    /// No effect, because.
    None(&'static str),
}

/// Which half of an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Host,
    Port,
}

use Meaning::{Address, Is, None as Not, Only, Refused, Through};

use super::metrics;

const THREADS: &str = "there are no thread pools: requests run where their connection is read";
const POOLS: &str = "memory is bounded by transport.in_flight_bytes and store.write_buffer_size";
const MAPS: &str = "files are written with pwrite, not through maps, so there is nothing to tune";
const FLUSH: &str = "store.flush_interval_ms alone decides when files are synced";
const LATER: &str = "what it belongs to is not built yet";
const REPLICATION: &str = "replication is not built yet";
const UNKNOWN: &str = "the key is unknown here";
const NO_AUTH: &str = "its users and ACLs are in RocksDB, which is not read here: set authz.enabled and \
                       authz.mode = \"acl2\" instead, copy them with mqadmin copyUser and copyAcl, \
                       and see docs/policies.md";
const ACL_1: &str = "ACL 1.0's file is imported once (`blockhouse admin users import`): set \
                     authenticationEnabled instead, and see docs/authentication.md";
const NO_REPLICATION: &str = "replication is not built yet; run the node as a master of its own, \
                              with its own brokerName";

const BYTES: &str = "a number of bytes";
const ONE_PATH: &str = "one directory (a CommitLog over several is not supported)";
const DLEDGER: &str = "DLedger's log is not read here; start a new broker beside it, with its own \
                       brokerName, and let the old one be consumed empty";
const ROCKSDB: &str = "queues, topics, groups and offsets are in files here, not in RocksDB; \
                       docs/operations.md says how to get them into files";
const SEVERAL_LOGS: &str = "the CommitLog is in one directory here; move all its files into one";

const EXACT: &[(&str, Meaning)] = &[
    ("brokerName", Is("node.name")),
    ("brokerClusterName", Is("node.cluster")),
    ("brokerId", Refused(&["0"], NO_REPLICATION)),
    ("namesrvAddr", Is("node.namesrv")),
    ("brokerIP1", Is("node.advertise")),
    ("listenPort", Address("node.broker_listen", Half::Port)),
    ("bindAddress", Address("node.broker_listen", Half::Host)),
    ("storePathRootDir", Is("node.data")),
    ("storePathCommitLog", Only("store.commit_log_dir", one_path, ONE_PATH)),
    ("flushDiskType", Through("store.flush", flush, "ASYNC_FLUSH or SYNC_FLUSH")),
    ("syncFlushTimeout", Is("store.sync_flush_timeout_ms")),
    ("flushIntervalCommitLog", Is("store.flush_interval_ms")),
    ("mappedFileSizeCommitLog", Is("store.segment_size")),
    ("mappedFileSizeConsumeQueue", Through("store.queue_file_entries", entries, BYTES)),
    ("maxHashSlotNum", Is("store.index_slots")),
    ("maxIndexNum", Is("store.index_entries")),
    ("messageIndexEnable", Is("store.index")),
    ("fileReservedTime", Is("store.file_reserved_hours")),
    ("deleteWhen", Is("store.delete_when")),
    ("diskMaxUsedSpaceRatio", Is("store.disk_clean_percent")),
    ("diskSpaceCleanForciblyRatio", Is("store.disk_force_clean_percent")),
    ("diskSpaceWarningLevelRatio", Is("store.disk_max_used_percent")),
    ("maxFilterMessageSize", Through("store.filter_scan_entries", entries, BYTES)),
    ("maxMessageSize", Is("broker.max_message_size")),
    ("messageDelayLevel", Is("broker.message_delay_level")),
    ("autoCreateTopicEnable", Is("broker.auto_create_topic")),
    ("autoCreateSubscriptionGroup", Is("broker.auto_create_subscription_group")),
    ("defaultTopicQueueNums", Is("broker.default_topic_queues")),
    ("longPollingEnable", Is("broker.long_polling")),
    ("shortPollingTimeMills", Is("broker.short_polling_ms")),
    ("regionId", Is("broker.region_id")),
    ("traceOn", Is("broker.trace_on")),
    ("traceTopicEnable", Is("broker.trace_topic")),
    ("brokerPermission", Is("broker.permission")),
    ("notifyConsumerIdsChangedEnable", Is("broker.notify_consumer_ids_changed")),
    ("maxTransferCountOnMessageInMemory", Is("broker.pull_messages_max")),
    ("maxTransferBytesOnMessageInMemory", Is("broker.pull_bytes_max")),
    (
        "serverChannelMaxIdleTimeSeconds",
        Through("transport.idle_ms", seconds, "a number of seconds"),
    ),
    ("waitTimeMillsInSendQueue", Is("transport.busy_wait_ms")),
    ("registerNameServerPeriod", Is("registrar.report_ms")),
    ("forceRegister", Is("registrar.report_in_full")),
    ("compressedRegister", Is("registrar.compressed")),
    ("registerBrokerTimeoutMills", Is("registrar.answer_timeout_ms")),
    ("brokerRole", Refused(&["ASYNC_MASTER"], NO_REPLICATION)),
    ("enableDLegerCommitLog", Refused(&["false"], DLEDGER)),
    ("enableControllerMode", Refused(&["false"], NO_REPLICATION)),
    ("aclEnable", Refused(&["false"], ACL_1)),
    ("authenticationEnabled", Is("authn.enabled")),
    ("authorizationEnabled", Refused(&["false"], NO_AUTH)),
    ("storeType", Refused(&["default"], ROCKSDB)),
    ("configManagerVersion", Refused(&["v1"], ROCKSDB)),
    ("readOnlyCommitLogStorePaths", Refused(&[""], SEVERAL_LOGS)),
    ("transientStorePoolEnable", Refused(&["false"], "messages are never only in process memory")),
    ("brokerIP2", Not(REPLICATION)),
    ("slaveReadEnable", Not(REPLICATION)),
    ("totalReplicas", Not(REPLICATION)),
    ("inSyncReplicas", Not(REPLICATION)),
    ("minInSyncReplicas", Not(REPLICATION)),
    ("rocketmqHome", Not("there is nothing to look for there")),
    ("transferMsgByHeap", Not("messages are always sent from where they are stored")),
    ("warmMapedFileEnable", Not(MAPS)),
    ("useReentrantLockWhenPutMessage", Not("the store has its own way of appending")),
    ("flushCommitLogTimed", Not(FLUSH)),
    ("osPageCacheBusyTimeOutMills", Not("transport.busy_wait_ms and the store's buffers decide")),
    ("checkCRCOnRecover", Not("records are always checked on recovery")),
    ("flushConsumerOffsetInterval", Not("committed offsets are written at once and in batches")),
    ("clientCloseSocketIfTimeout", Not("the broker is hardly ever a client")),
    ("maxMsgsNumBatch", Not("a query returns what the client asks for, at most 64")),
    ("defaultQueryMaxNum", Not("a query returns what the client asks for, at most 64")),
];

const PREFIXES: &[(&str, Meaning)] = &[
    ("ha", Not(REPLICATION)),
    ("dLeger", Not(REPLICATION)),
    ("slave", Not(REPLICATION)),
    ("controller", Not(REPLICATION)),
    ("syncBroker", Not(REPLICATION)),
    ("timer", Not(LATER)),
    ("pop", Not(LATER)),
    ("revive", Not(LATER)),
    ("enablePop", Not(LATER)),
    ("transaction", Not(LATER)),
    ("rejectTransactionMessage", Not(LATER)),
    ("compaction", Not(LATER)),
    ("rocksdb", Not("queues are in files, not in RocksDB")),
    ("coldData", Not(LATER)),
    ("enableLmq", Not(LATER)),
    ("enableMultiDispatch", Not(LATER)),
    ("enablePropertyFilter", Not(LATER)),
    ("acl", Not(LATER)),
    ("tls", Not(LATER)),
    ("transientStorePool", Not(POOLS)),
    ("serverSocket", Not("the operating system sizes socket buffers")),
    ("writeBuffer", Not(POOLS)),
    ("mappedFile", Not(MAPS)),
    ("flushLeastPages", Not(FLUSH)),
    ("flushC", Not(FLUSH)),
    ("commitC", Not(FLUSH)),
    ("commitI", Not(FLUSH)),
    ("waitTimeMillsIn", Not("transport.busy_wait_ms is for all requests")),
    ("fetchNam", Not("name servers are listed in node.namesrv")),
];

const SUFFIXES: &[(&str, Meaning)] = &[
    ("ThreadPoolNums", Not(THREADS)),
    ("ThreadPoolQueueCapacity", Not(THREADS)),
    ("PoolQueueCapacity", Not(THREADS)),
    ("Threads", Not(THREADS)),
    ("SemaphoreValue", Not(THREADS)),
];

/// What `key` is here.
pub(crate) fn meaning(key: &str) -> Meaning {
    let exact = exact().find(|(name, _)| *name == key);
    let prefix = || PREFIXES.iter().find(|(start, _)| key.starts_with(start));
    let suffix = || SUFFIXES.iter().find(|(end, _)| key.ends_with(end));
    exact.or_else(suffix).or_else(prefix).map_or(Not(UNKNOWN), |(_, meaning)| *meaning)
}

fn exact() -> impl Iterator<Item = &'static (&'static str, Meaning)> {
    EXACT.iter().chain(metrics::TABLE)
}

/// The keys whose values are ours as they are, and our options.
pub(crate) fn same() -> impl Iterator<Item = (&'static str, &'static str)> {
    exact().filter_map(|(key, meaning)| match meaning {
        Is(path) | Only(path, ..) => Some((*key, *path)),
        _ => None,
    })
}

/// All options that the table sets.
#[cfg(test)]
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    exact().filter_map(|(_, meaning)| match meaning {
        Is(path)
        | Only(path, ..)
        | Through(path, ..)
        | Meaning::Collector(path, ..)
        | Address(path, _) => Some(*path),
        Refused(..) | Not(_) | Meaning::Exporter | Meaning::Moot(..) => None,
    })
}

fn flush(value: &str) -> Option<String> {
    match value {
        "ASYNC_FLUSH" => Some("async".to_owned()),
        "SYNC_FLUSH" => Some("sync".to_owned()),
        _ => None,
    }
}

/// RocketMQ reads a comma as the end of a path.
fn one_path(value: &str) -> bool {
    !value.contains(',')
}

/// From bytes of 20-byte ConsumeQueue entries to entries. RocketMQ rounds up.
fn entries(value: &str) -> Option<String> {
    value.parse::<u64>().ok().map(|bytes| bytes.div_ceil(20).to_string())
}

fn seconds(value: &str) -> Option<String> {
    value.parse::<u64>().ok()?.checked_mul(1_000).map(|ms| ms.to_string())
}
