//! From the route table's types to bodies and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use blockhouse_model::Perm;
use blockhouse_protocol::body::list::{KvTable, TopicList};
use blockhouse_protocol::body::registration::RegisterBrokerBody;
use blockhouse_protocol::body::route::{
    BrokerData, BrokerMemberGroup, BrokerMemberGroupResponse, ClusterInfo, QueueData,
    TopicRouteData,
};
use blockhouse_protocol::body::topic::TopicConfig;
use blockhouse_route::{BrokerRoute, QueueConfig, QueueRoute, ReportedTopics, Routes, TopicRoute};

/// Longest topic name that is taken in. Retry topics of two parts can reach about 400 bytes.
const TOPIC_LEN_MAX: usize = 512;

/// Whether the table takes a topic of this name. Brokers report topics named like themselves, so
/// the characters are not looked at.
pub(crate) fn is_topic_name(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= TOPIC_LEN_MAX
}

pub(crate) fn route(route: &TopicRoute, order_topic_conf: Option<String>) -> TopicRouteData {
    let servers = route.filter_servers.iter();
    TopicRouteData {
        broker_datas: route.brokers.iter().map(broker_data).collect(),
        filter_server_table: servers.map(|(addr, s)| (addr.to_string(), texts(s))).collect(),
        order_topic_conf,
        queue_datas: route.queues.iter().map(queue_data).collect(),
        topic_queue_mapping_by_broker: None,
    }
}

fn broker_data(broker: &BrokerRoute) -> BrokerData {
    BrokerData {
        broker_addrs: addrs(&broker.addrs),
        broker_name: broker.name.to_string(),
        cluster: broker.cluster.to_string(),
        enable_acting_master: broker.acting_master,
        zone_name: broker.zone.as_ref().map(ToString::to_string),
    }
}

fn queue_data(queue: &QueueRoute) -> QueueData {
    QueueData {
        broker_name: queue.broker.to_string(),
        perm: queue.queues.perm.0.cast_signed(),
        read_queue_nums: queue.queues.read_queues.cast_signed(),
        topic_sys_flag: queue.queues.sys_flag.cast_signed(),
        write_queue_nums: queue.queues.write_queues.cast_signed(),
    }
}

pub(crate) fn cluster_info(routes: &Routes) -> ClusterInfo {
    let mut broker_addr_table = BTreeMap::new();
    for (name, broker) in routes.brokers() {
        broker_addr_table.insert(name.to_string(), broker_data(&BrokerRoute::of(name, broker)));
    }
    let clusters = routes.clusters();
    let names = clusters.iter().map(|(cluster, names)| (cluster.to_string(), texts(names)));
    ClusterInfo { broker_addr_table, cluster_addr_table: names.collect() }
}

pub(crate) fn member_group(
    cluster: &str,
    broker: &str,
    members: &BTreeMap<u64, Arc<str>>,
) -> BrokerMemberGroupResponse {
    let group = BrokerMemberGroup {
        broker_addrs: addrs(members),
        broker_name: broker.to_owned(),
        cluster: cluster.to_owned(),
    };
    BrokerMemberGroupResponse { broker_member_group: Some(group) }
}

pub(crate) fn topic_list<'a>(
    topics: impl IntoIterator<Item = &'a Arc<str>>,
    broker: Option<Arc<str>>,
) -> TopicList {
    TopicList { broker_addr: broker.map(|b| b.to_string()), topic_list: texts(topics) }
}

pub(crate) fn kv_table(values: &BTreeMap<String, String>) -> KvTable {
    KvTable { table: values.clone() }
}

/// The topics of a registration.
pub(crate) fn reported(body: RegisterBrokerBody) -> ReportedTopics {
    let table = body.topic_config_serialize_wrapper;
    let topics = table.topic_config_table.into_iter().filter(|(name, _)| is_topic_name(name));
    ReportedTopics {
        version: table.data_version,
        queues: topics.map(|(name, topic)| (Arc::from(name), queue_config(&topic))).collect(),
    }
}

fn queue_config(topic: &TopicConfig) -> QueueConfig {
    QueueConfig {
        read_queues: count(topic.read_queue_nums),
        write_queues: count(topic.write_queue_nums),
        perm: Perm(count(topic.perm)),
        sys_flag: count(topic.topic_sys_flag),
    }
}

pub(crate) fn queues_of(body: TopicRouteData) -> Vec<QueueRoute> {
    let queue = |q: QueueData| QueueRoute {
        queues: QueueConfig {
            read_queues: count(q.read_queue_nums),
            write_queues: count(q.write_queue_nums),
            perm: Perm(count(q.perm)),
            sys_flag: count(q.topic_sys_flag),
        },
        broker: Arc::from(q.broker_name),
    };
    body.queue_datas.into_iter().map(queue).collect()
}

/// Negative numbers count as 0.
fn count(n: i32) -> u32 {
    u32::try_from(n).unwrap_or(0)
}

fn addrs(members: &BTreeMap<u64, Arc<str>>) -> BTreeMap<i64, String> {
    members.iter().map(|(id, addr)| (id.cast_signed(), addr.to_string())).collect()
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a Arc<str>>) -> Vec<String> {
    texts.into_iter().map(ToString::to_string).collect()
}
