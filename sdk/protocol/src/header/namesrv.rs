//! Requests to a name server: 100 to 106, 205, 216, 217, 219, 224, 322, 327, 901, 904.

use crate::header::headers;

headers! {
    /// `GET_ROUTEINFO_BY_TOPIC`.
    GetRouteInfo<'a> {
        topic: &'a str = "topic"; "the topic."
        accept_standard_json_only: Option<bool> = "acceptStandardJsonOnly"; "whether the body must be strict JSON."
    }

    /// `REGISTER_BROKER`.
    RegisterBroker<'a> {
        broker_name: &'a str = "brokerName"; "the broker's name."
        broker_addr: &'a str = "brokerAddr"; "where it listens."
        cluster_name: &'a str = "clusterName"; "its cluster."
        ha_server_addr: &'a str = "haServerAddr"; "where it listens for slaves."
        broker_id: i64 = "brokerId"; "0 is the master."
        heartbeat_timeout_millis: Option<i64> = "heartbeatTimeoutMillis"; "when it counts as gone."
        enable_acting_master: Option<bool> = "enableActingMaster"; "whether slaves may act for a gone master."
        compressed: bool = "compressed" or false; "whether the body is compressed."
        body_crc32: i32 = "bodyCrc32" or 0; "the body's checksum, 0 if there is none."
    }

    /// The answer to `REGISTER_BROKER`.
    RegisterBrokerResponse<'a> {
        ha_server_addr: Option<&'a str> = "haServerAddr"; "where slaves find the master's log."
        master_addr: Option<&'a str> = "masterAddr"; "where slaves find the master."
    }

    /// `UNREGISTER_BROKER`.
    UnregisterBroker<'a> {
        broker_name: &'a str = "brokerName"; "the broker's name."
        broker_addr: &'a str = "brokerAddr"; "where it listens."
        cluster_name: &'a str = "clusterName"; "its cluster."
        broker_id: i64 = "brokerId"; "0 is the master."
    }

    /// `QUERY_DATA_VERSION`.
    QueryDataVersion<'a> {
        broker_name: &'a str = "brokerName"; "the broker's name."
        broker_addr: &'a str = "brokerAddr"; "where it listens."
        cluster_name: &'a str = "clusterName"; "its cluster."
        broker_id: i64 = "brokerId"; "0 is the master."
    }

    /// The answer to `QUERY_DATA_VERSION`.
    QueryDataVersionResponse {
        changed: bool = "changed"; "whether a registration is needed."
    }

    /// `BROKER_HEARTBEAT`.
    BrokerHeartbeat<'a> {
        cluster_name: &'a str = "clusterName"; "the broker's cluster."
        broker_addr: &'a str = "brokerAddr"; "where it listens."
        broker_name: &'a str = "brokerName"; "its name."
        broker_id: Option<i64> = "brokerId"; "0 is the master."
        epoch: Option<i32> = "epoch"; "its master epoch."
        max_offset: Option<i64> = "maxOffset"; "how far its log goes."
        confirm_offset: Option<i64> = "confirmOffset"; "how far its log is safe."
        heartbeat_timeout_mills: Option<i64> = "heartbeatTimeoutMills"; "when it counts as gone."
        election_priority: Option<i32> = "electionPriority"; "its rank in elections."
    }

    /// `GET_BROKER_MEMBER_GROUP`.
    GetBrokerMemberGroup<'a> {
        cluster_name: &'a str = "clusterName"; "the cluster."
        broker_name: &'a str = "brokerName"; "the broker's name."
    }

    /// `PUT_KV_CONFIG`.
    PutKvConfig<'a> {
        namespace: &'a str = "namespace"; "the namespace."
        key: &'a str = "key"; "the key."
        value: &'a str = "value"; "the value."
    }

    /// `GET_KV_CONFIG`.
    GetKvConfig<'a> {
        namespace: &'a str = "namespace"; "the namespace."
        key: &'a str = "key"; "the key."
    }

    /// The answer to `GET_KV_CONFIG`.
    GetKvConfigResponse<'a> {
        value: Option<&'a str> = "value"; "the value."
    }

    /// `DELETE_KV_CONFIG`.
    DeleteKvConfig<'a> {
        namespace: &'a str = "namespace"; "the namespace."
        key: &'a str = "key"; "the key."
    }

    /// `GET_KVLIST_BY_NAMESPACE`.
    GetKvListByNamespace<'a> {
        namespace: &'a str = "namespace"; "the namespace."
    }

    /// `WIPE_WRITE_PERM_OF_BROKER`.
    WipeWritePermOfBroker<'a> {
        broker_name: &'a str = "brokerName"; "the broker's name."
    }

    /// The answer to `WIPE_WRITE_PERM_OF_BROKER`.
    WipeWritePermOfBrokerResponse {
        wipe_topic_count: i32 = "wipeTopicCount"; "how many topics changed."
    }

    /// `ADD_WRITE_PERM_OF_BROKER`.
    AddWritePermOfBroker<'a> {
        broker_name: &'a str = "brokerName"; "the broker's name."
    }

    /// The answer to `ADD_WRITE_PERM_OF_BROKER`.
    AddWritePermOfBrokerResponse {
        add_topic_count: i32 = "addTopicCount"; "how many topics changed."
    }

    /// `DELETE_TOPIC_IN_NAMESRV`.
    DeleteTopicFromNamesrv<'a> {
        topic: &'a str = "topic"; "the topic."
        cluster_name: Option<&'a str> = "clusterName"; "one cluster, or all if absent."
    }

    /// `REGISTER_TOPIC_IN_NAMESRV`.
    RegisterTopic<'a> {
        topic: &'a str = "topic"; "the topic."
    }

    /// `GET_TOPICS_BY_CLUSTER`.
    GetTopicsByCluster<'a> {
        cluster: &'a str = "cluster"; "the cluster."
    }
}
