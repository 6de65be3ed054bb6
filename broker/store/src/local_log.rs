//! The CommitLog on this machine.
//!
//! Two locks: the *append lock* gives out places and copies records into the tail (memory only, no
//! system call under it); the *write lock* belongs to whoever writes a tail to its file. Writers
//! only try the write lock: the one who gets it writes what all others have placed, and they wait
//! on [`Progress`]. Records that wait for the disk are written and synced by the flush thread.

mod reading;
mod tail;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use blockhouse_model::{Clock, PhysicalOffset, Timestamp};
use parking_lot::Mutex;

use crate::config::Flush;
use crate::faults::{Faults, Part};
use crate::log::{Encoded, FlushWatcher, Flushed, Follower, Landing, Log, LogStats, Piece, Place};
use crate::progress::{Progress, Ticket, Wait};
use crate::read::ColdRead;
use crate::segments::Segments;
use crate::waits::{Operation, Waits};
use crate::worker::{Round, Signal, Worker};
use crate::{AppendError, Error};
use tail::{Plan, Tail};

/// Rounds that one winner writes for others before it hands over to the flush thread.
const ROUNDS_MAX: usize = 4;

/// What a log is opened with.
pub(crate) struct LogParts {
    pub(crate) segments: Segments,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) follower: Arc<dyn Follower>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) flush: Flush,
    pub(crate) flush_interval: Duration,
    pub(crate) sync_flush_timeout: Duration,
    pub(crate) tail_size: usize,
    pub(crate) hot_bytes: u64,
    /// Where the log ends, and the time of its last record.
    pub(crate) end: u64,
    pub(crate) last_timestamp: Timestamp,
}

/// The CommitLog on this machine.
pub(crate) struct LocalLog {
    core: Arc<Core>,
    flusher: Worker,
    preparer: Worker,
}

struct Core {
    segments: Segments,
    clock: Arc<dyn Clock>,
    follower: Arc<dyn Follower>,
    faults: Arc<Faults>,
    flush: Flush,
    flush_interval: Duration,
    sync_flush_timeout: Duration,
    hot_bytes: u64,
    opened_at: u64,

    appender: Mutex<Appender>,
    /// End of what was placed, to look at without the append lock.
    placed: AtomicU64,
    writer: Mutex<Writer>,
    /// Held during a flush.
    flushing: Mutex<LastFlush>,
    watcher: OnceLock<Arc<dyn FlushWatcher>>,
    progress: Arc<Progress>,
    confirmed: AtomicU64,
    flushed_timestamp: AtomicI64,
    flushes: AtomicU64,
    failed_reads: AtomicU64,
    waits: Waits,
    closed: AtomicBool,
    /// Asks the flush thread for a round.
    signal: Arc<Signal>,
}

struct Appender {
    tail: Tail,
    end: u64,
    last_timestamp: i64,
    /// How many records were placed so far.
    records: u64,
}

/// The last flush.
#[derive(Default)]
struct LastFlush {
    /// When it began, by the monotonic clock.
    at: Duration,
    /// How many records were placed before it.
    records: u64,
}

/// Up to where the log is written.
struct Written {
    end: u64,
    last_timestamp: i64,
    records: u64,
}

struct Writer {
    spare: Tail,
    last_timestamp: i64,
    records: u64,
    /// Up to where the files hold data, or zeros that a write put there ahead of the data.
    filled: u64,
}

impl LocalLog {
    pub(crate) fn open(parts: LogParts) -> Result<Self, Error> {
        parts.segments.prepare(parts.end + 1)?;
        let signal = Arc::new(Signal::default());
        let core = Arc::new(Core {
            segments: parts.segments,
            clock: parts.clock,
            follower: parts.follower,
            faults: parts.faults,
            flush: parts.flush,
            flush_interval: parts.flush_interval,
            sync_flush_timeout: parts.sync_flush_timeout,
            hot_bytes: parts.hot_bytes,
            opened_at: parts.end,
            appender: Mutex::new(Appender {
                tail: Tail::with_capacity(parts.tail_size),
                end: parts.end,
                last_timestamp: parts.last_timestamp.0,
                records: 0,
            }),
            placed: AtomicU64::new(parts.end),
            writer: Mutex::new(Writer {
                spare: Tail::with_capacity(parts.tail_size),
                last_timestamp: parts.last_timestamp.0,
                records: 0,
                filled: parts.end,
            }),
            flushing: Mutex::default(),
            watcher: OnceLock::new(),
            progress: Progress::starting_at(parts.end),
            confirmed: AtomicU64::new(parts.end),
            flushed_timestamp: AtomicI64::new(parts.last_timestamp.0),
            flushes: AtomicU64::new(0),
            failed_reads: AtomicU64::new(0),
            waits: Waits::default(),
            closed: AtomicBool::new(false),
            signal: Arc::clone(&signal),
        });
        let worked = Arc::clone(&core);
        let flusher = Worker::start("store-flush", signal, parts.flush_interval, move |why| {
            if let Err(e) = worked.round(why) {
                tracing::debug!("flush: {e}");
            }
        })?;
        let worked = Arc::clone(&core);
        let preparer =
            Worker::start("store-prepare", Arc::default(), parts.flush_interval, move |_| {
                worked.faults.report(Part::CommitLog, worked.upkeep());
            })?;
        Ok(Self { core, flusher, preparer })
    }
}

impl Core {
    /// Refuses, or says where the burst would end and how much of the tail it takes.
    fn admit(&self, appender: &Appender, records: &Encoded) -> Result<Plan, AppendError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(AppendError::Closed);
        }
        if self.progress.is_poisoned() {
            return Err(AppendError::Poisoned);
        }
        let plan = Plan::of(appender.end, self.segments.size, records);
        if appender.tail.room() < plan.bytes { Err(AppendError::Busy) } else { Ok(plan) }
    }

    fn append(
        &self,
        records: &Encoded,
        place: &mut Place<'_>,
    ) -> Result<PhysicalOffset, AppendError> {
        let mut helped = false;
        loop {
            let mut appender = self.appender.lock();
            let unprepared = match self.admit(&appender, records) {
                Ok(plan) if plan.end <= self.segments.prepared() => {
                    let end = self.place_all(&mut appender, records, place);
                    return Ok(PhysicalOffset(end));
                }
                Ok(plan) => Some(plan.end),
                Err(AppendError::Busy) if !helped => None,
                Err(e) => return Err(e),
            };
            drop(appender);
            if let Some(end) = unprepared {
                let prepared = self.segments.prepare(end);
                prepared.map_err(|e| self.faults.refuse(Part::CommitLog, &e))?;
            } else {
                helped = true;
                self.drive();
            }
        }
    }

    fn place_all(&self, appender: &mut Appender, records: &Encoded, place: &mut Place<'_>) -> u64 {
        // Times never go back within a log, whatever the clock does.
        let now = self.clock.now().0.max(appender.last_timestamp);
        appender.last_timestamp = now;
        let size = self.segments.size;
        for (i, record) in records.iter().enumerate() {
            let left = size - appender.end % size;
            if tail::must_roll(record.len(), left) {
                appender.tail.push_filler(appender.end, left);
                appender.end += left;
            }
            let stamp = blockhouse_record::Stamp {
                queue_offset: place(i, PhysicalOffset(appender.end), Timestamp(now)),
                physical_offset: PhysicalOffset(appender.end),
                store_timestamp: Timestamp(now),
            };
            appender.tail.push(record, stamp);
            appender.end += record.len() as u64;
            appender.records += 1;
        }
        self.placed.store(appender.end, Ordering::SeqCst);
        appender.end
    }

    /// Writes what is placed, unless someone else is at it.
    fn drive(&self) {
        for _ in 0..ROUNDS_MAX {
            // Pairs with the fence in `is_behind`: either we get the lock, or its holder sees our
            // records when it looks after unlocking.
            fence(Ordering::SeqCst);
            let Some(mut writer) = self.writer.try_lock() else { return };
            if self.write_tail(&mut writer).is_err() {
                return;
            }
            drop(writer);
            if !self.is_behind() {
                return;
            }
        }
        self.signal.raise();
    }

    /// Whether something was placed while the write lock was held, by someone who could not get it
    /// and relies on its holder. Whoever lets the write lock go must ask.
    fn is_behind(&self) -> bool {
        fence(Ordering::SeqCst);
        self.placed.load(Ordering::SeqCst) > self.progress.at(Wait::Written)
    }

    /// Writes what is placed, waiting for the write lock.
    fn write(&self) -> Result<Written, Error> {
        let written = {
            let mut writer = self.writer.lock();
            self.write_tail(&mut writer)?;
            let end = self.progress.at(Wait::Written);
            Written { end, last_timestamp: writer.last_timestamp, records: writer.records }
        };
        if self.is_behind() {
            self.drive();
        }
        Ok(written)
    }

    /// Swaps the tails and writes the full one.
    fn write_tail(&self, writer: &mut Writer) -> Result<(), Error> {
        if self.progress.is_poisoned() {
            return Err(Error::Poisoned);
        }
        let end = {
            let mut appender = self.appender.lock();
            if appender.tail.is_empty() {
                return Ok(());
            }
            std::mem::swap(&mut appender.tail, &mut writer.spare);
            (writer.last_timestamp, writer.records) = (appender.last_timestamp, appender.records);
            appender.end
        };
        if end > writer.filled {
            writer.filled = tail::fill_end(end, self.segments.size);
            writer.spare.pad(usize::try_from(writer.filled - end).unwrap_or(0));
        }
        // What was stored last was stored just now: no look at the clock is needed.
        let under_way = self.waits.begin(Operation::Write, Timestamp(writer.last_timestamp));
        for (at, bytes) in writer.spare.extents() {
            let segment = self.segments.holding(at).ok_or(Error::Poisoned);
            let written = segment.and_then(|segment| {
                let write = segment.file.write_at(bytes, at - segment.base);
                write.map_err(Error::io("write", &self.segments.path(segment.base)))
            });
            if let Err(e) = written {
                return Err(self.poison(&e));
            }
        }
        drop(under_way);
        writer.spare.clear();
        if self.flush == Flush::Async {
            self.confirm(end);
        }
        self.progress.rise(Wait::Written, end);
        Ok(())
    }

    fn poison(&self, e: &Error) -> Error {
        self.faults.poison(e);
        self.progress.poison();
        Error::Poisoned
    }

    fn confirm(&self, to: u64) {
        self.confirmed.store(to, Ordering::Release);
        self.follower.confirmed(PhysicalOffset(to));
    }

    /// One round of the flush thread. Under async flush a winner that hands over wants no sync.
    fn round(&self, why: Round) -> Result<(), Error> {
        if self.flush == Flush::Async && why == Round::Asked {
            let since = self.clock.monotonic().saturating_sub(self.flushing.lock().at);
            if since < self.flush_interval {
                return self.write().map(|_| ());
            }
        }
        self.flush()
    }

    fn flush(&self) -> Result<(), Error> {
        let mut last = self.flushing.lock();
        last.at = self.clock.monotonic();
        let written = self.write()?;
        if self.progress.is_poisoned() {
            return Err(Error::Poisoned);
        }
        let (start, end) = (self.progress.at(Wait::Flushed), written.end);
        if start == end {
            return Ok(());
        }
        let synced = self.sync(start, end);
        if let Some(watcher) = self.watcher.get() {
            watcher.flushed(&Flushed {
                from: PhysicalOffset(start),
                to: PhysicalOffset(end),
                messages: written.records.saturating_sub(last.records),
                began: last.at,
                took: self.clock.monotonic().saturating_sub(last.at),
                has_failed: synced.is_err(),
            });
        }
        synced.map_err(|e| self.poison(&e))?;
        last.records = written.records;
        self.flushed_timestamp.store(written.last_timestamp, Ordering::Release);
        self.flushes.fetch_add(1, Ordering::Relaxed);
        if self.flush == Flush::Sync {
            self.confirm(end);
        }
        self.progress.rise(Wait::Flushed, end);
        Ok(())
    }

    /// Syncs the files that hold this part of the log.
    fn sync(&self, start: u64, end: u64) -> Result<(), Error> {
        let size = self.segments.size;
        let _under_way = self.waits.begin(Operation::Sync, self.clock.now());
        let mut base = start - start % size;
        while base < end {
            // A file that is gone was removed by retention.
            if let Some(segment) = self.segments.holding(base) {
                let synced = segment.file.sync_data();
                synced.map_err(Error::io("sync", &self.segments.path(base)))?;
            }
            base += size;
        }
        Ok(())
    }

    fn upkeep(&self) -> Result<(), Error> {
        self.segments.unmap_before(self.hot_from());
        let placed = self.placed.load(Ordering::Acquire);
        // The next file is made once half of this one is used.
        self.segments.prepare(placed + self.segments.size / 2)
    }
}

impl Log for LocalLog {
    fn append(
        &self,
        records: &Encoded,
        place: &mut Place<'_>,
    ) -> Result<PhysicalOffset, AppendError> {
        self.core.append(records, place)
    }

    fn settle(&self, end: PhysicalOffset, durable: bool) -> Ticket {
        let core = &self.core;
        let progress = Arc::clone(&core.progress);
        match core.flush {
            Flush::Async => {
                core.drive();
                Ticket::new(progress, Wait::Written, end.0, None)
            }
            Flush::Sync if durable => {
                core.signal.raise();
                let limit = Some(core.sync_flush_timeout);
                Ticket::new(progress, Wait::Flushed, end.0, limit)
            }
            Flush::Sync => {
                core.drive();
                core.signal.raise();
                Ticket::new(progress, Wait::Written, end.0, None)
            }
        }
    }

    fn read_into(
        &self,
        at: PhysicalOffset,
        len: usize,
        cold: ColdRead,
        into: &mut Landing,
    ) -> Result<Option<Piece>, Error> {
        self.core.read_into(at.0, len, cold, into)
    }

    fn confirmed(&self) -> PhysicalOffset {
        PhysicalOffset(self.core.confirmed.load(Ordering::Acquire))
    }

    fn min(&self) -> PhysicalOffset {
        PhysicalOffset(self.core.segments.first().unwrap_or(0))
    }

    fn next_file(&self, at: PhysicalOffset) -> PhysicalOffset {
        let size = self.core.segments.size;
        PhysicalOffset((at.0 / size + 1) * size)
    }

    fn stats(&self) -> LogStats {
        let core = &self.core;
        LogStats {
            min: self.min(),
            end: PhysicalOffset(core.placed.load(Ordering::Acquire)),
            written: PhysicalOffset(core.progress.at(Wait::Written)),
            flushed: PhysicalOffset(core.progress.at(Wait::Flushed)),
            flushed_timestamp: Timestamp(core.flushed_timestamp.load(Ordering::Acquire)),
            segments: core.segments.count(),
            flushes: core.flushes.load(Ordering::Relaxed),
            failed_reads: core.failed_reads.load(Ordering::Relaxed),
            waits: core.waits.at(core.clock.now()),
            poisoned: core.progress.is_poisoned(),
        }
    }

    fn watch_flushes(&self, watcher: Arc<dyn FlushWatcher>) -> bool {
        self.core.flush == Flush::Sync && self.core.watcher.set(watcher).is_ok()
    }

    fn flush(&self) -> Result<(), Error> {
        self.core.flush()
    }

    fn upkeep(&self) -> Result<(), Error> {
        self.core.upkeep()
    }

    fn remove_first(&self) -> Result<bool, Error> {
        self.core.segments.remove_first(self.core.progress.at(Wait::Flushed))
    }

    fn close(&self) -> Result<(), Error> {
        {
            // Under the append lock, so that no burst is placed after the last flush.
            let _no_append = self.core.appender.lock();
            self.core.closed.store(true, Ordering::SeqCst);
        }
        let flushed = self.core.flush();
        self.flusher.stop();
        self.preparer.stop();
        flushed
    }
}
