//! Single topics: reported by a broker, deleted by an operator (217, 216).

use blockhouse_hook::BrokerRegistration;
use blockhouse_protocol::body::Body;
use blockhouse_protocol::body::route::TopicRouteData;
use blockhouse_protocol::header::namesrv::{DeleteTopicFromNamesrv, RegisterTopic};
use tracing::{debug, info};

use super::register_broker::refused;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::{NameService, view};

/// A topic that names a broker unknown here changes nothing, and is answered with success as by
/// RocketMQ: the broker reports in full soon.
pub(crate) fn register(service: &NameService, request: &Request<'_>) -> Outcome {
    let topic = RegisterTopic::parse(&request.command.ext)?.topic;
    let body = &request.command.body;
    let queues = if body.is_empty() { TopicRouteData::default() } else { Body::decode(body)? };
    let queues = view::queues_of(queues);
    if view::is_topic_name(topic) {
        let mut routes = service.routes.write();
        let owners = service.owners.lock();
        let judge = |broker: &str| owners.judge((request.hooks, request.cx), &routes, broker);
        let judged = queues.iter().try_for_each(|queue| {
            judge(&queue.broker).map_err(|rejection| (&*queue.broker, rejection))
        });
        drop(owners);
        if let Err((broker, rejection)) = judged {
            drop(routes);
            let (cluster, address, broker_id) = ("", "", 0);
            let report = BrokerRegistration { cluster, broker, broker_id, address, topics: 1 };
            return Err(refused(service, request, &report, rejection));
        }
        let taken = routes.register_topic(topic, &queues);
        debug!(topic, taken, peer = %request.cx.peer, "topic reported");
    }
    Ok(Reply::empty())
}

pub(crate) fn delete(service: &NameService, request: &Request<'_>) -> Outcome {
    let header = DeleteTopicFromNamesrv::parse(&request.command.ext)?;
    let topic = header.topic;
    let cluster = header.cluster_name.filter(|cluster| !cluster.is_empty());
    let found = service.routes.write().delete_topic(topic, cluster);
    info!(topic, cluster, found, peer = %request.cx.peer, "topic deleted from routes");
    Ok(Reply::empty())
}
