//! Who is in the cluster (106, 901).

use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::header::namesrv::GetBrokerMemberGroup;

use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::{NameService, view};

pub(crate) fn cluster_info(service: &NameService, _: &Request<'_>) -> Outcome {
    Ok(Reply::body(view::cluster_info(&service.routes.read()).encode()))
}

pub(crate) fn member_group(service: &NameService, request: &Request<'_>) -> Outcome {
    let GetBrokerMemberGroup { cluster_name, broker_name } =
        GetBrokerMemberGroup::parse(&request.command.ext)?;
    let addrs = service.routes.read().member_group(broker_name);
    let body = view::member_group(cluster_name, broker_name, &addrs).encode();
    // RocketMQ leaves this remark in the successful answer.
    Ok(Reply { remark: Some("not set any response code"), ..Reply::body(body) })
}
