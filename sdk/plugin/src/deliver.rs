//! Messages on their way to a consumer.

use std::ops::Deref;

use crate::bindings::before_deliver as raw;
use crate::message::{Bodies, Lender, Message, messages};

/// Messages of one answer.
pub struct Outbound<'a> {
    raw: &'a raw::Outbound,
    bodies: Bodies<'a>,
}

impl<'a> Outbound<'a> {
    pub(crate) fn new(raw: &'a raw::Outbound, lent: Option<&'a dyn Lender>) -> Self {
        Self { raw, bodies: Bodies::of(&raw.bodies, lent) }
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.queue_offsets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.queue_offsets.is_empty()
    }

    /// The messages in order.
    pub fn iter(&self) -> impl Iterator<Item = Outgoing<'a>> + use<'a> {
        messages(&self.raw.ends, &self.raw.properties, self.bodies)
            .zip(&self.raw.queue_offsets)
            .map(|(message, offset)| Outgoing { message, queue_offset: *offset })
    }
}

/// A message on its way to a consumer.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    message: Message<'a>,
    queue_offset: u64,
}

impl Outgoing<'_> {
    /// Its place in the queue.
    #[must_use]
    pub fn queue_offset(&self) -> u64 {
        self.queue_offset
    }
}

impl<'a> Deref for Outgoing<'a> {
    type Target = Message<'a>;

    fn deref(&self) -> &Message<'a> {
        &self.message
    }
}

/// The answer of a before-deliver hook. What is not named is delivered as it is.
#[derive(Debug)]
pub struct Deliveries {
    count: usize,
    answer: raw::Answer,
}

impl Deliveries {
    pub(crate) fn all(count: usize) -> Self {
        Self { count, answer: raw::Answer { keep: Vec::new(), bodies: Vec::new() } }
    }

    /// Leaves the message out: it is passed over, as one that the consumer's filter does not match.
    pub fn hide(&mut self, message: u32) {
        if self.answer.keep.is_empty() {
            self.answer.keep.resize(self.count.div_ceil(8), u8::MAX);
        }
        if let Some(bits) = self.answer.keep.get_mut(message as usize / 8) {
            *bits &= !(1 << (message % 8));
        }
    }

    /// Delivers another body.
    pub fn set_body(&mut self, message: u32, body: impl Into<Vec<u8>>) {
        let body = body.into();
        match self.answer.bodies.iter_mut().find(|other| other.message == message) {
            Some(other) => other.body = body,
            None => self.answer.bodies.push(raw::Replacement { message, body }),
        }
    }

    /// The answer as the contract has it.
    pub fn as_raw(&mut self) -> &mut raw::Answer {
        &mut self.answer
    }

    pub(crate) fn into_raw(self) -> raw::Answer {
        self.answer
    }
}
