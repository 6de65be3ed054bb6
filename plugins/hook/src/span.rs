//! Spans that the node recorded, before they are exported.

use std::net::SocketAddr;

use blockhouse_model::{Principal, TraceParent};
use bytes::Bytes;

/// Attributes that hooks may add to one span.
pub const ADDED_MAX: usize = 16;
/// Bytes of an attribute's name.
pub const NAME_MAX: usize = 128;
/// Bytes of an attribute's value.
pub const VALUE_MAX: usize = 1_024;

/// A name and a value on a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A span that has ended. Hooks add attributes by [`SpanRecord::add`], which keeps the bounds.
#[derive(Clone, Debug)]
pub struct SpanRecord {
    /// What was done, for example `send orders`.
    pub name: String,
    /// Its trace and its own span id.
    pub id: TraceParent,
    /// The span id of its parent; 0 without one.
    pub parent_span_id: u64,
    /// When it began, in nanoseconds since 1970-01-01 UTC.
    pub start_ns: u64,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// Whether it ended in an error.
    pub failed: bool,
    /// Who asked.
    pub principal: Principal,
    /// From where.
    pub peer: SocketAddr,
    /// The property text of the message it is about; empty if it is about none or several.
    pub properties: String,
    /// That message's body, as far as it is still in memory.
    pub body: Bytes,
    attributes: Vec<Attribute>,
    /// How many of the attributes are the node's own: the first ones.
    own: usize,
    dropped: u32,
}

impl SpanRecord {
    /// A span with the node's own attributes, to be filled in.
    #[must_use]
    pub fn new(name: String, id: TraceParent, peer: SocketAddr, own: Vec<Attribute>) -> Self {
        Self {
            name,
            id,
            parent_span_id: 0,
            start_ns: 0,
            duration_ns: 0,
            failed: false,
            principal: Principal::Anonymous,
            peer,
            properties: String::new(),
            body: Bytes::new(),
            own: own.len(),
            attributes: own,
            dropped: 0,
        }
    }

    /// All attributes: the node's own, then what was added, in order.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// How many additions were dropped.
    #[must_use]
    pub const fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Adds an attribute. One that is there already stands, and what is over a bound is dropped and
    /// counted. Gives whether it was added.
    pub fn add(&mut self, name: String, value: String) -> bool {
        let is_legal = (1..=NAME_MAX).contains(&name.len())
            && value.len() <= VALUE_MAX
            && !name.contains(char::is_control)
            && !value.contains(char::is_control);
        let is_there = self.attributes.iter().any(|other| other.name == name);
        let is_full = self.attributes.len() - self.own >= ADDED_MAX;
        if !is_legal || is_there || is_full {
            self.dropped = self.dropped.saturating_add(1);
            return false;
        }
        self.attributes.push(Attribute { name, value });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span() -> SpanRecord {
        let id = TraceParent { trace_id: 1, span_id: 2, sampled: true };
        let own = vec![Attribute { name: "topic".to_owned(), value: "orders".to_owned() }];
        SpanRecord::new("send orders".to_owned(), id, ([127, 0, 0, 1], 1).into(), own)
    }

    #[test]
    fn what_is_there_stands() {
        let mut span = span();
        assert!(!span.add("topic".to_owned(), "bills".to_owned()), "the node's own");
        assert!(span.add("tenant".to_owned(), "a".to_owned()));
        assert!(!span.add("tenant".to_owned(), "b".to_owned()), "the first one stands");
        let values: Vec<&str> = span.attributes().iter().map(|a| a.value.as_str()).collect();
        assert_eq!((values, span.dropped()), (vec!["orders", "a"], 2));
    }

    #[test]
    fn bounds_are_kept() {
        let mut span = span();
        for (name, value) in [
            (String::new(), "v".to_owned()),
            ("n".repeat(NAME_MAX + 1), "v".to_owned()),
            ("n".to_owned(), "v".repeat(VALUE_MAX + 1)),
            ("a\nb".to_owned(), "v".to_owned()),
            ("n".to_owned(), "a\u{1}b".to_owned()),
        ] {
            assert!(!span.add(name, value));
        }
        let added = (0..20).filter(|n| span.add(format!("n{n}"), "v".to_owned())).count();
        assert_eq!((added, span.dropped()), (ADDED_MAX, 5 + 4));
    }
}
