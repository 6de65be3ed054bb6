//! Reads RocketMQ's own trace topic, for those who make spans of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use blockhouse_client::Received;
use blockhouse_core::Broker;
use blockhouse_model::{QueueId, QueueOffset, names};
use blockhouse_record::records;
use blockhouse_store::{ColdRead, Purpose, ReadRequest, ReadStatus, Store};

use super::Shared;

/// How often the topic is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Messages that wait to become spans.
const WAITING: usize = 64;
/// Their longest text: clients make them of up to 128,000 bytes. What is longer is passed over.
const TEXT_LEN_MAX: usize = 256 << 10;
/// Messages of one look at a queue.
const STEP: usize = 32;
/// And their bytes.
const STEP_BYTES: usize = 1 << 20;

/// Starts to read, from the topic's end on; what comes out are the messages' texts.
pub(super) fn start(shared: &Shared) -> Receiver<String> {
    let (bodies, waiting) = sync_channel(WAITING);
    let tasks = shared.tasks.child("trace-topic");
    let (publisher, mut shutdown) = (Arc::clone(&shared.publisher), tasks.shutdown());
    let blocking = tasks.clone();
    tasks.spawn("trace-topic", async move {
        let mut reader = Reader { bodies, next: None };
        while shutdown.wait(LOOK_EVERY).await {
            let Some(broker) = publisher.broker() else { continue };
            let look = blocking.spawn_blocking("trace-topic", move || {
                reader.look(&broker);
                reader
            });
            // A panic is logged by the group; nobody reads any further then.
            let Ok(back) = look.await else { return };
            reader = back;
        }
    });
    waiting
}

struct Reader {
    bodies: SyncSender<String>,
    /// Where to go on in each queue; none before the first look.
    next: Option<HashMap<QueueId, QueueOffset>>,
}

impl Reader {
    fn look(&mut self, broker: &Broker) {
        let store = broker.store();
        let queues = store.queues(Some(names::TRACE_TOPIC));
        let Some(next) = &mut self.next else {
            self.next = Some(queues.iter().map(|bounds| (bounds.queue, bounds.max)).collect());
            return;
        };
        for bounds in queues {
            let from = next.entry(bounds.queue).or_insert(bounds.min);
            while let Some(on) = step(store, bounds.queue, *from, &self.bodies) {
                *from = on;
            }
        }
    }
}

/// Hands on some messages: where to go on, if there may be more now.
fn step(
    store: &Store,
    queue: QueueId,
    from: QueueOffset,
    bodies: &SyncSender<String>,
) -> Option<QueueOffset> {
    let request = ReadRequest {
        topic: names::TRACE_TOPIC,
        queue,
        from,
        max_messages: STEP,
        max_bytes: STEP_BYTES,
        cold: ColdRead::Allow,
        purpose: Purpose::Look,
    };
    let read = store.read(&request, &mut |_: i64| true);
    match read.status {
        ReadStatus::Found => {}
        // The queue begins later now, or was made anew.
        ReadStatus::OffsetTooSmall | ReadStatus::OffsetOverflowBadly => return Some(read.next),
        ReadStatus::NoMatch | ReadStatus::MessageWasRemoving if read.next > from => {
            return Some(read.next);
        }
        _ => return None,
    }
    let mut at = from;
    for view in read.slices.iter().flat_map(|slice| records(slice).map_while(Result::ok)) {
        let body = Received::of(&view, "").body;
        let text = Some(&body).filter(|body| body.len() <= TEXT_LEN_MAX);
        let Some(Ok(text)) = text.map(|body| std::str::from_utf8(body)) else { continue };
        match bodies.try_send(text.to_owned()) {
            // What finds no room is read again.
            Err(TrySendError::Full(_)) => return (at > from).then_some(at),
            Err(TrySendError::Disconnected(_)) | Ok(()) => {
                at = QueueOffset(view.queue_offset.0 + 1);
            }
        }
    }
    Some(read.next)
}
