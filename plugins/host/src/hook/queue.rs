//! What is told after the fact: copied out of the request and told from a queue.

use std::sync::Arc;

use blockhouse_hook::{Ack, Appended};
use blockhouse_model::RequestContext;

use super::{context, convert, exported};
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
        let (messages, topic, group) = match self {
            Self::Appended(_, stored) => (stored.queues.len(), &*stored.topic, ""),
            Self::Ack(_, progress) => (1, &*progress.topic, &*progress.group),
        };
        plugin.note(&begun, self.interface(), messages, |call| {
            call.about(topic, group);
            if let Err(failure) = &told {
                call.failed(failure);
            }
        });
    }
}
