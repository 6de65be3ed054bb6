//! How far queues and groups are.

use std::collections::BTreeMap;
use std::time::Duration;

use blockhouse_core::Broker;
use blockhouse_core::inspect::{GroupProgress, TimeSpan};
use blockhouse_filter::Subscription;
use blockhouse_model::{QueueId, Timestamp};
use blockhouse_protocol::body::MessageQueue;
use blockhouse_protocol::body::heartbeat::SubscriptionData;
use blockhouse_protocol::body::list::{GroupList, TopicList};
use blockhouse_protocol::body::message::QuerySubscriptionResponse;
use blockhouse_protocol::body::offset::{ConsumeTimeSpans, QueueTimeSpan};
use blockhouse_protocol::body::stats::{
    ConsumeStats, ConsumeStatsList, OffsetWrapper, TopicOffset, TopicStatsTable,
};
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::{group, offset, stats, topic};

use crate::call::{Call, OwnedCall};
use crate::response::{Answer, Failure, Response};

fn message_queue(broker: &Broker, topic: &str, queue: QueueId) -> MessageQueue {
    MessageQueue {
        broker_name: broker.identity().name.clone(),
        queue_id: queue.to_i32(),
        topic: topic.to_owned(),
    }
}

/// A time, or what RocketMQ writes where there is none.
fn millis(time: Option<Timestamp>, none: i64) -> i64 {
    time.map_or(none, |time| time.0)
}

pub(crate) fn topic_stats(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = topic::GetTopicStatsInfo::parse(&call.command.ext)?;
        let (queues, topic_put_tps) = call.broker.topic_state(h.topic).await?;
        let offset_table = queues
            .iter()
            .map(|state| {
                let offsets = TopicOffset {
                    last_update_timestamp: millis(state.last_stored, 0),
                    max_offset: state.max.to_i64(),
                    min_offset: state.min.to_i64(),
                };
                (message_queue(&call.broker, h.topic, state.queue), offsets)
            })
            .collect();
        Ok(Response::body(fastjson::write(&TopicStatsTable { offset_table, topic_put_tps })))
    })
}

pub(crate) fn consume_stats(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = stats::GetConsumeStats::parse(&call.command.ext)?;
        let listed: Vec<String> = h
            .topic_list
            .unwrap_or_default()
            .split(';')
            .chain(h.topic)
            .filter(|topic| !topic.trim().is_empty())
            .map(str::to_owned)
            .collect();
        let topics = if listed.is_empty() { None } else { Some(listed) };
        let progress = call.broker.group_progress(h.consumer_group, topics).await?;
        Ok(Response::body(fastjson::write(&stats_of(&call.broker, &progress))))
    })
}

fn stats_of(broker: &Broker, progress: &GroupProgress) -> ConsumeStats {
    let offset_table = progress
        .queues
        .iter()
        .map(|place| {
            let offsets = OffsetWrapper {
                broker_offset: place.broker_offset.to_i64(),
                consumer_offset: place.consumer_offset.to_i64(),
                last_timestamp: millis(place.last_consumed, 0),
                pull_offset: place.pull_offset.to_i64(),
            };
            (message_queue(broker, &place.topic, place.queue), offsets)
        })
        .collect();
    ConsumeStats { consume_tps: progress.rate, offset_table }
}

pub(crate) fn broker_consume_stats(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = stats::GetConsumeStatsInBroker::parse(&call.command.ext)?;
        let broker = &call.broker;
        let mut list = ConsumeStatsList {
            broker_addr: broker.identity().store_host.to_string(),
            ..ConsumeStatsList::default()
        };
        for group in broker.groups().all() {
            let mut of_group = Vec::new();
            for topic in broker.committed_topics(&group.name) {
                let ordered = broker.topics().find(&topic).is_some_and(|t| t.order);
                if h.is_order && !ordered {
                    continue;
                }
                let progress = broker.group_progress(&group.name, Some(vec![topic])).await?;
                let stats = stats_of(broker, &progress);
                for offsets in stats.offset_table.values() {
                    list.total_diff += offsets.broker_offset - offsets.consumer_offset;
                    list.total_inflight_diff += offsets.pull_offset - offsets.consumer_offset;
                }
                of_group.push(stats);
            }
            list.consume_stats_list.push(BTreeMap::from([(group.name.to_string(), of_group)]));
        }
        Ok(Response::body(fastjson::write(&list)))
    })
}

pub(crate) fn groups_of_topic(call: &Call<'_>) -> Result<Response, Failure> {
    let h = topic::QueryTopicConsumeByWho::parse(&call.command.ext)?;
    let group_list = call.broker.groups_of_topic(h.topic);
    Ok(Response::body(fastjson::write(&GroupList { group_list })))
}

pub(crate) fn topics_of_group(call: &Call<'_>) -> Result<Response, Failure> {
    let h = group::QueryTopicsByConsumer::parse(&call.command.ext)?;
    let list = TopicList {
        broker_addr: Some(call.broker.identity().store_host.to_string()),
        topic_list: call.broker.committed_topics(h.group),
    };
    Ok(Response::body(fastjson::write(&list)))
}

pub(crate) fn subscription_of_group(call: &Call<'_>) -> Result<Response, Failure> {
    let h = group::QuerySubscriptionByConsumer::parse(&call.command.ext)?;
    let subscription = call.broker.clients().subscription(h.group, h.topic);
    let answer = QuerySubscriptionResponse {
        group: h.group.to_owned(),
        subscription_data: subscription.map(|s| subscription_data(&s)),
        topic: h.topic.to_owned(),
    };
    Ok(Response::body(fastjson::write(&answer)))
}

/// A subscription as it travels.
pub(super) fn subscription_data(subscription: &Subscription) -> SubscriptionData {
    SubscriptionData {
        class_filter_mode: subscription.class_filter,
        code_set: subscription.codes.clone(),
        expression_type: subscription.kind.name().to_owned(),
        sub_string: subscription.expression.to_string(),
        sub_version: subscription.sub_version,
        tags_set: subscription.tags.clone(),
        topic: subscription.topic.to_string(),
    }
}

pub(crate) fn time_span(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = offset::QueryConsumeTimeSpan::parse(&call.command.ext)?;
        let spans = call.broker.time_spans(h.topic, h.group).await?;
        let spans = spans.iter().map(|span| span_of(&call.broker, h.topic, span)).collect();
        Ok(Response::body(fastjson::write(&ConsumeTimeSpans { consume_time_span_set: spans })))
    })
}

fn span_of(broker: &Broker, topic: &str, span: &TimeSpan) -> QueueTimeSpan {
    let age = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    QueueTimeSpan {
        consume_time_stamp: millis(span.consumed, -1),
        delay_time: age(span.behind),
        max_time_stamp: millis(span.last_stored, -1),
        message_queue: message_queue(broker, topic, span.queue),
        min_time_stamp: millis(span.first_stored, -1),
        ..QueueTimeSpan::default()
    }
}
