//! Offsets of queues and consumers: 14, 15, 29 to 32, 221 to 223, 303, 308, 314.

use crate::header::headers;

headers! {
    /// `QUERY_CONSUMER_OFFSET`.
    QueryConsumerOffset<'a> {
        consumer_group: &'a str = "consumerGroup"; "the group."
        topic: &'a str = "topic"; "the topic."
        queue_id: i32 = "queueId"; "the queue."
        set_zero_if_not_found: Option<bool> = "setZeroIfNotFound"; "`false`: never guess 0."
        broker_name: Option<&'a str> = "bname"; "the broker that is meant."
    }

    /// The answer of the requests that ask for one offset (14, 29, 30, 31).
    OffsetResponse {
        offset: i64 = "offset"; "the offset."
    }

    /// `UPDATE_CONSUMER_OFFSET`.
    UpdateConsumerOffset<'a> {
        consumer_group: &'a str = "consumerGroup"; "the group."
        topic: &'a str = "topic"; "the topic."
        queue_id: i32 = "queueId"; "the queue."
        commit_offset: i64 = "commitOffset"; "where the group goes on."
        broker_name: Option<&'a str> = "bname"; "the broker that is meant."
    }

    /// `SEARCH_OFFSET_BY_TIMESTAMP`.
    SearchOffset<'a> {
        topic: &'a str = "topic"; "the topic."
        queue_id: i32 = "queueId"; "the queue."
        timestamp: i64 = "timestamp"; "the store time that is looked for."
        boundary_type: Option<&'a str> = "boundaryType"; "`LOWER` (also if absent) or `UPPER`."
    }

    /// `GET_MAX_OFFSET`.
    GetMaxOffset<'a> {
        topic: &'a str = "topic"; "the topic."
        queue_id: i32 = "queueId"; "the queue."
        committed: bool = "committed" or true; "whether to count only what is safe."
    }

    /// `GET_MIN_OFFSET`.
    GetMinOffset<'a> {
        topic: &'a str = "topic"; "the topic."
        queue_id: i32 = "queueId"; "the queue."
    }

    /// `GET_EARLIEST_MSG_STORETIME`.
    GetEarliestMsgStoretime<'a> {
        topic: &'a str = "topic"; "the topic."
        queue_id: i32 = "queueId"; "the queue."
    }

    /// The answer to `GET_EARLIEST_MSG_STORETIME`.
    GetEarliestMsgStoretimeResponse {
        timestamp: i64 = "timestamp"; "the store time, -1 if there is none."
    }

    /// `INVOKE_BROKER_TO_RESET_OFFSET`, and `RESET_CONSUMER_CLIENT_OFFSET` to a client.
    ResetOffset<'a> {
        group: &'a str = "group"; "the group."
        topic: &'a str = "topic"; "the topic."
        queue_id: i32 = "queueId" or -1; "the queue, below 0 means all."
        offset: Option<i64> = "offset"; "where to, below 0 or absent means by time."
        timestamp: i64 = "timestamp" or 0; "the time, -1 means the end."
        is_force: bool = "isForce" or false; "whether to move forwards, too."
    }

    /// `INVOKE_BROKER_TO_GET_CONSUMER_STATUS`, and `GET_CONSUMER_STATUS_FROM_CLIENT` to a client.
    GetConsumerStatus<'a> {
        topic: &'a str = "topic"; "the topic."
        group: &'a str = "group"; "the group."
        client_addr: Option<&'a str> = "clientAddr"; "one client, or all if absent."
    }

    /// `QUERY_CONSUME_TIME_SPAN`.
    QueryConsumeTimeSpan<'a> {
        topic: &'a str = "topic"; "the topic."
        group: &'a str = "group"; "the group."
    }

    /// `QUERY_CORRECTION_OFFSET`.
    QueryCorrectionOffset<'a> {
        filter_groups: Option<&'a str> = "filterGroups"; "groups to leave out."
        compare_group: &'a str = "compareGroup"; "the group to compare with."
        topic: &'a str = "topic"; "the topic."
    }

    /// `CLONE_GROUP_OFFSET`.
    CloneGroupOffset<'a> {
        src_group: &'a str = "srcGroup"; "whose offsets."
        dest_group: &'a str = "destGroup"; "who gets them."
        topic: Option<&'a str> = "topic"; "one topic, or all if absent."
        offline: bool = "offline" or false; "whether the destination must be offline."
    }
}
