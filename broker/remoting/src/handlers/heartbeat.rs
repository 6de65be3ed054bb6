//! Clients come, say that they live, and go.

use std::sync::Arc;

use blockhouse_core::clients::{
    ClientChannel, ConsumeFromWhere, ConsumeType, ConsumerHeartbeat, Heartbeat, MessageModel,
};
use blockhouse_filter::{Subscription, SubscriptionParts};
use blockhouse_model::{Group, Topic};
use blockhouse_protocol::body::heartbeat as body;
use blockhouse_protocol::codes::response_code;
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::client::{UnregisterClient, heartbeat_response};

use crate::call::Call;
use crate::channel::Channel;
use crate::response::{Failure, Response};

pub(crate) fn heartbeat(call: &Call<'_>) -> Result<Response, Failure> {
    let data: body::HeartbeatData = fastjson::read(&call.command.body)?;
    let heartbeat = Heartbeat {
        client_id: data.client_id,
        language: call.command.language.0,
        version: call.command.version,
        fingerprint: data.heartbeat_fingerprint,
        without_subscriptions: data.without_sub,
        // Groups whose name is not one are passed over, as RocketMQ does.
        producers: data
            .producer_data_set
            .iter()
            .filter_map(|producer| Group::new(&producer.group_name).ok())
            .collect(),
        consumers: data.consumer_data_set.into_iter().filter_map(consumer).collect(),
    };
    let channel: Arc<dyn ClientChannel> = Arc::new(Channel(Arc::clone(call.connection)));
    let client_id = heartbeat.client_id.clone();
    let outcome = call.broker.heartbeat(call.caller, &channel, heartbeat)?;
    // Only what the core took as a client's id: it has checked the length.
    call.connection.name_client(&client_id);
    Ok(Response::fields(move |out| {
        out.boolean(heartbeat_response::IS_SUPPORT_HEART_BEAT_V2, true);
        out.boolean(heartbeat_response::IS_SUB_CHANGE, outcome.subscriptions_unknown);
    }))
}

fn consumer(data: body::ConsumerData) -> Option<ConsumerHeartbeat> {
    Some(ConsumerHeartbeat {
        group: Group::new(&data.group_name).ok()?,
        consume_type: ConsumeType::parse(data.consume_type.name())?,
        message_model: MessageModel::parse(data.message_model.name())?,
        from_where: ConsumeFromWhere::parse(data.consume_from_where.name())?,
        subscriptions: data.subscription_data_set.into_iter().filter_map(subscription).collect(),
        unit_mode: data.unit_mode,
    })
}

fn subscription(data: body::SubscriptionData) -> Option<Subscription> {
    let parts = SubscriptionParts {
        expression: Some(&data.sub_string),
        kind: Some(&data.expression_type),
        tags: data.tags_set,
        codes: data.code_set,
        sub_version: data.sub_version,
        class_filter: data.class_filter_mode,
    };
    Subscription::from_parts(Topic::new(&data.topic).ok()?, parts).ok()
}

pub(crate) fn unregister(call: &Call<'_>) -> Result<Response, Failure> {
    let h = UnregisterClient::parse(&call.command.ext)?;
    let channel = Channel(Arc::clone(call.connection));
    call.broker.clients().unregister(&channel, h.producer_group, h.consumer_group);
    Ok(Response::ok())
}

/// Asked by consumers that filter by other means than tags before they start.
pub(crate) fn check_client(call: &Call<'_>) -> Result<Response, Failure> {
    if call.command.body.is_empty() {
        return Ok(Response::ok());
    }
    let request: body::CheckClientRequest = fastjson::read(&call.command.body)?;
    let data = request.subscription_data;
    Subscription::parse(&data.topic, &data.sub_string, Some(&data.expression_type)).map_err(
        |error| {
            let remark = format!("the broker cannot filter by this subscription: {error}");
            Failure::new(response_code::SUBSCRIPTION_PARSE_FAILED, remark)
        },
    )?;
    Ok(Response::ok())
}
