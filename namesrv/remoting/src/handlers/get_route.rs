//! Where a topic is served (105): the question of every client, about every 30 seconds.

use std::time::Duration;

use blockhouse_hook::{Point, RouteEntry};
use blockhouse_protocol::header::namesrv::GetRouteInfo;
use blockhouse_route::{ORDER_TOPIC_CONFIG, TopicRoute};

use crate::dispatch::pass;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::{Error, NameService, view};

pub(crate) fn get_route(service: &NameService, request: &Request<'_>) -> Outcome {
    let header = GetRouteInfo::parse(&request.command.ext)?;
    let topic = header.topic;
    let ordered = admit(service)?;

    let known = service.routes.read().route(topic);
    let mut route = known.ok_or_else(|| Error::NoRoute(topic.to_owned()))?;
    if let Some(zone) = zone_of(request) {
        route.keep_zone(zone);
    }
    if request.hooks.has(Point::RouteQuery) {
        ask_hooks(request, topic, &mut route)?;
    }
    let order = ordered
        .then(|| service.kv.read(|kv| kv.value(ORDER_TOPIC_CONFIG, topic).map(str::to_owned)));
    let standard = header.accept_standard_json_only.unwrap_or(false);
    let body = view::route(&route, order.flatten()).encode_for(request.command.version, standard);
    Ok(Reply::body(body))
}

/// Whether routes are given yet, and whether they carry the order configuration.
fn admit(service: &NameService) -> Result<bool, Error> {
    let settings = service.settings.read();
    let wait = Duration::from_secs(settings.wait_for_service_s);
    if settings.need_wait_for_service && service.uptime() < wait {
        return Err(Error::NotReady);
    }
    Ok(settings.order_message_enable)
}

/// The zone that the client wants to stay in.
fn zone_of<'a>(request: &Request<'a>) -> Option<&'a str> {
    let ext = &request.command.ext;
    let wanted = ext.get("__ZONE_MODE").is_some_and(|mode| mode.eq_ignore_ascii_case("true"));
    ext.get("__ZONE_NAME").filter(|zone| wanted && !zone.trim().is_empty())
}

/// Lets hooks take brokers out and put them in another order; what else they change of an entry is
/// not looked at.
fn ask_hooks(request: &Request<'_>, topic: &str, route: &mut TopicRoute) -> Result<(), Error> {
    let entry = |q: &blockhouse_route::QueueRoute| RouteEntry {
        broker: q.broker.to_string(),
        read_queues: q.queues.read_queues,
        write_queues: q.queues.write_queues,
    };
    let mut entries: Vec<_> = route.queues.iter().map(entry).collect();
    pass(request.hooks.route_query(request.cx, topic, &mut entries))?;
    let place = |broker: &str| entries.iter().position(|e| e.broker == broker);
    route.queues.retain(|q| place(&q.broker).is_some());
    route.brokers.retain(|b| place(&b.name).is_some());
    route.queues.sort_by_key(|q| place(&q.broker));
    route.brokers.sort_by_key(|b| place(&b.name));
    if route.queues.is_empty() {
        return Err(Error::NoRoute(topic.to_owned()));
    }
    Ok(())
}
