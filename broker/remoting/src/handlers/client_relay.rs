//! Questions that a client answers; its answer is handed on as it is.

use blockhouse_core::clients::ClientReply;
use blockhouse_protocol::body::offset::ConsumerStatusBody;
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::client::GetConsumerRunningInfo;
use blockhouse_protocol::header::message::ConsumeMessageDirectly;
use blockhouse_protocol::header::offset::GetConsumerStatus;

use crate::call::OwnedCall;
use crate::response::{Answer, Response};

fn handed_on(reply: ClientReply) -> Response {
    let mut response = Response::body(reply.body);
    response.code = reply.status;
    match reply.remark {
        Some(remark) => response.with_remark(remark),
        None => response,
    }
}

pub(crate) fn running_info(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = GetConsumerRunningInfo::parse(&call.command.ext)?;
        let broker = &call.broker;
        let reply = broker.running_info(h.consumer_group, h.client_id, h.jstack_enable).await?;
        Ok(handed_on(reply))
    })
}

pub(crate) fn consume_directly(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = ConsumeMessageDirectly::parse(&call.command.ext)?;
        let (client, message) = (h.client_id.unwrap_or_default(), h.msg_id.unwrap_or_default());
        let topic = h.topic.unwrap_or_default();
        let broker = &call.broker;
        let reply = broker
            .consume_directly(call.caller(), h.consumer_group, client, message, topic)
            .await?;
        Ok(handed_on(reply))
    })
}

pub(crate) fn consumer_status(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = GetConsumerStatus::parse(&call.command.ext)?;
        let only = h.client_addr.filter(|client| !client.is_empty());
        let answers = call.broker.consumer_status(h.group, h.topic, only).await?;
        let mut body = ConsumerStatusBody::default();
        for (client, reply) in answers {
            let status: ConsumerStatusBody = fastjson::read(&reply.body)?;
            body.consumer_table.insert(client, status.message_queue_table);
        }
        Ok(Response::body(fastjson::write(&body)))
    })
}
