//! Clients and their connections: 35, 38, 40, 203, 204, 307, 328.

use crate::header::headers;

headers! {
    /// `UNREGISTER_CLIENT`.
    UnregisterClient<'a> {
        client_id: Option<&'a str> = "clientID"; "the client."
        producer_group: Option<&'a str> = "producerGroup"; "the group it leaves as producer."
        consumer_group: Option<&'a str> = "consumerGroup"; "the group it leaves as consumer."
    }

    /// `GET_CONSUMER_LIST_BY_GROUP`.
    GetConsumerListByGroup<'a> {
        consumer_group: &'a str = "consumerGroup"; "the group."
    }

    /// `NOTIFY_CONSUMER_IDS_CHANGED`, to a client.
    NotifyConsumerIdsChanged<'a> {
        consumer_group: &'a str = "consumerGroup"; "the group."
    }

    /// `GET_CONSUMER_CONNECTION_LIST`.
    GetConsumerConnectionList<'a> {
        consumer_group: &'a str = "consumerGroup"; "the group."
    }

    /// `GET_PRODUCER_CONNECTION_LIST`.
    GetProducerConnectionList<'a> {
        producer_group: &'a str = "producerGroup"; "the group."
    }

    /// `GET_CONSUMER_RUNNING_INFO`, to the broker and on to the client.
    GetConsumerRunningInfo<'a> {
        consumer_group: &'a str = "consumerGroup"; "the group."
        client_id: &'a str = "clientId"; "the client."
        jstack_enable: bool = "jstackEnable" or false; "whether to add the threads' stacks."
    }
}

/// The fields of the answer to a heartbeat.
pub mod heartbeat_response {
    /// `true`: the server takes fingerprints instead of subscriptions.
    pub const IS_SUPPORT_HEART_BEAT_V2: &str = "IS_SUPPORT_HEART_BEAT_V2";
    /// `true`: the fingerprint is unknown, send the subscriptions.
    pub const IS_SUB_CHANGE: &str = "IS_SUB_CHANGE";
}
