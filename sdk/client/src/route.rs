//! Where a topic's queues are.

use std::collections::BTreeMap;

use blockhouse_model::Perm;
use blockhouse_protocol::MessageQueue;
use blockhouse_protocol::body::route::TopicRouteData;

/// The queues of a topic, and the addresses of the brokers that have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Queues to send to.
    pub writeable: Vec<MessageQueue>,
    /// Queues to pull from.
    pub readable: Vec<MessageQueue>,
    /// Master brokers' addresses by broker name.
    pub masters: BTreeMap<String, String>,
}

impl Route {
    /// The route that a name server's answer means. Queues of brokers without master are left out.
    #[must_use]
    pub fn of(topic: &str, data: &TopicRouteData) -> Self {
        let mut route = Self::default();
        for broker in &data.broker_datas {
            if let Some(master) = broker.broker_addrs.get(&0) {
                route.masters.insert(broker.broker_name.clone(), master.clone());
            }
        }
        for queues in &data.queue_datas {
            if !route.masters.contains_key(&queues.broker_name) {
                continue;
            }
            let perm = Perm(u32::try_from(queues.perm).unwrap_or(0));
            let named = |count: i32| {
                let broker_name = queues.broker_name.clone();
                (0..count.min(65_536)).map(move |queue_id| MessageQueue {
                    broker_name: broker_name.clone(),
                    queue_id,
                    topic: topic.to_owned(),
                })
            };
            if perm.writeable() {
                route.writeable.extend(named(queues.write_queue_nums));
            }
            if perm.readable() {
                route.readable.extend(named(queues.read_queue_nums));
            }
        }
        route.writeable.sort_unstable();
        route.readable.sort_unstable();
        route
    }

    /// The address of the broker that has `queue`.
    #[must_use]
    pub fn address(&self, queue: &MessageQueue) -> Option<&str> {
        self.masters.get(&queue.broker_name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_protocol::body::route::{BrokerData, QueueData};

    use super::*;

    #[test]
    fn queues_are_sorted_by_permission_and_need_a_master() {
        let broker = |name: &str, id: i64| BrokerData {
            broker_addrs: [(id, format!("{name}:10911"))].into(),
            broker_name: name.to_owned(),
            ..BrokerData::default()
        };
        let queues = |name: &str, perm: i32| QueueData {
            broker_name: name.to_owned(),
            perm,
            read_queue_nums: 2,
            write_queue_nums: 3,
            topic_sys_flag: 0,
        };
        let data = TopicRouteData {
            broker_datas: vec![broker("a", 0), broker("b", 0), broker("slave-only", 1)],
            queue_datas: vec![queues("b", 4), queues("a", 6), queues("slave-only", 6)],
            ..TopicRouteData::default()
        };
        let route = Route::of("t", &data);
        let ids = |queues: &[MessageQueue]| -> Vec<String> {
            queues.iter().map(|q| format!("{}{}", q.broker_name, q.queue_id)).collect()
        };
        assert_eq!(ids(&route.writeable), ["a0", "a1", "a2"]);
        assert_eq!(ids(&route.readable), ["a0", "a1", "b0", "b1"]);
        assert_eq!(route.address(&route.readable[2]), Some("b:10911"));
    }
}
