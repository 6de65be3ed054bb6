//! Topics: create, change, delete, list.

use std::collections::BTreeMap;

use blockhouse_meter::Created;
use blockhouse_model::{Perm, Topic, TopicConfig, names};
use blockhouse_protocol::body::list::TopicList;
use blockhouse_protocol::body::topic as body;
use blockhouse_protocol::codes::response_code;
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::topic as header;

use crate::call::{Call, OwnedCall};
use crate::response::{Answer, Failure, Response};

pub(crate) fn update(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let creation = call.creates(Created::Topic);
        let topic = call.command.ext.get("topic").unwrap_or_default();
        creation.end(names::is_system_topic(topic), create(&call).await)
    })
}

async fn create(call: &OwnedCall) -> Result<Response, Failure> {
    let (config, changes) = created(call)?;
    call.broker.update_topic(call.caller(), config, &changes).await?;
    Ok(Response::ok())
}

type Changes = BTreeMap<String, String>;

fn created(call: &OwnedCall) -> Result<(TopicConfig, Changes), Failure> {
    let h = header::CreateTopic::parse(&call.command.ext)?;
    if !matches!(h.topic_filter_type, "SINGLE_TAG" | "MULTI_TAG") {
        let remark =
            format!("topicFilterType[{}] is not SINGLE_TAG or MULTI_TAG", h.topic_filter_type);
        return Err(Failure::new(response_code::SYSTEM_ERROR, remark));
    }
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    let config = TopicConfig {
        name: Topic::new(h.topic).map_err(blockhouse_core::Refusal::from)?,
        read_queues: count(h.read_queue_nums),
        write_queues: count(h.write_queue_nums),
        perm: Perm(count(h.perm)),
        sys_flag: count(h.topic_sys_flag.unwrap_or(0)),
        order: h.order,
        attributes: BTreeMap::new(),
    };
    Ok((config, attribute_changes(h.attributes)))
}

/// `+message.type=FIFO,-x` as changes by `+name` and `-name`.
fn attribute_changes(text: Option<&str>) -> Changes {
    text.unwrap_or_default()
        .split(',')
        .filter(|change| !change.is_empty())
        .map(|change| change.split_once('=').unwrap_or((change, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

pub(crate) fn update_list(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let list: body::TopicConfigs = fastjson::read(&call.command.body)?;
        // All are looked at before any is changed.
        let configs: Result<Vec<_>, _> =
            list.topic_config_list.into_iter().map(TopicConfig::try_from).collect();
        for config in configs.map_err(blockhouse_core::Refusal::from)? {
            let changes = config.attributes.clone();
            let creation = call.creates(Created::Topic);
            let is_system = names::is_system_topic(&config.name);
            creation
                .end(is_system, call.broker.update_topic(call.caller(), config, &changes).await)?;
        }
        Ok(Response::ok())
    })
}

pub(crate) fn delete(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = header::DeleteTopic::parse(&call.command.ext)?;
        call.broker.delete_topic(h.topic).await?;
        Ok(Response::ok())
    })
}

pub(crate) fn all(call: &Call<'_>) -> Result<Response, Failure> {
    let h = header::GetAllTopicConfig::parse(&call.command.ext)?;
    let (data_version, topics) = call.broker.topics().snapshot();
    let total = i64::try_from(topics.len()).unwrap_or(i64::MAX);
    let page = page(&topics, h.topic_seq, h.max_topic_num);
    let table = body::TopicConfigTable {
        data_version,
        topic_config_table: page
            .map(|topic| (topic.name.to_string(), body::TopicConfig::from(topic.as_ref())))
            .collect(),
        ..body::TopicConfigTable::default()
    };
    Ok(Response::fields(move |out| out.number("totalTopicNum", total))
        .with_body(fastjson::write(&table)))
}

/// The part of a list that a paging request asks for; without a first place, all of it.
pub(super) fn page<T>(
    all: &[T],
    from: Option<i32>,
    count_max: Option<i32>,
) -> impl Iterator<Item = &T> {
    let size = |n: Option<i32>| n.and_then(|n| usize::try_from(n).ok());
    let count = if from.is_some() { size(count_max) } else { None };
    all.iter().skip(size(from).unwrap_or(0)).take(count.unwrap_or(usize::MAX))
}

pub(crate) fn one(call: &Call<'_>) -> Result<Response, Failure> {
    let h = header::GetTopicConfig::parse(&call.command.ext)?;
    let config = call.broker.topic(h.topic)?;
    Ok(Response::body(fastjson::write(&body::TopicConfig::from(config.as_ref()))))
}

pub(crate) fn system(call: &Call<'_>) -> Result<Response, Failure> {
    let topics = call.broker.topics().system_topics();
    let list = TopicList {
        broker_addr: None,
        topic_list: topics.iter().map(ToString::to_string).collect(),
    };
    if list.topic_list.is_empty() {
        return Err(Failure::new(response_code::SYSTEM_ERROR, "there are no system topics"));
    }
    Ok(Response::body(fastjson::write(&list)))
}
