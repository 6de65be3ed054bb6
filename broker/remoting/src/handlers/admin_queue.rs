//! Looking at and cleaning up the files of queues and the log.

use blockhouse_model::{QueueId, QueueOffset};
use blockhouse_protocol::body::message::{ConsumeQueueData, QueryConsumeQueueResponse};
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::message::QueryConsumeQueue;

use super::progress::subscription_data;
use crate::call::OwnedCall;
use crate::response::{Answer, Response};

pub(crate) fn clean_unused(call: OwnedCall) -> Answer {
    Box::pin(async move {
        call.broker.clean_unused_topics().await?;
        Ok(Response::ok())
    })
}

pub(crate) fn clean_expired(call: OwnedCall) -> Answer {
    Box::pin(async move {
        call.broker.clean_expired_queues().await?;
        Ok(Response::ok())
    })
}

pub(crate) fn delete_expired(call: OwnedCall) -> Answer {
    Box::pin(async move {
        call.broker.delete_expired_log().await?;
        Ok(Response::ok())
    })
}

pub(crate) fn query(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = QueryConsumeQueue::parse(&call.command.ext)?;
        let queue = QueueId::from_i32(h.queue_id).unwrap_or_default();
        let index = QueueOffset::from_i64(h.index).unwrap_or_default();
        let count = usize::try_from(h.count).unwrap_or(0);
        let (state, entries) = call.broker.queue_entries(h.topic, queue, index, count).await?;
        let subscription = h.consumer_group.map(|group| {
            let known = call.broker.clients().subscription(group, h.topic);
            known.map(|s| subscription_data(&s))
        });
        let filter_data = match (&subscription, h.consumer_group) {
            (Some(None), Some(group)) => Some(format!("{group}@{} is not online!", h.topic)),
            (Some(Some(_)), _) => Some("null".to_owned()),
            _ => None,
        };
        let body = QueryConsumeQueueResponse {
            filter_data,
            max_queue_index: state.max.to_i64(),
            min_queue_index: state.min.to_i64(),
            queue_data: entries
                .iter()
                .map(|entry| ConsumeQueueData {
                    physic_offset: entry.physical_offset.to_i64(),
                    physic_size: i32::try_from(entry.size).unwrap_or(i32::MAX),
                    tags_code: entry.tags_code,
                    ..ConsumeQueueData::default()
                })
                .collect(),
            subscription_data: subscription.flatten(),
        };
        Ok(Response::body(fastjson::write(&body)))
    })
}
