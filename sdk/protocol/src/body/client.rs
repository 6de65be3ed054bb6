//! Clients that are connected: 38, 41, 42, 203, 204, 328.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::MessageQueue;
use super::heartbeat::{ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData};

/// The answer to `GET_CONSUMER_LIST_BY_GROUP`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerIdList {
    /// The clients.
    pub consumer_id_list: Vec<String>,
}

/// The body of `LOCK_BATCH_MQ` and `UNLOCK_BATCH_MQ`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LockBatchRequest {
    /// Who locks.
    pub client_id: String,
    /// Its group.
    pub consumer_group: String,
    /// The queues.
    pub mq_set: Vec<MessageQueue>,
    /// Whether slaves need not agree.
    pub only_this_broker: bool,
}

/// The answer to `LOCK_BATCH_MQ`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockBatchResponse {
    /// The queues that are locked now.
    #[serde(rename = "lockOKMQSet")]
    pub lock_ok_mq_set: Vec<MessageQueue>,
}

/// A client's connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Connection {
    /// From where.
    pub client_addr: String,
    /// The client.
    pub client_id: String,
    /// What it is written in, see [`crate::LanguageCode::name`].
    pub language: String,
    /// Its version.
    pub version: i32,
}

/// The answer to `GET_CONSUMER_CONNECTION_LIST`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerConnection {
    /// The group's clients.
    pub connection_set: Vec<Connection>,
    /// Where the group starts.
    pub consume_from_where: ConsumeFromWhere,
    /// How it gets messages.
    pub consume_type: ConsumeType,
    /// How messages are shared.
    pub message_model: MessageModel,
    /// What the group wants, by topic.
    pub subscription_table: BTreeMap<String, SubscriptionData>,
}

/// The answer to `GET_PRODUCER_CONNECTION_LIST`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerConnection {
    /// The group's clients.
    pub connection_set: Vec<Connection>,
}

/// A producer in [`ProducerTableInfo`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerInfo {
    /// The client.
    pub client_id: String,
    /// What it is written in.
    pub language: String,
    /// When it was heard of last.
    pub last_update_timestamp: i64,
    /// From where, with a slash before.
    #[serde(rename = "remoteIP")]
    pub remote_ip: String,
    /// Its version.
    pub version: i32,
}

/// The answer to `GET_ALL_PRODUCER_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProducerTableInfo {
    /// Producers by group.
    pub data: BTreeMap<String, Vec<ProducerInfo>>,
}
