//! Messages that have been stored.

use std::ops::Deref;

use crate::bindings::after_append as raw;
use crate::message::{Message, bare};

/// Stored messages of one burst, all of one topic. Their bodies are not shown.
pub struct Appended<'a>(&'a raw::Appended);

impl<'a> Appended<'a> {
    pub(crate) fn new(raw: &'a raw::Appended) -> Self {
        Self(raw)
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        &self.0.topic
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.queues.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.queues.is_empty()
    }

    /// The messages in order.
    pub fn iter(&self) -> impl Iterator<Item = StoredMessage<'a>> + use<'a> {
        let columns = self.0;
        let places = columns.queues.iter().zip(&columns.queue_offsets).zip(&columns.log_offsets);
        bare(&columns.property_ends, &columns.properties, &columns.body_sizes).zip(places).map(
            |(message, ((queue, queue_offset), log_offset))| StoredMessage {
                message,
                queue: *queue,
                queue_offset: *queue_offset,
                log_offset: *log_offset,
            },
        )
    }
}

/// A message that has been stored.
#[derive(Clone, Copy)]
pub struct StoredMessage<'a> {
    message: Message<'a>,
    /// The queue.
    pub queue: u32,
    /// The place in the queue.
    pub queue_offset: u64,
    /// The place in the log in bytes.
    pub log_offset: u64,
}

impl<'a> Deref for StoredMessage<'a> {
    type Target = Message<'a>;

    fn deref(&self) -> &Message<'a> {
        &self.message
    }
}
