//! Progress ahead of the messages: a power cut took the log's end and left what was saved of it, or
//! a queue is gone as a whole. Messages to come would fill the gap, and be taken for done.

use std::fmt;

use blockhouse_model::{QueueId, QueueOffset};

/// Where a queue of a topic ends: the offset of its next message. `None` leaves progress in it as
/// it is.
pub type End<'a> = dyn Fn(&str, QueueId) -> Option<QueueOffset> + 'a;

/// One place that was ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ahead {
    /// The topic.
    pub topic: String,
    /// The group; `None` for the delivery of delayed messages.
    pub group: Option<String>,
    /// The queue.
    pub queue: QueueId,
    /// What was saved.
    pub from: QueueOffset,
    /// The queue's end.
    pub to: QueueOffset,
}

impl fmt::Display for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(group) = &self.group {
            write!(f, "group {group}, ")?;
        }
        let Self { topic, queue, from, to, .. } = self;
        write!(f, "topic {topic}, queue {queue}: from {from} to {to}")
    }
}

/// What was set back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetBack {
    /// How many places.
    pub count: usize,
    /// The first of them, by topic, group and queue.
    pub first: Option<Ahead>,
}

impl SetBack {
    /// Counts one. Its text is only made if it is the first so far: there may be millions.
    pub(crate) fn note(
        &mut self,
        (topic, group, queue): (&str, Option<&str>, QueueId),
        (from, to): (QueueOffset, QueueOffset),
    ) {
        self.count += 1;
        let is_before = |known: &Ahead| {
            (known.topic.as_str(), known.group.as_deref(), known.queue) <= (topic, group, queue)
        };
        if self.first.as_ref().is_some_and(is_before) {
            return;
        }
        let (topic, group) = (topic.to_owned(), group.map(str::to_owned));
        self.first = Some(Ahead { topic, group, queue, from, to });
    }
}
