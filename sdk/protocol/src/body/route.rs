//! Routes and clusters: 105, 106, 901.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Body as _;
use crate::codes::version;
use crate::fastjson;

/// The answer to `GET_ROUTEINFO_BY_TOPIC`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicRouteData {
    /// The brokers that have queues.
    pub broker_datas: Vec<BrokerData>,
    /// Filter servers by broker address.
    pub filter_server_table: BTreeMap<String, Vec<String>>,
    /// An ordered topic's queues.
    pub order_topic_conf: Option<String>,
    /// The queues on each broker.
    pub queue_datas: Vec<QueueData>,
    /// A static topic's queues, handed on as they are.
    pub topic_queue_mapping_by_broker: Option<Value>,
}

impl TopicRouteData {
    /// Writes the body for a client: strict JSON if it is new enough or asks for it, else Java's
    /// dialect, which is all that clients before 4.9.4 are known to read.
    #[must_use]
    pub fn encode_for(&self, client_version: i32, standard_json_only: bool) -> Bytes {
        if client_version >= version::V4_9_4 || standard_json_only {
            fastjson::write_strict(self)
        } else {
            self.encode()
        }
    }
}

/// A broker: several processes that share a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerData {
    /// Addresses by id; 0 is the master.
    pub broker_addrs: BTreeMap<i64, String>,
    /// Its name.
    pub broker_name: String,
    /// Its cluster.
    pub cluster: String,
    /// Whether slaves may act for a gone master.
    pub enable_acting_master: bool,
    /// Its zone.
    pub zone_name: Option<String>,
}

/// A topic's queues on a broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueData {
    /// The broker.
    pub broker_name: String,
    /// What may be done.
    pub perm: i32,
    /// How many queues consumers see.
    pub read_queue_nums: i32,
    /// The topic's system flags.
    pub topic_sys_flag: i32,
    /// How many queues producers see.
    pub write_queue_nums: i32,
}

/// The answer to `GET_BROKER_CLUSTER_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterInfo {
    /// Brokers by name.
    pub broker_addr_table: BTreeMap<String, BrokerData>,
    /// Names of brokers by cluster.
    pub cluster_addr_table: BTreeMap<String, Vec<String>>,
}

/// The answer to `GET_BROKER_MEMBER_GROUP`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerMemberGroupResponse {
    /// The processes of a broker.
    pub broker_member_group: Option<BrokerMemberGroup>,
}

/// The processes of a broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerMemberGroup {
    /// Addresses by id.
    pub broker_addrs: BTreeMap<i64, String>,
    /// The broker's name.
    pub broker_name: String,
    /// Its cluster.
    pub cluster: String,
}
