//! Messages before they are stored.

use std::ops::Deref;

use crate::Rejection;
use crate::bindings::before_send as raw;
use crate::message::{Bodies, Lender, Message, messages};

/// Messages of one burst, all of one topic and one producer group.
pub struct Drafts<'a> {
    raw: &'a raw::Drafts,
    bodies: Bodies<'a>,
}

impl<'a> Drafts<'a> {
    pub(crate) fn new(raw: &'a raw::Drafts, lent: Option<&'a dyn Lender>) -> Self {
        Self { raw, bodies: Bodies::of(&raw.bodies, lent) }
    }

    /// The topic they are sent to.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        &self.raw.topic
    }

    /// The producer's group.
    #[must_use]
    pub fn producer_group(&self) -> &'a str {
        &self.raw.producer_group
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.queues.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.queues.is_empty()
    }

    /// The messages in order.
    pub fn iter(&self) -> impl Iterator<Item = Draft<'a>> + use<'a> {
        messages(&self.raw.ends, &self.raw.properties, self.bodies)
            .zip(&self.raw.queues)
            .map(|(message, queue)| Draft { message, queue: u32::try_from(*queue).ok() })
    }
}

/// A message before it is stored.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    message: Message<'a>,
    queue: Option<u32>,
}

impl Draft<'_> {
    /// The queue the client asked for; `None` when the broker picks.
    #[must_use]
    pub fn queue(&self) -> Option<u32> {
        self.queue
    }
}

impl<'a> Deref for Draft<'a> {
    type Target = Message<'a>;

    fn deref(&self) -> &Message<'a> {
        &self.message
    }
}

/// The answer of a before-send hook. What is not changed is stored as it is.
#[derive(Debug, Default)]
pub struct Changes(Vec<raw::Change>);

impl Changes {
    /// Refuses the message; the producer is told.
    pub fn reject(&mut self, message: u32, rejection: Rejection) {
        self.of(message).decision = raw::Decision::Reject(rejection);
    }

    /// Does not store the message; the producer is answered as if it was (queue offset -1).
    pub fn drop_message(&mut self, message: u32) {
        self.of(message).decision = raw::Decision::Drop;
    }

    /// Stores the message in another topic, after that is authorized too.
    pub fn reroute(&mut self, message: u32, topic: impl Into<String>) {
        self.of(message).decision = raw::Decision::Reroute(topic.into());
    }

    /// Stores another body.
    pub fn set_body(&mut self, message: u32, body: impl Into<Vec<u8>>) {
        self.of(message).body = Some(body.into());
    }

    /// Puts a property in place of all former ones of that name. Neither name nor value may be
    /// empty or have the bytes 1 and 2 in it.
    pub fn set_property(
        &mut self,
        message: u32,
        name: impl Into<String>,
        value: impl Into<String>,
    ) {
        let property = raw::Property { name: name.into(), value: value.into() };
        self.of(message).properties.push(raw::PropertyEdit::Set(property));
    }

    /// Takes all properties of that name out.
    pub fn delete_property(&mut self, message: u32, name: impl Into<String>) {
        self.of(message).properties.push(raw::PropertyEdit::Delete(name.into()));
    }

    /// The changes as the contract has them, to add what this type has no word for.
    pub fn as_raw(&mut self) -> &mut Vec<raw::Change> {
        &mut self.0
    }

    pub(crate) fn into_raw(self) -> Vec<raw::Change> {
        self.0
    }

    /// The one change of a message. Hooks go through a batch in order, so that the last one is
    /// nearly always it.
    fn of(&mut self, message: u32) -> &mut raw::Change {
        let found = self.0.iter().rposition(|change| change.message <= message);
        let place = match found {
            Some(place) if self.0[place].message == message => return &mut self.0[place],
            Some(place) => place + 1,
            None => 0,
        };
        let decision = raw::Decision::Admit;
        let change = raw::Change { message, decision, body: None, properties: Vec::new() };
        self.0.insert(place, change);
        &mut self.0[place]
    }
}
