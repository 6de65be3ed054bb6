//! Signs of life of brokers (904, 322).

use blockhouse_model::DataVersion;
use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::header::namesrv::{BrokerHeartbeat, QueryDataVersion};
use blockhouse_route::Routes;

use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::{Error, NameService};

pub(crate) fn heartbeat(service: &NameService, request: &Request<'_>) -> Outcome {
    let header = BrokerHeartbeat::parse(&request.command.ext)?;
    let (cluster, addr) = (header.cluster_name, header.broker_addr);
    let mut routes = service.routes.write();
    judge(service, request, &routes, (cluster, addr))?;
    // An unknown broker is answered with success too, as by RocketMQ: it reports in full soon.
    routes.heartbeat(cluster, addr, service.now());
    Ok(Reply::empty())
}

/// Nobody keeps another's broker alive.
fn judge(
    service: &NameService,
    request: &Request<'_>,
    routes: &Routes,
    about: (&str, &str),
) -> Result<(), Error> {
    let owners = service.owners.lock();
    owners.judge_address((request.hooks, request.cx), routes, about).map_err(Error::Refused)
}

/// Whether the topics that a broker would report differ from those known; also a sign of life.
pub(crate) fn query_data_version(service: &NameService, request: &Request<'_>) -> Outcome {
    let header = QueryDataVersion::parse(&request.command.ext)?;
    let (cluster, addr) = (header.cluster_name, header.broker_addr);
    let body = &request.command.body;
    let version = if body.is_empty() { None } else { Some(DataVersion::decode(body)?) };
    let mut routes = service.routes.write();
    judge(service, request, &routes, (cluster, addr))?;
    let changed = version.is_none_or(|version| routes.topics_changed(cluster, addr, version));
    routes.heartbeat(cluster, addr, service.now());
    let body = routes.known_version(cluster, addr).map(|known| known.encode());
    drop(routes);
    Ok(Reply::body(body.unwrap_or_default()).field("changed", &changed))
}
