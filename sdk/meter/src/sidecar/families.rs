//! The families of rocketmq-exporter: those that are served, and those that are not, with the reason.

use crate::{Kind, Metric, Stability};

/// A family that is not served.
#[derive(Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub name: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// Why there is nothing to serve.
    pub why: &'static str,
}

const LAG: &[&str] = &["group", "topic", "countOfOnlineConsumers", "msgModel"];
const MEMBERS: &[&str] = &["caddr", "localaddr", "group"];
const TOPIC: &[&str] = &["cluster", "broker", "topic"];
const GROUP: &[&str] = &["cluster", "broker", "group"];
const PAIR: &[&str] = &["cluster", "broker", "topic", "group"];
const BROKER: &[&str] = &["cluster", "brokerIP", "broker"];
const RUNTIME: &[&str] =
    &["cluster", "brokerIP", "brokerHost", "des", "boottime", "broker_version"];
const CLIENT: &[&str] = &["clientAddr", "clientId", "group", "topic"];

macro_rules! served {
    ($($constant:ident: $name:literal [$unit:literal] $labels:ident $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: Kind::Gauge,
                unit: $unit,
                help: $help,
                bounds: &[],
                labels: $labels,
                stability: Stability::Stable,
            };
        )+

        /// All families that are served. To rocketmq-exporter everything is a gauge.
        pub const SERVED: &[&Metric] = &[$(&$constant),+];
    };
}

served! {
    GROUP_DIFF: "rocketmq_group_diff" ["messages"] LAG
        "Messages that a group has not committed; of broadcasting groups there is none.";
    GROUP_RETRY_DIFF: "rocketmq_group_retrydiff" ["messages"] LAG
        "The same of the group's retry topic.";
    GROUP_DLQ_DIFF: "rocketmq_group_dlqdiff" ["messages"] LAG
        "Messages in a group's dead-letter topic that it has not committed there.";
    GROUP_COUNT: "rocketmq_group_count" ["members"] MEMBERS
        "Members of a group that has committed something; the labels have the addresses and ids of the first 32.";
    PRODUCER_COUNT: "rocketmq_producer_count" ["members"] GROUP
        "Members of a producer group.";
    PRODUCER_OFFSET: "rocketmq_producer_offset" ["messages"] TOPIC
        "Ends of a topic's queues, summed.";
    RETRY_OFFSET: "rocketmq_topic_retry_offset" ["messages"] TOPIC
        "Ends of the queues of a retry topic, summed.";
    DLQ_OFFSET: "rocketmq_topic_dlq_offset" ["messages"] GROUP
        "Ends of the queues of a group's dead-letter topic, summed.";
    BROKER_TPS: "rocketmq_broker_tps" ["messages/s"] BROKER
        "Messages stored in a second, over the last minute.";
    BROKER_QPS: "rocketmq_broker_qps" ["messages/s"] BROKER
        "Messages handed out in a second, over the last minute.";
    PRODUCER_TPS: "rocketmq_producer_tps" ["messages/s"] TOPIC
        "Messages stored in a second, over the last minute, by topic.";
    PRODUCER_SIZE: "rocketmq_producer_message_size" ["bytes/s"] TOPIC
        "Bytes stored in a second, over the last minute, by topic.";
    CONSUMER_TPS: "rocketmq_consumer_tps" ["messages/s"] PAIR
        "Messages handed to a group in a second, over the last minute.";
    CONSUMER_SIZE: "rocketmq_consumer_message_size" ["bytes/s"] PAIR
        "Bytes handed to a group in a second, over the last minute.";
    CONSUMER_OFFSET: "rocketmq_consumer_offset" ["messages"] PAIR
        "What a group has committed in its queues, summed.";
    GROUP_CONSUME_TPS: "rocketmq_group_consume_tps" ["messages/s"] PAIR
        "The same as `rocketmq_consumer_tps`; rocketmq-exporter names it and never fills it.";
    GROUP_CONSUME_TOTAL: "rocketmq_group_consume_total_offset" ["messages"] PAIR
        "The same as `rocketmq_consumer_offset`; rocketmq-exporter names it and never fills it.";
    SEND_BACK: "rocketmq_send_back_nums" ["messages"] PAIR
        "Messages that a group sent back in the last minute.";
    LATENCY: "rocketmq_group_get_latency_by_storetime" ["milliseconds"] PAIR
        "Age of the oldest message that a group has not committed; 0 when it has caught up.";
    CLIENT_FAILED: "rocketmq_client_consume_fail_msg_count" ["messages"] CLIENT
        "Messages of the last hour that a member failed to consume, as it says itself.";
    CLIENT_FAILED_TPS: "rocketmq_client_consume_fail_msg_tps" ["messages/s"] CLIENT
        "Messages in a second that a member fails to consume, as it says itself.";
    CLIENT_OK_TPS: "rocketmq_client_consume_ok_msg_tps" ["messages/s"] CLIENT
        "Messages in a second that a member consumes, as it says itself.";
    CLIENT_CONSUME_TIME: "rocketmq_client_consume_rt" ["milliseconds"] CLIENT
        "How long a member takes to consume a message, as it says itself.";
    CLIENT_PULL_TIME: "rocketmq_client_consumer_pull_rt" ["milliseconds"] CLIENT
        "How long a pull that brings messages takes a member, as it says itself.";
    CLIENT_PULL_TPS: "rocketmq_client_consumer_pull_tps" ["messages/s"] CLIENT
        "Messages in a second that a member pulls, as it says itself.";
    PMDT_0: "rocketmq_brokeruntime_pmdt_0ms" ["requests"] RUNTIME
        "Sends of the last minute that took less than a millisecond.";
    PMDT_10: "rocketmq_brokeruntime_pmdt_0to10ms" ["requests"] RUNTIME
        "Sends of the last minute that took from 1 to 10 ms.";
    PMDT_50: "rocketmq_brokeruntime_pmdt_10to50ms" ["requests"] RUNTIME
        "Sends of the last minute that took from 10 to 50 ms.";
    PMDT_100: "rocketmq_brokeruntime_pmdt_50to100ms" ["requests"] RUNTIME
        "Sends of the last minute that took from 50 to 100 ms.";
    PMDT_200: "rocketmq_brokeruntime_pmdt_100to200ms" ["requests"] RUNTIME
        "Sends of the last minute that took from 100 to 200 ms.";
    PMDT_500: "rocketmq_brokeruntime_pmdt_200to500ms" ["requests"] RUNTIME
        "Sends of the last minute that took from 200 to 500 ms.";
    PMDT_1S: "rocketmq_brokeruntime_pmdt_500to1s" ["requests"] RUNTIME
        "Sends of the last minute that took from 0.5 to 1 s.";
    PMDT_2S: "rocketmq_brokeruntime_pmdt_1to2s" ["requests"] RUNTIME
        "Sends of the last minute that took from 1 to 2 s.";
    PMDT_3S: "rocketmq_brokeruntime_pmdt_2to3s" ["requests"] RUNTIME
        "Sends of the last minute that took from 2 to 3 s.";
    PMDT_4S: "rocketmq_brokeruntime_pmdt_3to4s" ["requests"] RUNTIME
        "Sends of the last minute that took from 3 to 4 s.";
    PMDT_5S: "rocketmq_brokeruntime_pmdt_4to5s" ["requests"] RUNTIME
        "Sends of the last minute that took from 4 to 5 s.";
    PMDT_10S: "rocketmq_brokeruntime_pmdt_5to10s" ["requests"] RUNTIME
        "Sends of the last minute that took from 5 to 10 s.";
    PMDT_MORE: "rocketmq_brokeruntime_pmdt_10stomore" ["requests"] RUNTIME
        "Sends of the last minute that took 10 s or more.";
    PUT_99: "rocketmq_brokeruntime_put_latency_99" ["milliseconds"] RUNTIME
        "99 of 100 sends of the last minute took no longer; -1 without sends.";
    PUT_999: "rocketmq_brokeruntime_put_latency_999" ["milliseconds"] RUNTIME
        "999 of 1,000 sends of the last minute took no longer; -1 without sends.";
    PUT_TIME_MAX: "rocketmq_brokeruntime_putmessage_entire_time_max" ["milliseconds"] RUNTIME
        "The longest that a send took since the start.";
    GET_TIME_MAX: "rocketmq_brokeruntime_getmessage_entire_time_max" ["milliseconds"] RUNTIME
        "The longest that a pull took since the start that did not wait for messages.";
    PUT_TODAY: "rocketmq_brokeruntime_msg_put_total_today_now" ["messages"] RUNTIME
        "Messages stored since the start.";
    GET_TODAY: "rocketmq_brokeruntime_msg_gettotal_today_now" ["messages"] RUNTIME
        "Messages handed out since the start.";
    PUT_THIS_MORNING: "rocketmq_brokeruntime_msg_puttotal_todaymorning" ["messages"] RUNTIME
        "What `msg_put_total_today_now` was at the last midnight (UTC); 0 if the broker did not run then.";
    GET_THIS_MORNING: "rocketmq_brokeruntime_msg_gettotal_todaymorning" ["messages"] RUNTIME
        "What `msg_gettotal_today_now` was at the last midnight (UTC); 0 if the broker did not run then.";
    PUT_YESTERDAY: "rocketmq_brokeruntime_msg_puttotal_yesterdaymorning" ["messages"] RUNTIME
        "The same of the midnight before.";
    GET_YESTERDAY: "rocketmq_brokeruntime_msg_gettotal_yesterdaymorning" ["messages"] RUNTIME
        "The same of the midnight before.";
    PUT_TIMES: "rocketmq_brokeruntime_putmessage_times_total" ["messages"] RUNTIME
        "Messages stored since the start.";
    PUT_SIZE: "rocketmq_brokeruntime_put_message_size_total" ["bytes"] RUNTIME
        "Bytes stored since the start.";
    PUT_AVERAGE: "rocketmq_brokeruntime_put_message_average_size" ["bytes"] RUNTIME
        "The average size of a message, as stored.";
    PUT_TPS_10: "rocketmq_brokeruntime_put_tps10" ["messages/s"] RUNTIME
        "Messages stored in a second, over 10 s.";
    PUT_TPS_60: "rocketmq_brokeruntime_put_tps60" ["messages/s"] RUNTIME
        "Messages stored in a second, over 60 s.";
    PUT_TPS_600: "rocketmq_brokeruntime_put_tps600" ["messages/s"] RUNTIME
        "Messages stored in a second, over 600 s.";
    FOUND_TPS_10: "rocketmq_brokeruntime_getfound_tps10" ["messages/s"] RUNTIME
        "Messages handed out in a second, over 10 s.";
    FOUND_TPS_60: "rocketmq_brokeruntime_getfound_tps60" ["messages/s"] RUNTIME
        "Messages handed out in a second, over 60 s.";
    FOUND_TPS_600: "rocketmq_brokeruntime_getfound_tps600" ["messages/s"] RUNTIME
        "Messages handed out in a second, over 600 s.";
    TOTAL_TPS_10: "rocketmq_brokeruntime_gettotal_tps10" ["messages/s"] RUNTIME
        "Messages handed out in a second, over 10 s.";
    TOTAL_TPS_60: "rocketmq_brokeruntime_gettotal_tps60" ["messages/s"] RUNTIME
        "Messages handed out in a second, over 60 s.";
    TOTAL_TPS_600: "rocketmq_brokeruntime_gettotal_tps600" ["messages/s"] RUNTIME
        "Messages handed out in a second, over 600 s.";
    MISS_TPS_10: "rocketmq_brokeruntime_getmiss_tps10" ["requests/s"] RUNTIME
        "Pulls in a second that were answered without a message, over 10 s.";
    MISS_TPS_60: "rocketmq_brokeruntime_getmiss_tps60" ["requests/s"] RUNTIME
        "Pulls in a second that were answered without a message, over 60 s.";
    MISS_TPS_600: "rocketmq_brokeruntime_getmiss_tps600" ["requests/s"] RUNTIME
        "Pulls in a second that were answered without a message, over 600 s.";
    TRANSFERRED_TPS_10: "rocketmq_brokeruntime_gettransfered_tps10" ["messages/s"] RUNTIME
        "Messages handed out in a second, over 10 s.";
    TRANSFERRED_TPS_60: "rocketmq_brokeruntime_gettransfered_tps60" ["messages/s"] RUNTIME
        "Messages handed out in a second, over 60 s.";
    TRANSFERRED_TPS_600: "rocketmq_brokeruntime_gettransfered_tps600" ["messages/s"] RUNTIME
        "Messages handed out in a second, over 600 s.";
    DISPATCH_BEHIND: "rocketmq_brokeruntime_dispatch_behind_bytes" ["bytes"] RUNTIME
        "Bytes of the log that consumers do not see yet.";
    DISPATCH_BUFFER: "rocketmq_brokeruntime_dispatch_maxbuffer" ["messages"] RUNTIME
        "Messages that wait for their entry in the index.";
    UNFLUSHED: "rocketmq_brokeruntime_remain_howmanydata_toflush" ["bytes"] RUNTIME
        "Bytes of the log that are not on disk yet.";
    LOCK_TIME: "rocketmq_brokeruntime_pagecache_lock_time_mills" ["milliseconds"] RUNTIME
        "For how long the write of the log that is under way has been so, which is when its lock is held; 0 in between.";
    BUFFERS: "rocketmq_brokeruntime_remain_transientstore_buffer_numbs" ["buffers"] RUNTIME
        "Always 2147483647, which is RocketMQ's number without a pool of buffers: there is none that could run out.";
    EARLIEST: "rocketmq_brokeruntime_earliest_message_timestamp" ["milliseconds"] RUNTIME
        "When the oldest message was stored, since 1970; -1 if there is none.";
    LOG_MIN: "rocketmq_brokeruntime_commitlog_minoffset" ["bytes"] RUNTIME
        "Where the log begins.";
    LOG_MAX: "rocketmq_brokeruntime_commitlog_maxoffset" ["bytes"] RUNTIME
        "Where the log ends.";
    LOG_DISK: "rocketmq_brokeruntime_commitlog_disk_ratio" ["1"] RUNTIME
        "Use of the filesystem that holds the log, from 0 to 1.";
    QUEUE_DISK: "rocketmq_brokeruntime_consumequeue_disk_ratio" ["1"] RUNTIME
        "The same: queues are on the filesystem of the log.";
    DISK_TOTAL: "rocketmq_brokeruntime_commitlogdir_capacity_total" ["bytes"] RUNTIME
        "Size of the filesystem that holds the log.";
    DISK_FREE: "rocketmq_brokeruntime_commitlogdir_capacity_free" ["bytes"] RUNTIME
        "What is free of it.";
    SEND_START: "rocketmq_brokeruntime_start_accept_sendrequest_time" ["milliseconds"] RUNTIME
        "Always 0: sends are taken from the start on.";
    SEND_QUEUE: "rocketmq_brokeruntime_send_threadpool_queue_size" ["requests"] RUNTIME
        "Always 0: no queue is in front of what answers requests.";
    PULL_QUEUE: "rocketmq_brokeruntime_pull_threadpoolqueue_size" ["requests"] RUNTIME
        "Always 0, as above.";
    QUERY_QUEUE: "rocketmq_brokeruntime_query_threadpoolqueue_size" ["requests"] RUNTIME
        "Always 0, as above.";
    SEND_CAPACITY: "rocketmq_brokeruntime_send_threadpoolqueue_capacity" ["requests"] RUNTIME
        "Always 2147483647: there is no such queue that could be full.";
    PULL_CAPACITY: "rocketmq_brokeruntime_pull_threadpoolqueue_capacity" ["requests"] RUNTIME
        "Always 2147483647, as above.";
    QUERY_CAPACITY: "rocketmq_brokeruntime_query_threadpool_queue_capacity" ["requests"] RUNTIME
        "Always 2147483647, as above.";
    SEND_WAIT: "rocketmq_brokeruntime_send_threadpoolqueue_headwait_timemills" ["milliseconds"] RUNTIME
        "Always 0: no queue is in front of what answers requests.";
    PULL_WAIT: "rocketmq_brokeruntime_pull_threadpoolqueue_headwait_timemills" ["milliseconds"] RUNTIME
        "Always 0, as above.";
    QUERY_WAIT: "rocketmq_brokeruntime_query_threadpoolqueue_headwait_timemills" ["milliseconds"] RUNTIME
        "Always 0, as above.";
}

/// All families that are not served.
pub const MISSING: &[Missing] = &[Missing {
    name: "rocketmq_broker_commitlog_diff",
    labels: BROKER,
    why: "how far a replica is behind: there are no replicas yet, and rocketmq-exporter has no sample of it either where there are none",
}];
