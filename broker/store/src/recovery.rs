//! From files to a running log: where it ends, and what queues and index still lack.

mod behind;
mod replay;
mod tails;

use std::sync::Arc;

use blockhouse_model::{QueueId, Timestamp};
use blockhouse_record::{Checked, View, check, layout, view};

use crate::Error;
use crate::checkpoint::{JavaCheckpoint, OwnCheckpoint};
use crate::queue::{Queue, Unit};
use crate::queue_files::IsThere;
use crate::queues::Queues;
use crate::segments::{Segment, Segments};
pub(crate) use replay::{Replay, ReplayTo};
pub(crate) use tails::lost_tails;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;
/// Most offsets in a row that a queue may lack: while it is read again they take room in memory.
const GAP_MAX: u64 = 1 << 22;

/// What is known of the last stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastStop {
    pub(crate) aborted: bool,
    pub(crate) java: JavaCheckpoint,
    pub(crate) own: Option<OwnCheckpoint>,
    /// Up to where the log was known to be on disk.
    pub(crate) flushed: Option<u64>,
}

/// Where to begin, by the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Queues and index are complete up to here; what follows is dispatched again.
    pub(crate) at: u64,
    /// When the last record before `at` was stored, if known.
    pub(crate) timestamp: Timestamp,
    /// Nothing can lie behind the log's end.
    pub(crate) clean: bool,
    /// Our own checkpoint says so.
    pub(crate) is_ours: bool,
    /// Where the last record before `at` begins, if known.
    pub(crate) last: Option<u64>,
}

/// The log as it was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where it ends.
    pub(crate) end: u64,
    /// When its last record was stored.
    pub(crate) last_timestamp: Timestamp,
    /// Where its last record begins, if known.
    pub(crate) last: Option<u64>,
    /// How many records were dispatched again.
    pub(crate) replayed: u64,
}

/// Reads a log from its files.
pub(crate) struct Recovery<'a> {
    pub(crate) segments: &'a Segments,
    pub(crate) last_stop: LastStop,
}

impl Recovery<'_> {
    /// Where to begin.
    pub(crate) fn start(&self) -> Result<Option<Start>, Error> {
        let Some(first) = self.segments.first() else { return Ok(None) };
        if let Some(own) = self.last_stop.own
            && own.applied >= first
            && own.applied <= self.segments.prepared()
            && self.is_true(own)?
        {
            let clean = own.clean && !self.last_stop.aborted && self.is_nothing(own.applied)?;
            let OwnCheckpoint { applied: at, timestamp, last, .. } = own;
            return Ok(Some(Start { at, timestamp, clean, is_ours: true, last }));
        }
        // RocketMQ's rule: the newest file whose first message is old enough. After a clean stop
        // everything is on disk, and the newest file with a message will do.
        let safe = self.last_stop.java.safe();
        let mut at = first;
        for segment in self.segments.all().iter().rev() {
            let Some(timestamp) = self.first_timestamp(segment)? else { continue };
            if !self.last_stop.aborted || timestamp <= safe {
                at = segment.base;
                break;
            }
        }
        Ok(Some(Start::at(at)))
    }

    /// Whether the log is the one that our checkpoint speaks of. A RocketMQ that worked on the
    /// directory in between may have made it untrue.
    fn is_true(&self, own: OwnCheckpoint) -> Result<bool, Error> {
        let Some((last, segment)) =
            own.last.and_then(|last| Some((last, self.segments.holding(last)?)))
        else {
            return self.is_boundary(own.applied);
        };
        let size = own.applied.saturating_sub(last);
        if size > self.segments.size - last % self.segments.size {
            return Ok(false);
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        segment
            .file
            .read_at(&mut bytes, last - segment.base)
            .map_err(Error::io("read", &self.segments.path(segment.base)))?;
        let whole = check(&bytes);
        Ok(matches!(whole, Ok(Checked::Message(record)) if record.bytes.len() as u64 == size))
    }

    fn head<const N: usize>(&self, at: u64) -> Result<[u8; N], Error> {
        let mut head = [0; N];
        if let Some(segment) = self.segments.holding(at) {
            let read = segment.file.read_at(&mut head, at - segment.base);
            read.map_err(Error::io("read", &self.segments.path(segment.base)))?;
        }
        Ok(head)
    }

    /// Whether the record of an entry is the one with that offset.
    pub(crate) fn is_there(&self, unit: Unit, offset: u64) -> Result<bool, Error> {
        let head = self.head::<36>(unit.physical)?;
        let wide = |at: usize| head[at..].first_chunk().map_or(0, |b| u64::from_be_bytes(*b));
        let size = head.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
        Ok(wide(layout::PHYSICAL_OFFSET) == unit.physical
            && wide(layout::QUEUE_OFFSET) == offset
            && size == unit.size)
    }

    /// When the record at a place was stored, if one begins there.
    pub(crate) fn time_at(&self, at: u64) -> Option<i64> {
        let head = self.head::<{ layout::HEAD_LEN }>(at).ok()?;
        let place = head.get(layout::PHYSICAL_OFFSET..)?.first_chunk::<8>()?;
        let time = view::store_timestamp(&head).map(|time| time.0);
        time.filter(|_| u64::from_be_bytes(*place) == at)
    }

    fn first_timestamp(&self, segment: &Segment) -> Result<Option<Timestamp>, Error> {
        let head = self.head::<{ layout::HEAD_LEN }>(segment.base)?;
        Ok(view::store_timestamp(&head).filter(|t| t.0 > 0))
    }

    fn is_nothing(&self, at: u64) -> Result<bool, Error> {
        Ok(self.head::<8>(at)? == [0; 8])
    }

    /// Whether a record, the filler or nothing begins at `at`.
    fn is_boundary(&self, at: u64) -> Result<bool, Error> {
        let head = self.head::<36>(at)?;
        let number = |at: usize| head[at..].first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
        Ok(match number(layout::MAGIC) {
            layout::MAGIC_BLANK => true,
            layout::MAGIC_V1 | layout::MAGIC_V2 => {
                u64::from(number(layout::PHYSICAL_OFFSET)) << 32
                    | u64::from(number(layout::PHYSICAL_OFFSET + 4))
                    == at
            }
            _ => head[..8] == [0; 8],
        })
    }

    /// Reads on from `start` to the first place that holds no whole record, or to `until` if that
    /// comes first, giving each record.
    pub(crate) fn scan(
        &self,
        start: Start,
        until: u64,
        each: &mut dyn FnMut(&View<'_>),
    ) -> Result<Found, Error> {
        let Start { at: end, timestamp: last_timestamp, last, .. } = start;
        let mut found = Found { end, last_timestamp, last, replayed: 0 };
        if start.clean {
            return Ok(found);
        }
        let mut buffer = Vec::new();
        // Ahead of `found.end` at the start of a file: that counts once a record is there.
        let mut at = start.at;
        while at < until
            && let Some(segment) = self.segments.holding(at)
        {
            let file_end = segment.base + self.segments.size;
            let mut scanner = Scanner { segment: &segment, buffer: &mut buffer, start: at, until };
            let is_full = scanner.run(file_end, &mut |record| {
                each(record);
                found.last = Some(record.physical_offset.0);
                found.end = record.physical_offset.0 + record.bytes.len() as u64;
                found.last_timestamp = record.store_timestamp.max(found.last_timestamp);
                found.replayed += 1;
            });
            let is_full = is_full.map_err(Error::io("read", &self.segments.path(segment.base)))?;
            if !is_full || !self.continues_at(file_end)? {
                break;
            }
            at = file_end;
        }
        Ok(found)
    }

    /// Whether a record begins a file: else the log ends before the filler of the one before.
    fn continues_at(&self, base: u64) -> Result<bool, Error> {
        Ok(self.segments.holding(base).is_some()
            && self.is_boundary(base)?
            && !self.is_nothing(base)?)
    }
}

impl Start {
    /// At a place about which nothing is known.
    pub(crate) const fn at(at: u64) -> Self {
        Self { at, timestamp: Timestamp(0), clean: false, is_ours: false, last: None }
    }
}

/// Reads the records of one file.
struct Scanner<'a> {
    segment: &'a Segment,
    buffer: &'a mut Vec<u8>,
    /// Where the next record begins.
    start: u64,
    /// Where to stop.
    until: u64,
}

impl Scanner<'_> {
    /// Reads `len` bytes, fewer at the file's end.
    fn fill(&mut self, len: usize) -> std::io::Result<()> {
        self.buffer.resize(len, 0);
        let n = self.segment.file.read_at(self.buffer, self.start - self.segment.base)?;
        self.buffer.truncate(n);
        Ok(())
    }

    /// Gives every whole record; true if the file ends with its filler.
    fn run(&mut self, file_end: u64, each: &mut dyn FnMut(&View<'_>)) -> std::io::Result<bool> {
        let mut wanted = CHUNK;
        loop {
            let left = usize::try_from(file_end - self.start).unwrap_or(usize::MAX);
            let asked = wanted.min(left);
            self.fill(asked)?;
            let is_short = self.buffer.len() < asked;
            wanted = CHUNK;
            let mut used = 0;
            let more = loop {
                let at = self.start + used as u64;
                if at >= self.until {
                    return Ok(false);
                }
                let rest = self.buffer.get(used..).unwrap_or(&[]);
                if let Some(size) = size_of_next(rest, at).filter(|size| *size > rest.len()) {
                    // A record that reaches past the buffer: read again from its start.
                    wanted = size.max(CHUNK);
                    break size <= left - used;
                }
                match check(rest) {
                    Ok(Checked::Filler) => {
                        self.start = at;
                        return Ok(true);
                    }
                    Ok(Checked::Message(record)) if record.physical_offset.0 == at => {
                        each(&record);
                        used += record.bytes.len();
                    }
                    // The head of the next record may lie behind the buffer.
                    _ => break rest.len() < layout::HEAD_LEN && used > 0,
                }
            };
            self.start += used as u64;
            if !more || (is_short && used == 0) {
                return Ok(false);
            }
        }
    }
}

/// The size of the record at `at`, if its head looks like one.
fn size_of_next(rest: &[u8], at: u64) -> Option<usize> {
    let magic = rest.get(layout::MAGIC..)?.first_chunk().map(|b| u32::from_be_bytes(*b))?;
    if !matches!(magic, layout::MAGIC_V1 | layout::MAGIC_V2) {
        return None;
    }
    let offset = rest.get(layout::PHYSICAL_OFFSET..)?.first_chunk::<8>()?;
    (u64::from_be_bytes(*offset) == at).then(|| view::total_size(rest))?
}

/// Opens all queues that have files: they hold what lies before `limit`, and nothing else if
/// `clean`. Gives those that are damaged before that; they are empty, and their files are as found.
pub(crate) fn load_queues(
    queues: &Queues,
    limit: u64,
    clean: bool,
    is_there: &IsThere<'_>,
) -> Result<Vec<Arc<Queue>>, Error> {
    let mut damaged = Vec::new();
    for (topic, id) in queues.files.list()? {
        let id = QueueId(id);
        let probe = queues.probe(&topic, id);
        let bounds = queues.files.bounds(&probe, limit, is_there)?;
        if !clean && !bounds.damaged {
            queues.files.clear(&probe, bounds.max)?;
        }
        queues.files.forget(&probe);
        if bounds.damaged {
            tracing::error!("{topic} {id}: an entry of the queue is damaged at {}", bounds.max);
            damaged.push(queues.add(&topic, id, (0, 0)));
            continue;
        }
        queues.add(&topic, id, (bounds.min, bounds.max));
    }
    Ok(damaged)
}

/// Sets what lies behind the entries of every queue in its files to zeros.
pub(crate) fn cut_queues(queues: &Queues) -> Result<(), Error> {
    for (topic, id) in queues.files.list()? {
        let found = queues.find(&topic, QueueId(id));
        let queue = found.unwrap_or_else(|| Arc::new(queues.probe(&topic, QueueId(id))));
        queues.files.cut(&queue, queue.in_files())?;
        queues.files.forget(&queue);
    }
    Ok(())
}
