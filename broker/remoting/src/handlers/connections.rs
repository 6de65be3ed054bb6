//! Who is connected.

use blockhouse_core::clients::ConnectionView;
use blockhouse_protocol::LanguageCode;
use blockhouse_protocol::body::client::{
    Connection, ConsumerConnection, ConsumerIdList, ProducerConnection, ProducerInfo,
    ProducerTableInfo,
};
use blockhouse_protocol::body::heartbeat as body;
use blockhouse_protocol::codes::response_code;
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::client as header;

use super::progress::subscription_data;
use crate::call::Call;
use crate::response::{Failure, Response};

pub(crate) fn members(call: &Call<'_>) -> Result<Response, Failure> {
    let h = header::GetConsumerListByGroup::parse(&call.command.ext)?;
    let ids = call.broker.clients().client_ids(h.consumer_group);
    if ids.is_empty() {
        let remark = format!("no consumer for this group, {}", h.consumer_group);
        return Err(Failure::new(response_code::SYSTEM_ERROR, remark));
    }
    let consumer_id_list = ids.iter().map(ToString::to_string).collect();
    Ok(Response::body(fastjson::write(&ConsumerIdList { consumer_id_list })))
}

pub(crate) fn consumers(call: &Call<'_>) -> Result<Response, Failure> {
    let h = header::GetConsumerConnectionList::parse(&call.command.ext)?;
    let Some(view) = call.broker.clients().consumer(h.consumer_group) else {
        let remark = format!("the consumer group[{}] not online", h.consumer_group);
        return Err(Failure::new(response_code::CONSUMER_NOT_ONLINE, remark));
    };
    let answer = ConsumerConnection {
        connection_set: view.connections.iter().map(connection).collect(),
        consume_from_where: body::ConsumeFromWhere::from_name(view.from_where.name())
            .unwrap_or_default(),
        consume_type: body::ConsumeType::from_name(view.consume_type.name()).unwrap_or_default(),
        message_model: body::MessageModel::from_name(view.message_model.name()).unwrap_or_default(),
        subscription_table: view
            .subscriptions
            .iter()
            .map(|s| (s.topic.to_string(), subscription_data(s)))
            .collect(),
    };
    Ok(Response::body(fastjson::write(&answer)))
}

pub(crate) fn producers(call: &Call<'_>) -> Result<Response, Failure> {
    let h = header::GetProducerConnectionList::parse(&call.command.ext)?;
    let members = call.broker.clients().producer(h.producer_group);
    if members.is_empty() {
        let remark = format!("the producer group[{}] not exist", h.producer_group);
        return Err(Failure::new(response_code::SYSTEM_ERROR, remark));
    }
    let connection_set = members.iter().map(connection).collect();
    Ok(Response::body(fastjson::write(&ProducerConnection { connection_set })))
}

pub(crate) fn all_producers(call: &Call<'_>) -> Result<Response, Failure> {
    let groups = call.broker.clients().producers();
    let data = groups
        .iter()
        .map(|(group, members)| (group.to_string(), members.iter().map(producer).collect()))
        .collect();
    Ok(Response::body(fastjson::write(&ProducerTableInfo { data })))
}

fn connection(view: &ConnectionView) -> Connection {
    Connection {
        client_addr: view.peer.to_string(),
        client_id: view.client_id.to_string(),
        language: LanguageCode(view.language).name().to_owned(),
        version: view.version,
    }
}

fn producer(view: &ConnectionView) -> ProducerInfo {
    ProducerInfo {
        client_id: view.client_id.to_string(),
        language: LanguageCode(view.language).name().to_owned(),
        last_update_timestamp: view.seen.0,
        // RocketMQ writes Java's form of the address.
        remote_ip: format!("/{}", view.peer),
        version: view.version,
    }
}
