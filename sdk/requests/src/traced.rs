//! Requests that are refused before a handler looks at them, as spans: a wrong signature, no right to it, too many
//! of them, a code that nobody serves.

use std::net::SocketAddr;
use std::time::Duration;

use blockhouse_meter::Spans;
use blockhouse_meter::spans::{Key, Operation, Record, Role, StageRecord, Ticks};
use blockhouse_model::trace::TRACE_PARENT;
use blockhouse_model::{QueueId, TraceParent, properties};
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::request_code;
use blockhouse_protocol::header::send::SendMessage;

use crate::log::is_send;

/// Records a request that came at `began` and is refused with `code` now, if errors are recorded and there is
/// room for one more trace. Who sent it may be nobody's user: so there is a limit whatever its `traceparent` says.
pub(crate) fn refused(
    spans: &Spans,
    (command, code): (&RemotingCommand, i32),
    (began, now): (Duration, Duration),
    (role, peer): (Role, SocketAddr),
) -> Option<TraceParent> {
    let total = now.saturating_sub(began);
    let reason = spans.reconsider(total, true)?;
    let send = is_send(command.code).then(|| SendMessage::parse(&command.ext).ok()).flatten();
    let parent = match &send {
        Some(send) => spans.parent(send.properties),
        None => command.ext.get(TRACE_PARENT).and_then(TraceParent::parse),
    };
    let picked = spans.picked_within(parent, reason, now)?;
    let field = |name| command.ext.get(name).unwrap_or_default();
    let topic = spans.name(send.as_ref().map_or_else(|| field("topic"), |send| send.topic));
    let group = command.ext.get("consumerGroup").or_else(|| command.ext.get("group"));
    let plain = StageRecord::new(picked, operation(spans, command.code), began, peer, topic);
    let key = |send: &SendMessage<'_>| {
        Key::of(properties::find(send.properties, properties::UNIQUE_KEY).unwrap_or_default())
    };
    let queue = |send: &SendMessage<'_>| QueueId::from_i32(send.queue_id).map(|queue| queue.0);
    let record = StageRecord {
        role,
        total: Ticks::of(total),
        code,
        group: group.filter(|_| send.is_none()).map(|group| spans.name(group)),
        queue: send.as_ref().and_then(queue),
        key: send.as_ref().map_or(plain.key, key),
        ..plain
    };
    spans.push(Record::Stages(record)).then_some(picked.own)
}

/// What would have been done; of what is about no message, what was asked for.
fn operation(spans: &Spans, code: i32) -> Operation {
    if is_send(code) {
        return Operation::Send;
    }
    Operation::Request(spans.name(request_code::name(code)))
}
