//! What Apache RocketMQ left in the directory that is not served here: half messages of
//! transactions, timer messages, POP deliveries. They would lie still without a word, so a start
//! counts them and refuses.
//!
//! Nothing is scanned: each kind keeps its own progress, and only what lies behind it is looked at.
//! The counts may be too high after a kill, never too low.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, bail};
use blockhouse_disk::Disk;
use blockhouse_meta::Meta;
use blockhouse_model::{QueueOffset, TopicConfig, java_hash, names};
use blockhouse_record::records;
use blockhouse_store::{Accept, ColdRead, Purpose, QueueBounds, ReadRequest, ReadStatus, Store};

/// The group whose offsets are the progress of RocketMQ's check of half messages.
const TRANS_GROUP: &str = "CID_RMQ_SYS_TRANS";
/// Half messages whose progress is in a database (`transRocksDBEnable`, since 5.4).
const ROCKSDB_HALF_TOPIC: &str = "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC";
/// Where RocketMQ notes what POP consumers got and acknowledged; the cluster's name follows.
const REVIVE_PREFIX: &str = "rmq_sys_REVIVE_LOG_";
const REVIVE_GROUP: &str = "CID_RMQ_SYS_REVIVE_GROUP";
/// The tag of a POP checkpoint: messages that a consumer got.
const CHECKPOINT_TAG: &str = "ck";

/// Records that one read gives at most.
const READ_MESSAGES: usize = 1_024;
const READ_BYTES: usize = 1 << 20;

/// `timerwheel`: slots of 32 bytes, time 8, first 8, last 8, count 4, magic 4.
const SLOT_LEN: usize = 32;
/// Bytes of it that are read at once.
const WHEEL_CHUNK: usize = SLOT_LEN << 14;
/// A larger file is no wheel.
const WHEEL_MAX: u64 = 1 << 30;

/// How many of each kind wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inert {
    pub(crate) halves: u64,
    pub(crate) timers: u64,
    pub(crate) pops: u64,
    /// POP deliveries that are noted in a database, where they cannot be counted.
    pub(crate) pop_store: bool,
}

impl Inert {
    fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Inert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (self.halves, "half messages of transactions that are not ended"),
            (self.timers, "timer messages, or invisible times of POP consumers, that are not due"),
            (self.pops, "POP deliveries that may not be acknowledged"),
        ];
        let mut comma = "";
        for (count, what) in kinds.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{comma}{count} {what}")?;
            comma = ", ";
        }
        if self.pop_store {
            write!(f, "{comma}POP deliveries in kvStore (popConsumerKVServiceEnable)")?;
        }
        Ok(())
    }
}

/// Refuses a directory with something inert in it, or says so if that is allowed.
pub(crate) fn check(
    store: &Store,
    meta: &Meta,
    disk: &dyn Disk,
    is_allowed: bool,
) -> anyhow::Result<()> {
    served(&meta.topics.all())?;
    let inert = count(store, meta, disk)?;
    if inert.is_none() {
        return Ok(());
    }
    if is_allowed {
        tracing::warn!("not served by this version, and left where they are: {inert}");
        return Ok(());
    }
    bail!(
        "the directory holds what this version does not serve: {inert}. Let Apache RocketMQ finish \
         them (stop producers and consumers of these kinds first), or start with --allow-inert: \
         they stay where they are and are not delivered, and Apache RocketMQ goes on with them if \
         it takes the directory back before they expire"
    );
}

/// Refuses topics that are kept in another way than others.
fn served(topics: &[std::sync::Arc<TopicConfig>]) -> anyhow::Result<()> {
    for topic in topics {
        let other = blockhouse_meta::attributes::unserved(&topic.attributes);
        if let Some((name, value)) = other {
            bail!(
                "topic {} has {name}={value}, which is not served here: delete the topic with \
                 Apache RocketMQ, once what is in it was consumed or copied",
                topic.name
            );
        }
    }
    Ok(())
}

/// Counts what waits.
fn count(store: &Store, meta: &Meta, disk: &dyn Disk) -> anyhow::Result<Inert> {
    let mut inert =
        Inert { pop_store: disk.exists(&store.dir().join("kvStore/CURRENT")), ..Inert::default() };
    for queue in store.queues(Some(names::TRANS_HALF_TOPIC)) {
        inert.halves += halves(store, meta, &queue);
    }
    for queue in store.queues(Some(ROCKSDB_HALF_TOPIC)) {
        inert.halves += queue.max.0 - queue.min.0;
    }
    for queue in store.queues(None) {
        if queue.topic.as_str().starts_with(REVIVE_PREFIX) {
            inert.pops += checkpoints(store, meta, &queue);
        }
    }
    for queue in store.queues(Some(names::TIMER_TOPIC)).iter().filter(|queue| queue.max.0 > 0) {
        inert.timers += timers(disk, store.dir(), queue).context("the timer's files")?;
    }
    Ok(inert)
}

/// Half messages behind the check's progress, without those that a note behind its progress ends.
fn halves(store: &Store, meta: &Meta, half: &QueueBounds) -> u64 {
    let from = progress(meta, TRANS_GROUP, half);
    if from >= half.max {
        return 0;
    }
    let mut ended = HashSet::new();
    for notes in store.queues(Some(names::TRANS_OP_HALF_TOPIC)) {
        if notes.queue == half.queue {
            let from = progress(meta, TRANS_GROUP, &notes);
            scan(store, &notes, from, &mut |_: i64| true, &mut |note| {
                // One offset, or since 5.0 several with commas.
                let offsets = std::str::from_utf8(note.body).unwrap_or_default().split(',');
                ended.extend(offsets.filter_map(|offset| offset.trim().parse::<u64>().ok()));
            });
        }
    }
    let ended = ended.iter().filter(|offset| (from.0..half.max.0).contains(*offset)).count();
    (half.max.0 - from.0).saturating_sub(ended as u64)
}

/// POP checkpoints behind the progress of the reviving, which is the last that is done with.
fn checkpoints(store: &Store, meta: &Meta, queue: &QueueBounds) -> u64 {
    let done = meta.offsets.query(REVIVE_GROUP, &queue.topic, queue.queue);
    let from = done.map_or(queue.min, |done| done.plus(1)).max(queue.min);
    let tag = i64::from(java_hash(CHECKPOINT_TAG));
    let mut count = 0;
    let mut is_checkpoint = |code: i64| {
        count += u64::from(code == tag);
        false
    };
    scan(store, queue, from, &mut is_checkpoint, &mut |_| {});
    count
}

fn progress(meta: &Meta, group: &str, queue: &QueueBounds) -> QueueOffset {
    let known = meta.offsets.query(group, &queue.topic, queue.queue).unwrap_or_default();
    known.max(queue.min)
}

/// Reads a queue from an offset to its end.
fn scan(
    store: &Store,
    queue: &QueueBounds,
    from: QueueOffset,
    accept: &mut dyn Accept,
    each: &mut dyn FnMut(&blockhouse_record::View<'_>),
) {
    let mut from = from;
    while from < queue.max {
        let request = ReadRequest {
            topic: &queue.topic,
            queue: queue.queue,
            from,
            max_messages: READ_MESSAGES,
            max_bytes: READ_BYTES,
            cold: ColdRead::Allow,
            purpose: Purpose::Look,
        };
        let read = store.read(&request, accept);
        for record in read.slices.iter().flat_map(|slice| records(slice).map_while(Result::ok)) {
            each(&record);
        }
        if read.next <= from || !matches!(read.status, ReadStatus::Found | ReadStatus::NoMatch) {
            return;
        }
        from = read.next;
    }
}

/// Timer messages: those that the wheel has not taken over from their topic, and those in it.
fn timers(disk: &dyn Disk, dir: &Path, queue: &QueueBounds) -> std::io::Result<u64> {
    let mut head = [0; 24];
    match disk.open(&dir.join("config/timercheck")) {
        Ok(file) => drop(file.read_at(&mut head, 0)?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let [read_until, _, taken] = [0, 8, 16].map(|at| wide(&head, at).max(0).cast_unsigned());
    let waiting = queue.max.0.saturating_sub(taken.max(queue.min.0));
    Ok(waiting + in_wheel(disk, &dir.join("timerwheel"), read_until)?)
}

/// The messages in the slots that are not due at `read_until`, milliseconds.
fn in_wheel(disk: &dyn Disk, path: &Path, read_until: u64) -> std::io::Result<u64> {
    let file = match disk.open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let (mut total, mut at) = (0, 0);
    let len = file.len()?.min(WHEEL_MAX);
    let mut chunk = vec![0; WHEEL_CHUNK];
    while at < len {
        let read = file.read_at(&mut chunk, at)?;
        let (slots, _) = chunk[..read].as_chunks::<SLOT_LEN>();
        if slots.is_empty() {
            break;
        }
        for slot in slots {
            let count = slot[24..].first_chunk().map_or(0, |b| i32::from_be_bytes(*b));
            if millis(wide(slot, 0)) >= read_until {
                total += u64::try_from(count).unwrap_or(0);
            }
        }
        at += (slots.len() * SLOT_LEN) as u64;
    }
    Ok(total)
}

/// A slot's time, which is in units of `timerPrecisionMs`: 1,000 unless set, and a power of ten.
fn millis(time: i64) -> u64 {
    /// September 2001.
    const SOME_TIME_AGO: u64 = 1_000_000_000_000;
    let mut time = time.max(0).cast_unsigned();
    while (1..SOME_TIME_AGO).contains(&time) {
        time *= 10;
    }
    time
}

fn wide(bytes: &[u8], at: usize) -> i64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| i64::from_be_bytes(*b))
}

#[cfg(test)]
mod tests;
