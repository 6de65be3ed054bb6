//! `blockhouse/queues`: the bounds of every queue at a checkpoint, so that a restart searches no queue's
//! files and lists no directories.

use std::sync::Arc;

use blockhouse_model::{QueueId, Topic, names};

use crate::queue::{Queue, UNIT_LEN};
use crate::queues::{Queues, is_directory_name};

const MAGIC: u32 = 0x4248_5154;
const VERSION: u32 = 1;
const CRC_LEN: usize = 4;

/// What the bounds in a table are true for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// All entries of records before this are counted; later ones may be.
    pub(crate) applied: u64,
    /// No queue begins before its first record from here on.
    pub(crate) log_min: u64,
    /// Entries per file.
    pub(crate) per_file: u64,
}

/// A table as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    /// Its checksum, which binds a checkpoint to it.
    pub(crate) crc: u32,
}

/// One queue's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    id: u32,
    min: u64,
    max: u64,
    oldest: u64,
}

/// A table that was read: for each topic its queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueTable {
    pub(crate) scope: Scope,
    topics: Vec<(Topic, Vec<Row>)>,
}

impl Row {
    /// Only entries that are in files count.
    fn of(queue: &Queue) -> Self {
        // In this order: the beginning may move meanwhile, and is clamped.
        let (oldest, min) = (queue.oldest(), queue.min());
        let max = queue.in_files();
        Self { id: queue.id.0, min: min.min(max), max, oldest }
    }
}

/// The bounds of all queues that ever had an entry in a file.
pub(crate) fn encode(queues: &Queues, scope: Scope) -> Encoded {
    let list = queues.list(None);
    let mut bytes = Vec::with_capacity(64 + list.len() * 40);
    bytes.extend_from_slice(&MAGIC.to_be_bytes());
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    for field in [scope.applied, scope.log_min, scope.per_file] {
        bytes.extend_from_slice(&field.to_be_bytes());
    }
    // The list has the queues of a topic side by side.
    for of_topic in list.chunk_by(|a, b| a.topic == b.topic) {
        put_topic(of_topic, &mut bytes);
    }
    let crc = blockhouse_record::draft::body_crc(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    Encoded { bytes, crc }
}

fn put_topic(queues: &[Arc<Queue>], bytes: &mut Vec<u8>) {
    let rows: Vec<_> =
        queues.iter().map(|queue| Row::of(queue)).filter(|row| row.max > 0).collect();
    let (Some(first), false) = (queues.first(), rows.is_empty()) else { return };
    let name = first.topic.as_str().as_bytes();
    // Names are shorter than this, and a topic has fewer queues.
    bytes.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&u32::try_from(rows.len()).unwrap_or(u32::MAX).to_be_bytes());
    for row in rows {
        bytes.extend_from_slice(&row.id.to_be_bytes());
        for field in [row.min, row.max, row.oldest] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
    }
}

/// Reads numbers and names.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.first_chunk().copied()
    }

    fn narrow(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn wide(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn name(&mut self) -> Option<&'a str> {
        let len = self.array().map(u16::from_be_bytes)?;
        std::str::from_utf8(self.bytes(len.into())?).ok().filter(|name| is_directory_name(name))
    }

    fn row(&mut self) -> Option<Row> {
        let (id, min, max) = (self.narrow()?, self.wide()?, self.wide()?);
        let is_possible = i32::try_from(id).is_ok()
            && min <= max
            && max <= i64::MAX.cast_unsigned() / UNIT_LEN as u64;
        is_possible.then_some(Row { id, min, max, oldest: self.wide()? })
    }

    fn topic(&mut self) -> Option<(Topic, Vec<Row>)> {
        let topic = Topic::trusted(self.name()?);
        let count = self.narrow()?;
        // Grows with what is there, whatever the count says.
        let mut rows = Vec::new();
        for _ in 0..count {
            rows.push(self.row()?);
        }
        Some((topic, rows))
    }
}

impl QueueTable {
    /// `None` unless it is whole and has this checksum.
    pub(crate) fn decode(bytes: &[u8], crc: u32) -> Option<Self> {
        let (body, found) = bytes.split_at_checked(bytes.len().checked_sub(CRC_LEN)?)?;
        let is_whole =
            found == crc.to_be_bytes() && crc == blockhouse_record::draft::body_crc(body);
        is_whole.then_some(())?;
        let mut fields = Fields(body);
        let is_ours = fields.narrow()? == MAGIC && fields.narrow()? == VERSION;
        is_ours.then_some(())?;
        let scope =
            Scope { applied: fields.wide()?, log_min: fields.wide()?, per_file: fields.wide()? };
        let mut topics = Vec::new();
        while !fields.0.is_empty() {
            topics.push(fields.topic()?);
        }
        Some(Self { scope, topics })
    }

    /// Whether every topic in it still has its directory: RocketMQ may have deleted some.
    pub(crate) fn is_there(&self, queues: &Queues) -> bool {
        self.topics.iter().all(|(topic, _)| queues.files.has_topic(topic.as_str()))
    }

    /// Its queues, by topic and id.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, u32)> {
        self.topics
            .iter()
            .flat_map(|(topic, rows)| rows.iter().map(move |row| (topic.as_str(), row.id)))
    }

    /// Makes its queues.
    pub(crate) fn load(self, queues: &Queues) {
        for (topic, rows) in self.topics {
            for row in rows {
                let queue = queues.add(topic.as_str(), QueueId(row.id), (row.min, row.max));
                queue.raise_oldest(row.oldest);
            }
        }
    }
}

const _: () = assert!(names::STORED_TOPIC_LEN_MAX <= u16::MAX as usize);
