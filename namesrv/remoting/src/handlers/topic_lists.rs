//! Lists of topics (206, 224, 304, 311 to 313).

use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::header::namesrv::GetTopicsByCluster;
use blockhouse_route::query::{UNIT, UNIT_SUB};

use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::{Error, NameService, view};

pub(crate) fn all(service: &NameService, _: &Request<'_>) -> Outcome {
    allowed(service.settings.read().enable_all_topic_list)?;
    let routes = service.routes.read();
    Ok(Reply::body(view::topic_list(routes.topics().keys(), None).encode()))
}

pub(crate) fn of_cluster(service: &NameService, request: &Request<'_>) -> Outcome {
    allowed(service.settings.read().enable_topic_list)?;
    let cluster = GetTopicsByCluster::parse(&request.command.ext)?.cluster;
    let topics = service.routes.read().topics_of_cluster(cluster);
    Ok(Reply::body(view::topic_list(&topics, None).encode()))
}

pub(crate) fn system(service: &NameService, _: &Request<'_>) -> Outcome {
    let (topics, broker) = service.routes.read().system_topics();
    Ok(Reply::body(view::topic_list(&topics, broker).encode()))
}

pub(crate) fn unit(service: &NameService, _: &Request<'_>) -> Outcome {
    by_flag(service, |flag| flag & UNIT != 0)
}

pub(crate) fn unit_sub(service: &NameService, _: &Request<'_>) -> Outcome {
    by_flag(service, |flag| flag & UNIT_SUB != 0)
}

pub(crate) fn unit_sub_only(service: &NameService, _: &Request<'_>) -> Outcome {
    by_flag(service, |flag| flag & UNIT == 0 && flag & UNIT_SUB != 0)
}

fn by_flag(service: &NameService, wanted: fn(u32) -> bool) -> Outcome {
    allowed(service.settings.read().enable_topic_list)?;
    let topics = service.routes.read().topics_by_flag(wanted);
    Ok(Reply::body(view::topic_list(&topics, None).encode()))
}

fn allowed(enabled: bool) -> Result<(), Error> {
    if enabled { Ok(()) } else { Err(Error::Disabled) }
}
