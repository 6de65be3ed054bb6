//! Brokers that come and go (103, 104).

use std::sync::Arc;
use std::time::Duration;

use blockhouse_hook::Outcome::Refused;
use blockhouse_hook::{BrokerRegistration, Decided, Point, Rejection, Subject};
use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::body::registration::{RegisterBrokerBody, body_crc32};
use blockhouse_protocol::header::namesrv::{RegisterBroker, UnregisterBroker};
use blockhouse_route::{ConnectionId, ORDER_TOPIC_CONFIG, Registered, Registration, Routes};
use tracing::{debug, info, warn};

use crate::dispatch::pass;
use crate::owners::Owners;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::{Error, NameService, view};

/// Longest name or address of a broker.
const NAME_LEN_MAX: usize = 255;
/// Most filter servers of a broker that are kept.
const FILTER_SERVERS_MAX: usize = 64;

pub(crate) fn register(service: &NameService, request: &Request<'_>) -> Outcome {
    let command = request.command;
    let header = RegisterBroker::parse(&command.ext)?;
    // A checksum of 0 means that there is none.
    if header.body_crc32 != 0 && header.body_crc32 != body_crc32(&command.body) {
        return Err(Error::Checksum);
    }
    let body = RegisterBrokerBody::decode_any(&command.body, command.version)?;
    let filter_servers = body.filter_server_list.iter().filter(|s| s.len() <= NAME_LEN_MAX);
    let filter_servers =
        filter_servers.take(FILTER_SERVERS_MAX).map(|s| Arc::from(s.as_str())).collect();
    let timeout_ms = header.heartbeat_timeout_millis.and_then(|ms| u64::try_from(ms).ok());
    let report = Registration {
        cluster: name("clusterName", header.cluster_name)?,
        broker: name("brokerName", header.broker_name)?,
        id: broker_id(header.broker_id)?,
        addr: name("brokerAddr", header.broker_addr)?,
        ha_addr: Some(header.ha_server_addr).filter(|addr| addr.len() <= NAME_LEN_MAX),
        zone: command.ext.get("__ZONE_NAME").filter(|zone| zone.len() <= NAME_LEN_MAX),
        timeout: timeout_ms.map(Duration::from_millis),
        acting_master: header.enable_acting_master,
        topics: view::reported(body),
        filter_servers: Some(filter_servers),
        connection: ConnectionId(request.connection.id()),
    };
    // Before hooks are asked, so that the audit is not told of two outcomes; and again with the table.
    let routes = service.routes.read();
    let judged = judge(&service.owners.lock(), request, &routes, &report);
    drop(routes);
    judged.map_err(|why| refused(service, request, &seen_by_hooks(&report), why))?;
    if request.hooks.has(Point::BrokerRegistration) {
        pass(request.hooks.broker_registration(request.cx, &seen_by_hooks(&report)))?;
    }
    let registered = take(service, request, &report)?;
    answer(service, &report, registered)
}

fn take(
    service: &NameService,
    request: &Request<'_>,
    report: &Registration<'_>,
) -> Result<Registered, Error> {
    let mut routes = service.routes.write();
    let mut owners = service.owners.lock();
    if let Err(rejection) = judge(&owners, request, &routes, report) {
        drop(owners);
        drop(routes);
        return Err(refused(service, request, &seen_by_hooks(report), rejection));
    }
    // Before the table, so that the connection's end always finds it.
    service.remember(request.connection);
    let registered = routes.register(report, service.now());
    if matches!(registered, Registered::Accepted { .. }) {
        owners.reported((request.hooks, request.cx), &routes, report.broker);
    }
    Ok(registered)
}

fn judge(
    owners: &Owners,
    request: &Request<'_>,
    routes: &Routes,
    report: &Registration<'_>,
) -> Result<(), Rejection> {
    let about = (report.cluster, report.broker, report.addr);
    owners.judge_report((request.hooks, request.cx), routes, about)
}

/// The refusal of who speaks for another's broker; the audit and the log are told. Without the locks of the table and
/// its owners: what is told goes to hooks.
pub(super) fn refused(
    service: &NameService,
    request: &Request<'_>,
    report: &BrokerRegistration<'_>,
    rejection: Rejection,
) -> Error {
    // Whoever is refused may call it what he likes.
    let cut = report.broker.floor_char_boundary(NAME_LEN_MAX);
    let broker = report.broker.get(..cut).unwrap_or_default();
    let reason = &*rejection.reason;
    warn!(broker, peer = %request.cx.peer, principal = ?request.cx.principal, "refused: {reason}");
    if let Some(auditor) = service.hooks.auditor() {
        let decided = Decided { outcome: Refused, by: "namesrv", shadow: false, reason };
        auditor.tell(Subject::Register(request.cx, report), decided);
    }
    Error::Refused(rejection)
}

fn answer(service: &NameService, report: &Registration<'_>, registered: Registered) -> Outcome {
    let (broker, id, addr) = (report.broker, report.id, report.addr);
    let master = match registered {
        Registered::Accepted { master, first, topics_changed, instead_of } => {
            if let Some(before) = instead_of {
                warn!(
                    broker,
                    id,
                    addr,
                    before = &*before,
                    "this id of this broker has another address now; if both are running, give each its own name (--name)"
                );
            } else if first {
                info!(
                    broker,
                    id,
                    addr,
                    cluster = report.cluster,
                    topics = topics_changed,
                    "broker registered"
                );
            } else {
                debug!(broker, id, addr, topics_changed, "broker reported");
            }
            master
        }
        Registered::Outdated => {
            warn!(
                broker,
                id, addr, "registration ignored: another address has this id with a newer state"
            );
            None
        }
        Registered::FullReportFirst => return Err(Error::FullReportFirst),
        Registered::Full => {
            warn!(broker, id, addr, "a broker's report was refused: there is no room");
            return Err(Error::Full);
        }
    };
    let order = service.settings.read().return_order_topic_config_to_broker.then(|| {
        service.kv.read(|kv| kv.namespace(ORDER_TOPIC_CONFIG).map(|v| view::kv_table(v).encode()))
    });
    let (master_addr, ha_addr) = master.unzip();
    Ok(Reply::body(order.flatten().unwrap_or_default())
        .optional("haServerAddr", ha_addr.flatten().as_ref())
        .optional("masterAddr", master_addr.as_ref()))
}

pub(crate) fn unregister(service: &NameService, request: &Request<'_>) -> Outcome {
    let header = UnregisterBroker::parse(&request.command.ext)?;
    let (broker, addr) = (header.broker_name, header.broker_addr);
    let mut routes = service.routes.write();
    let judged = service.owners.lock().judge((request.hooks, request.cx), &routes, broker);
    if let Err(rejection) = judged {
        drop(routes);
        let cluster = header.cluster_name;
        let broker_id = u64::try_from(header.broker_id).unwrap_or(0);
        let report = BrokerRegistration { cluster, broker, broker_id, address: addr, topics: 0 };
        return Err(refused(service, request, &report, rejection));
    }
    let gone = routes.unregister(broker, addr);
    drop(routes);
    info!(broker, addr, found = gone.is_some(), "broker unregistered");
    Ok(Reply::empty())
}

fn seen_by_hooks<'a>(report: &Registration<'a>) -> BrokerRegistration<'a> {
    BrokerRegistration {
        cluster: report.cluster,
        broker: report.broker,
        broker_id: report.id,
        address: report.addr,
        topics: report.topics.queues.len(),
    }
}

fn name<'a>(field: &'static str, name: &'a str) -> Result<&'a str, Error> {
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return Err(Error::Name { field, max: NAME_LEN_MAX });
    }
    Ok(name)
}

fn broker_id(id: i64) -> Result<u64, Error> {
    u64::try_from(id).map_err(|_| Error::BrokerId(id))
}
