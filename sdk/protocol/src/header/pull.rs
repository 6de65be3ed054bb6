//! Pulling: 11 and 361.

use crate::header::headers;

/// Bits of a pull's `sysFlag`.
pub mod sys_flag {
    /// `commitOffset` is to be committed.
    pub const COMMIT_OFFSET: i32 = 1;
    /// The broker may hold the request until something arrives.
    pub const SUSPEND: i32 = 1 << 1;
    /// `subscription` is filled in.
    pub const SUBSCRIPTION: i32 = 1 << 2;
    /// A class filter is meant.
    pub const CLASS_FILTER: i32 = 1 << 3;
    /// A lite pull.
    pub const LITE_PULL: i32 = 1 << 4;
}

headers! {
    /// `PULL_MESSAGE` and `LITE_PULL_MESSAGE`.
    PullMessage<'a> {
        consumer_group: &'a str = "consumerGroup"; "who pulls."
        topic: &'a str = "topic"; "what is pulled."
        queue_id: i32 = "queueId"; "the queue."
        queue_offset: i64 = "queueOffset"; "from where."
        max_msg_nums: i32 = "maxMsgNums"; "how many messages at most."
        sys_flag: i32 = "sysFlag"; "see [`sys_flag`]."
        commit_offset: i64 = "commitOffset" or 0; "to be committed if the flag says so."
        suspend_timeout_millis: i64 = "suspendTimeoutMillis" or 0; "how long to hold the request."
        subscription: Option<&'a str> = "subscription"; "the filter expression."
        sub_version: i64 = "subVersion" or 0; "the subscription's version."
        expression_type: Option<&'a str> = "expressionType"; "`TAG` or `SQL92`."
        max_msg_bytes: Option<i32> = "maxMsgBytes"; "how many bytes at most."
        request_source: Option<i32> = "requestSource"; "whether a proxy asks."
        proxy_forward_client_id: Option<&'a str> = "proxyFrowardClientId"; "the proxy's client (sic)."
        broker_name: Option<&'a str> = "bname"; "the broker that is meant."
    }

    /// The answer to a pull.
    PullMessageResponse {
        suggest_which_broker_id: i64 = "suggestWhichBrokerId"; "where to pull next time."
        next_begin_offset: i64 = "nextBeginOffset"; "from where to pull next time."
        min_offset: i64 = "minOffset"; "the queue's first offset."
        max_offset: i64 = "maxOffset"; "the offset after the queue's last."
        offset_delta: Option<i64> = "offsetDelta"; "what to add to the offsets in the body."
        topic_sys_flag: Option<i32> = "topicSysFlag"; "the topic's system flags."
        group_sys_flag: Option<i32> = "groupSysFlag"; "the group's system flags."
        forbidden_type: Option<i32> = "forbiddenType"; "what forbade the pull, see [`forbidden`]."
    }
}

/// What forbade a pull.
pub mod forbidden {
    /// The broker is not readable.
    pub const BROKER: i32 = 1;
    /// The group may not consume.
    pub const GROUP: i32 = 2;
    /// The topic is not readable.
    pub const TOPIC: i32 = 3;
    /// The group may not broadcast.
    pub const BROADCASTING_DISABLED: i32 = 4;
    /// The group may not consume this topic.
    pub const SUBSCRIPTION: i32 = 5;
}
