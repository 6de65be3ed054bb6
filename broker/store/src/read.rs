//! Reading a queue.

use std::sync::Arc;

use blockhouse_model::{PhysicalOffset, QueueId, QueueOffset, Topic};
use bytes::Bytes;

/// Whether a read may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColdRead {
    /// Answer [`ReadStatus::WouldBlock`] instead of waiting.
    Refuse,
    /// Wait. For the blocking pool.
    Allow,
}

/// What is going to be done with the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// They go to a socket as they are. Slices of at least [`LENT_MIN`](crate::LENT_MIN) bytes may
    /// be lent from a map of the file: should the kernel take their pages back meanwhile and the disk
    /// fail to give them again, the socket says so.
    Send,
    /// The process looks at them, which in that case would kill it: they are copied.
    Look,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue: QueueId,
    /// The first offset wanted.
    pub from: QueueOffset,
    /// At most this many messages.
    pub max_messages: usize,
    /// At most this many bytes, but always one message.
    pub max_bytes: usize,
    /// Whether to wait for the disk.
    pub cold: ColdRead,
    /// What the records are for.
    pub purpose: Purpose,
}

/// Which messages a reader wants. A closure over tags codes is one.
pub trait Accept {
    /// Whether the message may be wanted, going by its tags code.
    fn entry(&mut self, tags_code: i64) -> bool;

    /// Whether [`Accept::record`] must be asked as well.
    fn looks_inside(&self) -> bool {
        false
    }

    /// Whether it must be of this message, which lies at `at` in the log. Asked for each that may be wanted; a
    /// record that is looked at is copied, and checked whole.
    fn looks_at(&mut self, at: PhysicalOffset) -> bool {
        let _: PhysicalOffset = at;
        self.looks_inside()
    }

    /// Whether the message is wanted, going by its record.
    fn record(&mut self, record: &[u8]) -> bool {
        let _: &[u8] = record;
        true
    }
}

impl<F: FnMut(i64) -> bool> Accept for F {
    fn entry(&mut self, tags_code: i64) -> bool {
        self(tags_code)
    }
}

/// How a read went, in RocketMQ's terms (`GetMessageStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadStatus {
    /// Messages.
    Found,
    /// Entries were looked at, none was wanted.
    NoMatch,
    /// The bytes are not in memory; ask again with [`ColdRead::Allow`].
    WouldBlock,
    /// The log no longer has what the entries point to.
    MessageWasRemoving,
    /// There are no entries where the queue says that there are.
    OffsetFoundNull,
    /// The disk did not give what is there: to be asked for again.
    Failed,
    /// The offset is the queue's end.
    OffsetOverflowOne,
    /// The offset is past the queue's end.
    OffsetOverflowBadly,
    /// The offset is before the queue's beginning.
    OffsetTooSmall,
    /// The store has never seen the queue.
    NoSuchQueue,
    /// The queue never had a message.
    NoMessages,
}

/// What a read gave.
#[derive(Clone, Debug)]
pub struct ReadOutcome {
    /// How it went.
    pub status: ReadStatus,
    /// Where to go on reading.
    pub next: QueueOffset,
    /// The queue's first offset.
    pub min: QueueOffset,
    /// The queue's end: the offset its next message will have.
    pub max: QueueOffset,
    /// Whole records; messages that lie together in the log come as one slice.
    pub slices: Vec<Bytes>,
    /// How many messages are in `slices`.
    pub count: usize,
    /// How many bytes are in `slices`.
    pub bytes: usize,
    /// How far the last entry looked at lies behind the log's end, in bytes.
    pub behind: u64,
}

/// Which side of a moment to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// The first message at or after it.
    Lower,
    /// The last message at or before it.
    Upper,
}

/// Messages found by key, in the order of the log.
#[derive(Clone, Debug)]
pub struct QueryOutcome {
    /// Whole records, one slice each.
    pub records: Vec<Bytes>,
    /// When the newest indexed message was stored; 0 if none is.
    pub index_last_update_timestamp: i64,
    /// Where the newest indexed message lies; 0 if none is.
    pub index_last_update_offset: u64,
}

/// A queue and its bounds.
#[derive(Clone, Debug)]
pub struct QueueBounds {
    /// The topic.
    pub topic: Topic,
    /// The queue.
    pub queue: QueueId,
    /// The first offset.
    pub min: QueueOffset,
    /// The end.
    pub max: QueueOffset,
}

/// Told of new messages. Called on the thread that made them visible: be quick, do not call back
/// into the store's append.
pub trait QueueListener: Send + Sync {
    /// The queue now ends at `max`; the newest message has `tags_code`.
    fn advanced(&self, topic: &Topic, queue: QueueId, max: QueueOffset, tags_code: i64);
}

/// A listener that does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoListener;

impl QueueListener for NoListener {
    fn advanced(&self, _: &Topic, _: QueueId, _: QueueOffset, _: i64) {}
}

impl<L: QueueListener + ?Sized> QueueListener for Arc<L> {
    fn advanced(&self, topic: &Topic, queue: QueueId, max: QueueOffset, tags_code: i64) {
        (**self).advanced(topic, queue, max, tags_code);
    }
}
