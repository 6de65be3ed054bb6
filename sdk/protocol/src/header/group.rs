//! Consumer groups of a broker: 201, 207, 343, 345, 352, 353.

use crate::header::headers;

headers! {
    /// `DELETE_SUBSCRIPTIONGROUP`.
    DeleteSubscriptionGroup<'a> {
        group_name: &'a str = "groupName"; "the group."
        clean_offset: bool = "cleanOffset" or false; "whether to forget its offsets."
    }

    /// `GET_SUBSCRIPTIONGROUP_CONFIG`.
    GetSubscriptionGroupConfig<'a> {
        group: &'a str = "group"; "the group."
    }

    /// `GET_ALL_SUBSCRIPTIONGROUP_CONFIG`. Without fields, all groups are meant.
    GetAllSubscriptionGroup<'a> {
        group_seq: Option<i32> = "groupSeq"; "the first group."
        data_version: Option<&'a str> = "dataVersion"; "the version of the pages before, in JSON."
        max_group_num: Option<i32> = "maxGroupNum"; "how many groups at most."
    }

    /// The answer to `GET_ALL_SUBSCRIPTIONGROUP_CONFIG`.
    GetAllSubscriptionGroupResponse {
        total_group_num: i32 = "totalGroupNum"; "how many groups there are."
    }

    /// `QUERY_TOPICS_BY_CONSUMER`.
    QueryTopicsByConsumer<'a> {
        group: &'a str = "group"; "the group."
    }

    /// `QUERY_SUBSCRIPTION_BY_CONSUMER`.
    QuerySubscriptionByConsumer<'a> {
        group: &'a str = "group"; "the group."
        topic: &'a str = "topic"; "the topic."
    }

    /// `UPDATE_AND_GET_GROUP_FORBIDDEN`.
    UpdateGroupForbidden<'a> {
        group: &'a str = "group"; "the group."
        topic: &'a str = "topic"; "the topic."
        readable: Option<bool> = "readable"; "absent: only ask."
    }
}
