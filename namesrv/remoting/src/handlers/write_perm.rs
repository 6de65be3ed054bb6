//! Taking and giving back the write permission of a broker's topics (205, 327).

use blockhouse_protocol::header::namesrv::{AddWritePermOfBroker, WipeWritePermOfBroker};
use tracing::info;

use crate::NameService;
use crate::reply::{Outcome, Reply};
use crate::request::Request;

pub(crate) fn wipe(service: &NameService, request: &Request<'_>) -> Outcome {
    let broker = WipeWritePermOfBroker::parse(&request.command.ext)?.broker_name;
    let count = service.routes.write().wipe_write_perm(broker);
    info!(broker, topics = count, peer = %request.cx.peer, "write permission taken");
    Ok(Reply::empty().field("wipeTopicCount", &count))
}

pub(crate) fn add(service: &NameService, request: &Request<'_>) -> Outcome {
    let broker = AddWritePermOfBroker::parse(&request.command.ext)?.broker_name;
    let count = service.routes.write().add_write_perm(broker);
    info!(broker, topics = count, peer = %request.cx.peer, "write permission given back");
    Ok(Reply::empty().field("addTopicCount", &count))
}
