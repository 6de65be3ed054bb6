//! Signs of life of brokers (904, 322).

use blockhouse_hook::BrokerRegistration;
use blockhouse_model::DataVersion;
use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::header::namesrv::{BrokerHeartbeat, QueryDataVersion};
use blockhouse_route::Routes;
use parking_lot::RwLockWriteGuard;

use super::register_broker::refused;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::{Error, NameService};

/// The broker that is spoken for.
#[derive(Clone, Copy)]
struct About<'a> {
    cluster: &'a str,
    name: &'a str,
    id: Option<i64>,
    addr: &'a str,
}

pub(crate) fn heartbeat(service: &NameService, request: &Request<'_>) -> Outcome {
    let header = BrokerHeartbeat::parse(&request.command.ext)?;
    let (cluster, addr) = (header.cluster_name, header.broker_addr);
    let about = About { cluster, name: header.broker_name, id: header.broker_id, addr };
    let mut routes = judged(service, request, about)?;
    // An unknown broker is answered with success too, as by RocketMQ: it reports in full soon.
    routes.heartbeat(cluster, addr, service.now());
    Ok(Reply::empty())
}

/// The route table, for whoever speaks for a broker of its own: nobody keeps another's alive.
fn judged<'s>(
    service: &'s NameService,
    request: &Request<'_>,
    about: About<'_>,
) -> Result<RwLockWriteGuard<'s, Routes>, Error> {
    let About { cluster, name: broker, id, addr: address } = about;
    let routes = service.routes.write();
    let asked = (request.hooks, request.cx);
    let judged = service.owners.lock().judge_address(asked, &routes, (cluster, address));
    let Err(rejection) = judged else { return Ok(routes) };
    drop(routes);
    let broker_id = id.and_then(|id| u64::try_from(id).ok()).unwrap_or(0);
    let report = BrokerRegistration { cluster, broker, broker_id, address, topics: 0 };
    Err(refused(service, request, &report, rejection))
}

/// Whether the topics that a broker would report differ from those known; also a sign of life.
pub(crate) fn query_data_version(service: &NameService, request: &Request<'_>) -> Outcome {
    let header = QueryDataVersion::parse(&request.command.ext)?;
    let (cluster, addr) = (header.cluster_name, header.broker_addr);
    let body = &request.command.body;
    let version = if body.is_empty() { None } else { Some(DataVersion::decode(body)?) };
    let about = About { cluster, name: header.broker_name, id: Some(header.broker_id), addr };
    let mut routes = judged(service, request, about)?;
    let changed = version.is_none_or(|version| routes.topics_changed(cluster, addr, version));
    routes.heartbeat(cluster, addr, service.now());
    let body = routes.known_version(cluster, addr).map(|known| known.encode());
    drop(routes);
    Ok(Reply::body(body.unwrap_or_default()).field("changed", &changed))
}
