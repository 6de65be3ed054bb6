//! Looking at messages: 12, 33, 309, 321.

use crate::header::headers;

/// The field beside [`QueryMessage`] that says the key is a unique key.
pub const UNIQUE_KEY_QUERY: &str = "_UNIQUE_KEY_QUERY";

headers! {
    /// `QUERY_MESSAGE`.
    QueryMessage<'a> {
        topic: &'a str = "topic"; "the topic."
        key: &'a str = "key"; "a key of the message, or its unique key."
        max_num: i32 = "maxNum"; "how many messages at most."
        begin_timestamp: i64 = "beginTimestamp"; "the first store time."
        end_timestamp: i64 = "endTimestamp"; "the last store time."
        unique_key_query: bool = "_UNIQUE_KEY_QUERY" or false; "whether the key is a unique key."
        index_type: Option<&'a str> = "indexType"; "which index, in RocketMQ >= 5.4."
        last_key: Option<&'a str> = "lastKey"; "where to go on, in RocketMQ >= 5.4."
    }

    /// The answer to `QUERY_MESSAGE`.
    QueryMessageResponse {
        index_last_update_timestamp: i64 = "indexLastUpdateTimestamp"; "the index's newest store time."
        index_last_update_phyoffset: i64 = "indexLastUpdatePhyoffset"; "the index's newest physical offset."
    }

    /// `VIEW_MESSAGE_BY_ID`.
    ViewMessage<'a> {
        topic: Option<&'a str> = "topic"; "the topic; RocketMQ < 5 does not send it."
        offset: i64 = "offset"; "the message's physical offset."
    }

    /// `CONSUME_MESSAGE_DIRECTLY`, to the broker and on to the client.
    ConsumeMessageDirectly<'a> {
        consumer_group: &'a str = "consumerGroup"; "the group."
        client_id: Option<&'a str> = "clientId"; "the client."
        msg_id: Option<&'a str> = "msgId"; "the message's offset id."
        broker_name: Option<&'a str> = "brokerName"; "the broker that has the message."
        topic: Option<&'a str> = "topic"; "the topic."
        topic_sys_flag: Option<i32> = "topicSysFlag"; "the topic's system flags."
        group_sys_flag: Option<i32> = "groupSysFlag"; "the group's system flags."
    }

    /// `QUERY_CONSUME_QUEUE`.
    QueryConsumeQueue<'a> {
        topic: &'a str = "topic"; "the topic."
        queue_id: i32 = "queueId" or 0; "the queue."
        index: i64 = "index" or 0; "the first entry."
        count: i32 = "count" or 0; "how many entries."
        consumer_group: Option<&'a str> = "consumerGroup"; "whose subscription to apply."
    }
}
