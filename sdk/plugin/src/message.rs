//! One message of a batch: a view into the columns, without a copy.

use std::borrow::Cow;

use crate::bindings::imports::blockhouse::plugin::message_bodies::LentBodies;

/// Reads bodies that stay with the host.
pub(crate) trait Lender {
    fn read(&self, message: u32, offset: u32, length_max: u32) -> Vec<u8>;
}

impl Lender for LentBodies {
    fn read(&self, message: u32, offset: u32, length_max: u32) -> Vec<u8> {
        Self::read(self, message, offset, length_max)
    }
}

/// Where a batch's bodies are.
#[derive(Clone, Copy)]
pub(crate) enum Bodies<'a> {
    None,
    Flat(&'a [u8]),
    Lent(&'a dyn Lender),
}

impl<'a> Bodies<'a> {
    /// What the host gave for one batch. Flat bodies that are all empty look like none, and are.
    pub(crate) fn of(flat: &'a [u8], lent: Option<&'a dyn Lender>) -> Self {
        match lent {
            Some(lender) => Self::Lent(lender),
            None if flat.is_empty() => Self::None,
            None => Self::Flat(flat),
        }
    }
}

/// A message of a batch.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    index: u32,
    properties: &'a [u8],
    start: u32,
    size: u32,
    bodies: Bodies<'a>,
}

impl<'a> Message<'a> {
    /// Its index in the batch, by which answers name it.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The property of that name; the last one, should there be several, as for every reader of
    /// RocketMQ.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'a str> {
        self.properties().filter(|(found, _)| *found == name).last().map(|(_, value)| value)
    }

    /// Names and values of all properties.
    #[must_use]
    pub fn properties(&self) -> Properties<'a> {
        Properties(self.properties)
    }

    /// The message's tag: RocketMQ's property `TAGS`.
    #[must_use]
    pub fn tag(&self) -> Option<&'a str> {
        self.property("TAGS")
    }

    /// The body's size in bytes, whether it is shown or not.
    #[must_use]
    pub fn body_size(&self) -> u32 {
        self.size
    }

    /// The body. Empty if the plugin asked for none ([`crate::Wants`]) or has no grant for them.
    /// Lent bodies are copied from the host by each call.
    #[must_use]
    pub fn body(&self) -> Cow<'a, [u8]> {
        match self.bodies {
            Bodies::None => Cow::Borrowed(&[]),
            Bodies::Flat(all) => Cow::Borrowed(cut(all, self.start, self.start + self.size)),
            Bodies::Lent(lender) => Cow::Owned(lender.read(self.index, 0, self.size)),
        }
    }

    /// At most `length_max` bytes of the body from byte `offset` on; the way to look at the start
    /// of a lent body without copying the rest.
    #[must_use]
    pub fn body_part(&self, offset: u32, length_max: u32) -> Cow<'a, [u8]> {
        let start = self.start.saturating_add(offset.min(self.size));
        let end = start.saturating_add(length_max).min(self.start + self.size);
        match self.bodies {
            Bodies::None => Cow::Borrowed(&[]),
            Bodies::Flat(all) => Cow::Borrowed(cut(all, start, end)),
            Bodies::Lent(lender) => Cow::Owned(lender.read(self.index, offset, length_max)),
        }
    }

    /// A message that is about no body of the host's.
    pub(crate) fn bare(index: u32, properties: &'a [u8], size: u32) -> Self {
        Self { index, properties, start: 0, size, bodies: Bodies::None }
    }

    /// A message whose body, if it is lent, is lent under `index`.
    pub(crate) fn lent(self, lender: Option<&'a dyn Lender>) -> Self {
        Self { bodies: Bodies::of(&[], lender), ..self }
    }
}

fn cut(all: &[u8], start: u32, end: u32) -> &[u8] {
    all.get(start as usize..end as usize).unwrap_or_default()
}

/// The messages of a batch whose column `ends` has two places for each.
pub(crate) fn messages<'a>(
    ends: &'a [u32],
    properties: &'a [u8],
    bodies: Bodies<'a>,
) -> impl Iterator<Item = Message<'a>> {
    let (mut property, mut start) = (0, 0);
    ends.as_chunks().0.iter().zip(0..).map(move |([property_end, end], index)| {
        let message = Message {
            index,
            properties: cut(properties, property, *property_end),
            start,
            size: end.saturating_sub(start),
            bodies,
        };
        (property, start) = (*property_end, *end);
        message
    })
}

/// The messages of a batch whose bodies are not there, with a column of ends and one of sizes.
pub(crate) fn bare<'a>(
    ends: &'a [u32],
    properties: &'a [u8],
    sizes: &'a [u32],
) -> impl Iterator<Item = Message<'a>> {
    let mut start = 0;
    ends.iter().zip(sizes).zip(0..).map(move |((end, size), index)| {
        let text = cut(properties, start, *end);
        start = *end;
        Message::bare(index, text, *size)
    })
}

/// Names and values of a property text. Pairs that RocketMQ's own readers drop (empty name or value,
/// no separator, not UTF-8) are passed over.
#[derive(Clone, Copy, Debug)]
pub struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    /// The properties in a text (`name \x01 value \x02` ...).
    #[must_use]
    pub fn of(text: &'a [u8]) -> Self {
        Self(text)
    }
}

impl<'a> Iterator for Properties<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            let (pair, rest) = split(self.0, 2).unwrap_or((self.0, &[]));
            self.0 = rest;
            let Some((name, value)) = split(pair, 1) else { continue };
            if name.is_empty() || value.is_empty() {
                continue;
            }
            if let (Ok(name), Ok(value)) = (str::from_utf8(name), str::from_utf8(value)) {
                return Some((name, value));
            }
        }
        None
    }
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|byte| *byte == at)?;
    let (before, rest) = text.split_at(place);
    Some((before, rest.get(1..).unwrap_or_default()))
}
