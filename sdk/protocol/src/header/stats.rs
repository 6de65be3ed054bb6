//! Progress and statistics: 26, 208, 315, 317.

use crate::header::headers;

headers! {
    /// `GET_CONSUME_STATS`.
    GetConsumeStats<'a> {
        consumer_group: &'a str = "consumerGroup"; "the group."
        topic: Option<&'a str> = "topic"; "one topic."
        topic_list: Option<&'a str> = "topicList"; "several topics, separated by `;`."
    }

    /// `GET_BROKER_CONSUME_STATS`.
    GetConsumeStatsInBroker {
        is_order: bool = "isOrder" or false; "whether only orderly groups are meant."
    }

    /// `VIEW_BROKER_STATS_DATA`.
    ViewBrokerStatsData<'a> {
        stats_name: &'a str = "statsName"; "which statistics."
        stats_key: &'a str = "statsKey"; "of what."
    }

    /// The answer to `GET_BROKER_CONFIG`.
    GetBrokerConfigResponse<'a> {
        version: &'a str = "version"; "the configuration's version, in JSON."
    }
}
