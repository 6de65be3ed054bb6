//! Records on their way out, seen by the hooks that subscribed; without any, this does not run.

use std::sync::Arc;

use blockhouse_hook::{Delivery, HookChain, Outbound, Point, Rejection, Verdict};
use blockhouse_record::{Draft, Stamp, View, records};
use blockhouse_store::{ReadOutcome, ReadStatus};
use bytes::Bytes;

use super::Plan;
use crate::Caller;

/// Takes out what the hooks take out and puts in the bodies that they change.
pub(super) fn through_hooks(
    plan: &Plan,
    hooks: &Arc<HookChain>,
    read: &ReadOutcome,
) -> Result<ReadOutcome, Rejection> {
    let delivery = Delivery { group: &plan.group.name, topic: &plan.topic.name, queue: plan.queue };
    let slices = allowed(Caller { cx: &plan.cx, hooks }, &delivery, &read.slices)?;
    let status = if slices.is_empty() { ReadStatus::NoMatch } else { read.status };
    let (count, bytes) = (slices.len(), slices.iter().map(Bytes::len).sum());
    let &ReadOutcome { next, min, max, behind, .. } = read;
    Ok(ReadOutcome { status, next, min, max, slices, count, bytes, behind })
}

/// A record that was asked for by its place or key, as the hooks let it out; `group` is empty if
/// it is for no consumer. `None` if they do not.
pub(crate) fn looked_up(caller: Caller<'_>, group: &str, record: Bytes) -> Option<Bytes> {
    if !caller.hooks.has(Point::BeforeDeliver) {
        return Some(record);
    }
    let view = View::parse(&record).ok()?;
    let delivery = Delivery { group, topic: view.topic, queue: view.queue };
    // What is refused is not there for whoever asks: a lookup has no other way to say it.
    allowed(caller, &delivery, std::slice::from_ref(&record)).ok()?.pop()
}

/// The records of `slices` that the hooks let out, one slice each; a refusal if they refuse it all.
fn allowed(
    caller: Caller<'_>,
    delivery: &Delivery<'_>,
    slices: &[Bytes],
) -> Result<Vec<Bytes>, Rejection> {
    let views: Vec<(Bytes, View<'_>)> = slices
        .iter()
        .flat_map(|slice| {
            records(slice).map_while(Result::ok).map(|v| (slice.slice_ref(v.bytes), v))
        })
        .collect();
    let mut messages: Vec<Outbound<'_>> = views
        .iter()
        .map(|(_, view)| Outbound {
            queue_offset: view.queue_offset,
            properties: view.properties,
            stored_body: view.body,
            body: None,
            keep: true,
        })
        .collect();
    if let Verdict::Reject(rejection) =
        caller.hooks.before_deliver(caller.cx, delivery, &mut messages)
    {
        return Err(rejection);
    }

    let mut slices = Vec::with_capacity(messages.len());
    for (message, (stored, view)) in messages.iter().zip(&views) {
        match &message.body {
            _ if !message.keep => {}
            None => slices.push(stored.clone()),
            // A body that no longer fits a record cannot travel: the message is left out.
            Some(body) => slices.extend(with_body(view, body)),
        }
    }
    Ok(slices)
}

/// The same record with another body: what a consumer sees is complete and its checksum is right.
fn with_body(view: &View<'_>, body: &[u8]) -> Option<Bytes> {
    let draft = Draft {
        topic: view.topic,
        queue: view.queue,
        flag: view.flag,
        sys_flag: view.sys_flag,
        born_timestamp: view.born_timestamp,
        born_host: view.born_host,
        store_host: view.store_host,
        reconsume_times: view.reconsume_times,
        prepared_offset: view.prepared_offset,
        body,
        properties: view.properties,
        wait: true,
    };
    let mut record = Vec::new();
    blockhouse_record::encode(&draft, &mut record).ok()?;
    let stamp = Stamp {
        queue_offset: view.queue_offset,
        physical_offset: view.physical_offset,
        store_timestamp: view.store_timestamp,
    };
    blockhouse_record::stamp(&mut record, stamp);
    Some(Bytes::from(record))
}
