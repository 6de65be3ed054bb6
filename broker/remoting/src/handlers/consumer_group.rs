//! Consumer groups: create, change, delete, list, forbid.

use std::collections::BTreeMap;

use blockhouse_core::{Broker, Refusal};
use blockhouse_meta::Extra;
use blockhouse_meter::Created;
use blockhouse_model::{SubscriptionGroup, names};
use blockhouse_protocol::body::group as body;
use blockhouse_protocol::codes::response_code;
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::group as header;
use serde_json::{Value, json};

use super::admin_topic::page;
use crate::call::{Call, OwnedCall};
use crate::response::{Answer, Failure, Response};

// Fields that only Java brokers act on.
const RETRY_POLICY: &str = "groupRetryPolicy";
const SUBSCRIPTIONS: &str = "subscriptionDataSet";

pub(crate) fn update(call: OwnedCall) -> Answer {
    Box::pin(async move {
        put(&call, fastjson::read(&call.command.body)?).await?;
        Ok(Response::ok())
    })
}

pub(crate) fn update_list(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let list: body::SubscriptionGroupConfigs = fastjson::read(&call.command.body)?;
        for group in list.group_config_list {
            put(&call, group).await?;
        }
        Ok(Response::ok())
    })
}

async fn put(call: &OwnedCall, group: body::SubscriptionGroupConfig) -> Result<(), Failure> {
    let creation = call.creates(Created::Group);
    let is_system = names::is_system_group(&group.group_name);
    creation.end(is_system, change(&call.broker, group).await)
}

async fn change(broker: &Broker, group: body::SubscriptionGroupConfig) -> Result<(), Failure> {
    let kept = json!({
        RETRY_POLICY: group.group_retry_policy,
        SUBSCRIPTIONS: group.subscription_data_set,
    });
    let extra = Extra::parse(&kept.to_string())
        .map_err(|error| Failure::new(response_code::INVALID_PARAMETER, error.to_string()))?;
    let changes = group.attributes.clone();
    let config = SubscriptionGroup::try_from(group).map_err(Refusal::from)?;
    broker.update_group(config, &changes, Some(extra)).await?;
    Ok(())
}

pub(crate) fn delete(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = header::DeleteSubscriptionGroup::parse(&call.command.ext)?;
        call.broker.delete_group(h.group_name, h.clean_offset).await?;
        Ok(Response::ok())
    })
}

pub(crate) fn all(call: &Call<'_>) -> Result<Response, Failure> {
    let h = header::GetAllSubscriptionGroup::parse(&call.command.ext)?;
    let (data_version, groups) = call.broker.groups().snapshot();
    let total = i64::try_from(groups.len()).unwrap_or(i64::MAX);
    let table = body::SubscriptionGroupTable {
        data_version,
        forbidden_table: forbidden(call),
        subscription_group_table: page(&groups, h.group_seq, h.max_group_num)
            .map(|group| (group.name.to_string(), with_extra(call, group)))
            .collect(),
    };
    Ok(Response::fields(move |out| out.number("totalGroupNum", total))
        .with_body(fastjson::write(&table)))
}

fn forbidden(call: &Call<'_>) -> BTreeMap<String, BTreeMap<String, i32>> {
    let table = call.broker.groups().forbidden();
    table
        .iter()
        .map(|(group, topics)| {
            let topics = topics.iter().map(|(t, bits)| (t.to_string(), bits.cast_signed()));
            (group.to_string(), topics.collect())
        })
        .collect()
}

/// A group with the fields that only Java brokers act on.
fn with_extra(call: &Call<'_>, group: &SubscriptionGroup) -> body::SubscriptionGroupConfig {
    let mut config = body::SubscriptionGroupConfig::from(group);
    if let Some(extra) = call.broker.groups().extra(&group.name) {
        let kept = |field| {
            let json = extra.json(field)?;
            serde_json::from_str(&json).ok().filter(|value| *value != Value::Null)
        };
        if let Some(policy) = kept(RETRY_POLICY) {
            config.group_retry_policy = policy;
        }
        config.subscription_data_set = kept(SUBSCRIPTIONS);
    }
    config
}

pub(crate) fn one(call: &Call<'_>) -> Result<Response, Failure> {
    let h = header::GetSubscriptionGroupConfig::parse(&call.command.ext)?;
    let group = call.broker.group_for_use(h.group)?;
    Ok(Response::body(fastjson::write(&with_extra(call, &group))))
}

/// RocketMQ's bit for "may not read".
const READ_BIT: u32 = 0;

pub(crate) fn forbid(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = header::UpdateGroupForbidden::parse(&call.command.ext)?;
        let change = h.readable.map(|readable| (READ_BIT, !readable));
        let bits = call.broker.forbid(h.group, h.topic, change).await?;
        let answer = body::GroupForbidden {
            group: h.group.to_owned(),
            readable: Some(bits & 1 << READ_BIT == 0),
            topic: h.topic.to_owned(),
        };
        Ok(Response::body(fastjson::write(&answer)))
    })
}
