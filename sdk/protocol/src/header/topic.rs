//! Topics of a broker: 17, 21, 202, 215, 300, 351.

use crate::header::headers;

headers! {
    /// `UPDATE_AND_CREATE_TOPIC`.
    CreateTopic<'a> {
        topic: &'a str = "topic"; "the topic."
        default_topic: &'a str = "defaultTopic"; "the template topic."
        read_queue_nums: i32 = "readQueueNums"; "how many queues consumers see."
        write_queue_nums: i32 = "writeQueueNums"; "how many queues producers see."
        perm: i32 = "perm"; "what may be done."
        topic_filter_type: &'a str = "topicFilterType"; "`SINGLE_TAG` or `MULTI_TAG`."
        topic_sys_flag: Option<i32> = "topicSysFlag"; "the topic's system flags."
        order: bool = "order" or false; "whether the topic is an ordered one."
        attributes: Option<&'a str> = "attributes"; "changes, e.g. `+message.type=FIFO,-x`."
        force: bool = "force" or false; "whether to go past checks."
    }

    /// `DELETE_TOPIC_IN_BROKER`.
    DeleteTopic<'a> {
        topic: &'a str = "topic"; "the topic."
    }

    /// `GET_TOPIC_CONFIG`.
    GetTopicConfig<'a> {
        topic: &'a str = "topic"; "the topic."
    }

    /// `GET_TOPIC_STATS_INFO`.
    GetTopicStatsInfo<'a> {
        topic: &'a str = "topic"; "the topic."
    }

    /// `QUERY_TOPIC_CONSUME_BY_WHO`.
    QueryTopicConsumeByWho<'a> {
        topic: &'a str = "topic"; "the topic."
    }

    /// `GET_ALL_TOPIC_CONFIG`. Without fields, all topics are meant.
    GetAllTopicConfig<'a> {
        topic_seq: Option<i32> = "topicSeq"; "the first topic."
        data_version: Option<&'a str> = "dataVersion"; "the version of the pages before, in JSON."
        max_topic_num: Option<i32> = "maxTopicNum"; "how many topics at most."
    }

    /// The answer to `GET_ALL_TOPIC_CONFIG`.
    GetAllTopicConfigResponse {
        total_topic_num: i32 = "totalTopicNum"; "how many topics there are."
    }
}
