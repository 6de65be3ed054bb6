//! Progress moved by an operator, and handed to other brokers.

use blockhouse_core::reset::Target;
use blockhouse_model::{QueueId, QueueOffset, Timestamp};
use blockhouse_protocol::body::MessageQueue;
use blockhouse_protocol::body::offset::{CorrectionOffsets, ResetOffsetBody};
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::offset::{CloneGroupOffset, QueryCorrectionOffset, ResetOffset};

use crate::call::{Call, OwnedCall};
use crate::response::{Answer, Failure, Response};

pub(crate) fn clone(call: &Call<'_>) -> Result<Response, Failure> {
    let h = CloneGroupOffset::parse(&call.command.ext)?;
    let topic = h.topic.filter(|topic| !topic.trim().is_empty());
    call.broker.clone_offsets(h.src_group, h.dest_group, topic)?;
    Ok(Response::ok())
}

pub(crate) fn all(call: &Call<'_>) -> Result<Response, Failure> {
    Ok(Response::body(call.broker.all_offsets_json()))
}

pub(crate) fn all_delay(call: &Call<'_>) -> Result<Response, Failure> {
    Ok(Response::body(call.broker.all_delay_offsets_json()))
}

pub(crate) fn reset(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let h = ResetOffset::parse(&call.command.ext)?;
        let queue = QueueId::from_i32(h.queue_id);
        let target = match h.offset.and_then(QueueOffset::from_i64) {
            Some(offset) if queue.is_some() => Target::Offset(offset),
            _ if h.timestamp < 0 => Target::End,
            _ => Target::Time(Timestamp(h.timestamp)),
        };
        let places = call.broker.reset_offsets(h.topic, h.group, queue, target).await?;
        let offset_table = places
            .iter()
            .map(|(queue, offset)| {
                let queue = MessageQueue {
                    broker_name: call.broker.identity().name.clone(),
                    queue_id: queue.to_i32(),
                    topic: h.topic.to_owned(),
                };
                (queue, offset.to_i64())
            })
            .collect();
        Ok(Response::body(fastjson::write(&ResetOffsetBody { offset_table })))
    })
}

/// How far the slowest group is in each queue, and which queues one group is further in.
pub(crate) fn correction(call: &Call<'_>) -> Result<Response, Failure> {
    let h = QueryCorrectionOffset::parse(&call.command.ext)?;
    let without: Vec<&str> = h.filter_groups.unwrap_or_default().split(',').collect();
    let correction_offsets = call
        .broker
        .slowest_offsets(h.topic, &without, h.compare_group)
        .into_iter()
        .map(|(queue, offset)| (queue.to_i32(), offset.map_or(i64::MAX, QueueOffset::to_i64)))
        .collect();
    Ok(Response::body(fastjson::write(&CorrectionOffsets { correction_offsets })))
}
