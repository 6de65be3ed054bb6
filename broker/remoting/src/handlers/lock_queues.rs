//! `LOCK_BATCH_MQ` and `UNLOCK_BATCH_MQ`.

use std::sync::Arc;

use blockhouse_core::Refusal;
use blockhouse_core::queue_locks::LockedQueue;
use blockhouse_model::{Group, QueueId, Topic};
use blockhouse_protocol::body::MessageQueue;
use blockhouse_protocol::body::client::{LockBatchRequest, LockBatchResponse};
use blockhouse_protocol::fastjson;

use crate::call::Call;
use crate::response::{Failure, Response};

fn parse(call: &Call<'_>) -> Result<(Group, String, Vec<LockedQueue>), Failure> {
    let request: LockBatchRequest = fastjson::read(&call.command.body)?;
    let group = Group::new(&request.consumer_group).map_err(Refusal::from)?;
    Ok((group, request.client_id, request.mq_set.into_iter().filter_map(queue).collect()))
}

/// Queues whose topic is not one are not locked, so the client sees that it does not have them.
fn queue(queue: MessageQueue) -> Option<LockedQueue> {
    Some(LockedQueue {
        topic: Topic::new(&queue.topic).ok()?,
        broker: Arc::from(queue.broker_name),
        queue: QueueId::from_i32(queue.queue_id)?,
    })
}

pub(crate) fn lock(call: &Call<'_>) -> Result<Response, Failure> {
    let (group, client_id, queues) = parse(call)?;
    let locked = call.broker.lock_queues(call.caller, &group, &client_id, queues)?;
    let lock_ok_mq_set = locked
        .iter()
        .map(|queue| MessageQueue {
            broker_name: queue.broker.to_string(),
            queue_id: queue.queue.to_i32(),
            topic: queue.topic.to_string(),
        })
        .collect();
    Ok(Response::body(fastjson::write(&LockBatchResponse { lock_ok_mq_set })))
}

pub(crate) fn unlock(call: &Call<'_>) -> Result<Response, Failure> {
    let (group, client_id, queues) = parse(call)?;
    call.broker.unlock_queues(call.caller, &group, &client_id, &queues)?;
    Ok(Response::ok())
}
