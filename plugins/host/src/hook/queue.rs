//! What is told after the fact: copied out of the request and told from a queue.

use std::sync::Arc;

use blockhouse_hook::{Ack, Appended};
use blockhouse_model::RequestContext;

use super::{CALL_BYTES, context, convert, exported};
use crate::Failure;
use crate::contract::exported::{ack as ack_wit, after_append as append_wit};
use crate::interface::Interface;
use crate::plugin::Plugin;

/// Something that happened.
pub(crate) enum Event {
    /// Messages of one topic were stored.
    Appended(RequestContext, Box<Stored>),
    /// Progress was committed.
    Ack(RequestContext, Box<Progress>),
}

/// Stored messages, in columns.
#[derive(Default)]
pub(crate) struct Stored {
    topic: String,
    queues: Vec<u32>,
    queue_offsets: Vec<u64>,
    log_offsets: Vec<u64>,
    body_sizes: Vec<u32>,
    property_ends: Vec<u32>,
    properties: Vec<u8>,
}

/// Progress of a consumer.
pub(crate) struct Progress {
    group: String,
    topic: String,
    queue: u32,
    offset: u64,
}

/// How many messages from the first on go into one call.
pub(super) fn run(messages: &[Appended<'_>], batch_max: usize) -> usize {
    let mut bytes = 0;
    let more = messages.iter().take(batch_max).take_while(|message| {
        bytes += message.properties.len();
        bytes <= CALL_BYTES
    });
    more.count().max(1)
}

impl Event {
    pub(super) fn appended(cx: &RequestContext, run: &[Appended<'_>]) -> Self {
        let mut stored = Box::new(Stored::default());
        for message in run {
            if stored.topic.is_empty() {
                message.topic.clone_into(&mut stored.topic);
            }
            stored.queues.push(message.queue.0);
            stored.queue_offsets.push(message.queue_offset.0);
            stored.log_offsets.push(message.id.offset.0);
            stored.body_sizes.push(u32::try_from(message.body_len).unwrap_or(u32::MAX));
            stored.properties.extend_from_slice(message.properties.as_bytes());
            stored.property_ends.push(u32::try_from(stored.properties.len()).unwrap_or(u32::MAX));
        }
        Self::Appended(cx.clone(), stored)
    }

    pub(super) fn ack(cx: &RequestContext, ack: &Ack<'_>) -> Self {
        let progress = Progress {
            group: ack.group.to_owned(),
            topic: ack.topic.to_owned(),
            queue: ack.queue.0,
            offset: ack.offset.0,
        };
        Self::Ack(cx.clone(), Box::new(progress))
    }

    /// The hook that it is for.
    pub(crate) const fn interface(&self) -> Interface {
        match self {
            Self::Appended(..) => Interface::AfterAppend,
            Self::Ack(..) => Interface::Ack,
        }
    }

    /// Messages that it tells of, or requests where there are none.
    pub(crate) const fn messages(&self) -> usize {
        match self {
            Self::Appended(_, stored) => stored.queues.len(),
            Self::Ack(..) => 1,
        }
    }

    /// Bytes that it takes while it waits. What it shares with others is not counted.
    pub(crate) fn size(&self) -> usize {
        /// Numbers that are kept of a message.
        const NUMBERS: usize = 3 * size_of::<u32>() + 2 * size_of::<u64>();
        let own = match self {
            Self::Appended(_, stored) => {
                let numbers = stored.queues.len() * NUMBERS;
                size_of::<Stored>() + stored.topic.len() + stored.properties.len() + numbers
            }
            Self::Ack(_, progress) => {
                size_of::<Progress>() + progress.group.len() + progress.topic.len()
            }
        };
        size_of::<Self>() + own
    }

    /// Tells the plugin. A failure has been counted and changes nothing.
    pub(crate) fn tell(&self, plugin: &Arc<Plugin>) {
        let wants = plugin.wants();
        let (Self::Appended(cx, _) | Self::Ack(cx, _)) = self;
        let traced = plugin.traced(cx);
        let told = match self {
            Self::Appended(cx, stored) => {
                plugin.call(Interface::AfterAppend, stored.queues.len(), |guest, deadline| {
                    let exports = exported(guest.exports.after_append.as_ref())?;
                    let told = append_wit::Appended {
                        topic: &stored.topic,
                        queues: &stored.queues,
                        queue_offsets: &stored.queue_offsets,
                        log_offsets: &stored.log_offsets,
                        body_sizes: &stored.body_sizes,
                        property_ends: &stored.property_ends,
                        properties: &stored.properties,
                    };
                    let one = match (&*stored.queues, str::from_utf8(&stored.properties)) {
                        ([_], Ok(properties)) => Some(properties),
                        _ => None,
                    };
                    let cx = convert::of_message(cx, deadline, wants, one);
                    exports
                        .call_after_append(&mut guest.store, cx, told)
                        .map_err(|e| Failure::of(&e))
                })
            }
            Self::Ack(cx, progress) => plugin.call(Interface::Ack, 1, |guest, deadline| {
                let exports = exported(guest.exports.ack.as_ref())?;
                let told = ack_wit::Progress {
                    group: &progress.group,
                    topic: &progress.topic,
                    queue: progress.queue,
                    offset: progress.offset,
                };
                let cx = context(cx, deadline, wants);
                exports.call_ack(&mut guest.store, cx, told).map_err(|e| Failure::of(&e))
            }),
        };
        let Some(begun) = traced else { return };
        let (topic, group) = match self {
            Self::Appended(_, stored) => (&*stored.topic, ""),
            Self::Ack(_, progress) => (&*progress.topic, &*progress.group),
        };
        plugin.note(&begun, self.interface(), self.messages(), |call| {
            call.about(topic, group);
            if let Err(failure) = &told {
                call.failed(failure);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_model::{MessageId, PhysicalOffset, QueueId, QueueOffset};

    use super::*;

    fn appended(properties: &str) -> Appended<'_> {
        let id = MessageId { host: ([127, 0, 0, 1], 1).into(), offset: PhysicalOffset(0) };
        let (queue, queue_offset) = (QueueId(0), QueueOffset(0));
        Appended { topic: "orders", queue, queue_offset, id, body_len: 1, properties }
    }

    #[test]
    fn a_call_has_not_too_many_messages_or_bytes() {
        let small: Vec<_> = (0..5).map(|_| appended("")).collect();
        assert_eq!([run(&small, 3), run(&small, 32), run(&small, 0)], [3, 5, 1]);
        let text = "x".repeat(CALL_BYTES / 2);
        let large: Vec<_> = (0..5).map(|_| appended(&text)).collect();
        assert_eq!(run(&large, 32), 2);
        let larger = "x".repeat(CALL_BYTES + 1);
        assert_eq!(run(&[appended(&larger), appended("")], 32), 1, "a larger one goes alone");
    }
}
