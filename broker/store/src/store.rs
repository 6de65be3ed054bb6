//! The store: opening, closing, and what holds its parts together.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use blockhouse_disk::Disk;
use blockhouse_model::{Clock, DelayLevels, PhysicalOffset, QueueId};
use blockhouse_record::View;
use parking_lot::Mutex;

use crate::checkpoint::Marks;
use crate::dispatch::{Applied, Dispatcher};
use crate::faults::{Fault, Faults};
use crate::index::{Index, Shape};
use crate::local_log::{LocalLog, LogParts};
use crate::log::{FlushWatcher, Follower, Log};
use crate::queue::Queue;
use crate::queue_files::QueueFiles;
use crate::queue_table::Scope;
use crate::queues::Queues;
use crate::read::QueueListener;
use crate::recovery::{
    Found, LastStop, Recovery, Replay, ReplayTo, Start, cut_queues, load_queues, lost_tails,
};
use crate::segments::Segments;
use crate::shape::Shaper;
use crate::upkeep::Done;
use crate::worker::{Signal, Worker};
use crate::{Config, Error, layout, stamp};

/// What a record has besides its body at most: topic, properties, fixed fields.
const RECORD_EXTRA: usize = 128 << 10;

/// Records that a restart dispatches before it writes what has piled up.
const REPLAYED_AT_ONCE: usize = 1 << 16;

/// How far the clock may have been ahead when the last message was stored.
const AHEAD_MAX: Duration = Duration::from_hours(24);

/// What a store is given.
pub struct Parts {
    /// The filesystem.
    pub disk: Arc<dyn Disk>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Told of new messages.
    pub listener: Arc<dyn QueueListener>,
}

/// What a clean stop waits for, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The thread that writes queues and index behind the log.
    Behind,
    /// A checkpoint that is being made.
    Checkpoint,
    /// The end of the log, which is synced.
    Log,
    /// The last checkpoint: queues and index are written, and the whole filesystem is synced.
    LastCheckpoint,
}

/// Sizes and positions, for statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Where the log begins.
    pub log_min: PhysicalOffset,
    /// Where the log ends.
    pub log_end: PhysicalOffset,
    /// Up to where it is in the page cache.
    pub written: PhysicalOffset,
    /// Up to where it is on disk.
    pub flushed: PhysicalOffset,
    /// Up to where readers see it.
    pub confirmed: PhysicalOffset,
    /// How many queues there are.
    pub queues: usize,
    /// How many CommitLog files there are.
    pub segments: usize,
    /// Use of the log's filesystem in percent.
    pub disk_used_percent: u64,
    /// Whether sends are refused since the disk is too full.
    pub disk_full: bool,
    /// How often the log was synced.
    pub flushes: u64,
    /// For how long a write and a sync of the log have been under way; zero if none is.
    pub waits: [Duration; 2],
    /// Whether a write or sync failed.
    pub poisoned: bool,
    /// Keys that wait for the index.
    pub index_backlog: usize,
    /// How many records were dispatched again when the store was opened.
    pub replayed: u64,
    /// How many reads of the log the disk has failed.
    pub failed_reads: u64,
    /// How many pages were in memory when the kernel was asked, and lost when they were looked at.
    pub lost_pages: u64,
}

/// RocketMQ's store on one directory.
///
/// Dropping it without [`Store::close`] is an unclean stop: nothing is flushed, `abort` stays.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    behind: Worker,
    checkpoints: Worker,
}

/// What the store's threads share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) marks: Marks,
    pub(crate) queues: Arc<Queues>,
    pub(crate) index: Arc<Index>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) log: Box<dyn Log>,
    pub(crate) shaper: Shaper,
    pub(crate) max_record: usize,
    pub(crate) faults: Arc<Faults>,
    pub(crate) disk_full: AtomicBool,
    /// No damaged entry of a queue was met.
    pub(crate) queues_trusted: AtomicBool,
    pub(crate) disk_used: AtomicU64,
    pub(crate) done: Mutex<Done>,
    /// When retention looked last, by the monotonic clock.
    pub(crate) retained: Mutex<Duration>,
    replayed: u64,
    pub(crate) lost_pages: AtomicU64,
}

impl Shared {
    pub(crate) fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Acquire)
    }
}

/// Parts that exist before the log does.
struct Opening {
    config: Config,
    parts: Parts,
    marks: Marks,
    queues: Arc<Queues>,
    index: Arc<Index>,
    dispatcher: Arc<Dispatcher>,
    shaper: Shaper,
    signal: Arc<Signal>,
}

impl Opening {
    fn new(config: Config, parts: Parts) -> Result<Self, Error> {
        config.validate()?;
        let disk = &parts.disk;
        let marks = Marks::open(Arc::clone(disk), &config.dir)?;
        layout::check(&**disk, &config)?;
        stamp::check(&**disk, &config.dir)?;
        let files = QueueFiles::new(
            Arc::clone(disk),
            config.dir.join("consumequeue"),
            config.queue_file_entries,
            config.open_queue_files,
        );
        let queues = Arc::new(Queues::new(files));
        let signal = Arc::new(Signal::default());
        let index = Arc::new(Index::open(
            Arc::clone(disk),
            config.dir.join("index"),
            Shape { slots: config.index_slots, entries: config.index_entries },
            Arc::clone(&parts.clock),
            (config.index, Arc::clone(&signal)),
        )?);
        let dispatcher = Arc::new(Dispatcher::new(
            Arc::clone(&queues),
            Arc::clone(&index),
            Arc::clone(&parts.listener),
        ));
        let levels = DelayLevels::parse(&config.delay_levels).unwrap_or_default();
        let shaper = Shaper { levels, index: index.is_enabled(), index_tags: config.index_tags };
        Ok(Self { config, parts, marks, queues, index, dispatcher, shaper, signal })
    }

    /// Finds the log's end and brings queues and index up to it.
    fn recover(&self, segments: &Segments) -> Result<Found, Error> {
        let last_stop = LastStop {
            aborted: self.marks.is_aborted(),
            java: self.marks.java()?,
            own: self.marks.own()?,
            flushed: self.marks.flushed()?,
        };
        let recovery = Recovery { segments, last_stop };
        let start = recovery.start()?.map(|start| self.with_queues(start, segments));
        if let Some(start) = start {
            recovery.refuse_damage(start)?;
        }
        stamp::put(&*self.parts.disk, &self.config.dir)?;
        segments.complete()?;
        self.index.remove_empty()?;
        let Some(start) = start else {
            // No log: what points into it is void (RocketMQ does the same).
            self.marks.forget()?;
            self.queues.files.remove_all()?;
            self.index.remove_all()?;
            return Ok(Found::default());
        };
        if last_stop.own.is_some_and(|own| own.applied != start.at) {
            self.marks.set_back(start.at, start.timestamp)?;
        }
        if !start.clean {
            // What a killed process wrote may be in the page cache alone, and no queue may get an
            // entry of a record that is not on disk.
            segments.sync_from(start.at)?;
        }
        let has_table = self.load_table(&last_stop, start)?;
        let is_there = |unit, offset| recovery.is_there(unit, offset);
        let damaged = if has_table {
            lost_tails(&self.queues)
        } else {
            load_queues(&self.queues, start.at, start.clean, &is_there)?
        };
        if !start.clean {
            self.index.cut(start.at, &|at| recovery.time_at(at))?;
        } else if !self.index.is_sound(start.at)? {
            self.mend_index(&recovery, start)?;
        }
        self.rebuild(&recovery, &damaged, start)?;
        let found = self.replay(&recovery, start, u64::MAX, &|_| true)?;
        if !start.clean {
            if recovery.report_tail(found)? && has_table {
                // Records that were on disk may be among what is lost, and have entries. Durably,
                // since the next start will not see that anything was lost.
                cut_queues(&self.queues)?;
                let disk = &self.parts.disk;
                disk.sync_all(&self.config.dir).map_err(Error::io("sync", &self.config.dir))?;
            }
            segments.cut(found.end)?;
        }
        for queue in self.queues.list(None) {
            queue.reset_next();
        }
        if let Some(min) = segments.first().filter(|min| *min > self.queues.expired()) {
            self.queues.expire(min)?;
        }
        let found = self.with_possible_time(found);
        if found.replayed > 0 || last_stop.aborted {
            tracing::info!("read {} records again, the log ends at {}", found.replayed, found.end);
        }
        Ok(found)
    }

    /// Without `consumequeue` no checkpoint is true: all queues are built anew (RocketMQ does the
    /// same).
    fn with_queues(&self, start: Start, segments: &Segments) -> Start {
        let Some(first) = segments.first().filter(|first| *first < start.at) else { return start };
        if self.queues.files.is_there() {
            return start;
        }
        tracing::warn!("there are no ConsumeQueues: they are built anew from the whole log");
        Start::at(first)
    }

    /// Makes the queues of the table that belongs to our checkpoint; false if there is none.
    fn load_table(&self, last_stop: &LastStop, start: Start) -> Result<bool, Error> {
        let Some(crc) = last_stop.own.filter(|_| start.is_ours).and_then(|own| own.queues) else {
            return Ok(false);
        };
        let Some(table) = self.marks.queues(crc)? else { return Ok(false) };
        let Scope { applied, log_min, per_file } = table.scope;
        if applied != start.at
            || per_file != self.queues.files.per_file()
            || !table.is_there(&self.queues)
        {
            return Ok(false);
        }
        self.queues.set_expired(log_min);
        table.load(&self.queues);
        tracing::info!("took {} queues from the table of the last checkpoint", self.queues.count());
        Ok(true)
    }

    /// Times never fall within a log, and no checksum covers them: one far in the future would be
    /// the time of all messages to come.
    fn with_possible_time(&self, found: Found) -> Found {
        let now = self.parts.clock.now();
        if found.last_timestamp <= now.plus(AHEAD_MAX) {
            return found;
        }
        tracing::error!("the log says that its last message comes from {}", found.last_timestamp.0);
        Found { last_timestamp: now, ..found }
    }

    /// Reads the log from `start` on and dispatches the records that are `wanted`.
    fn replay(
        &self,
        recovery: &Recovery<'_>,
        start: Start,
        until: u64,
        wanted: &dyn Fn(&View<'_>) -> bool,
    ) -> Result<Found, Error> {
        let mut replay = Replay::new(ReplayTo {
            queues: &self.queues,
            dispatcher: &self.dispatcher,
            shaper: &self.shaper,
            marks: &self.marks,
            log_is_whole: recovery.segments.first() == Some(0),
        });
        let mut replayed = 0_usize;
        let mut result = Ok(());
        let found = recovery.scan(start, until, &mut |record| {
            if result.is_err() || !wanted(record) {
                return;
            }
            result = replay.record(record);
            replayed += 1;
            // So that a long replay does not pile up in memory.
            if replayed.is_multiple_of(REPLAYED_AT_ONCE) && result.is_ok() {
                result = self.index.absorb().and_then(|()| self.queues.write_behind(u64::MAX));
            }
        })?;
        result.and_then(|()| replay.finish()).map(|()| found)
    }

    /// The newest index file is not what a clean stop leaves: keeps what can be believed of it, and
    /// indexes again what follows that in the log.
    fn mend_index(&self, recovery: &Recovery<'_>, start: Start) -> Result<(), Error> {
        self.index.cut(start.at, &|at| recovery.time_at(at))?;
        let last = self.index.last_update().1;
        let is_record = recovery.time_at(last).is_some();
        let from = if is_record { last } else { recovery.segments.first().unwrap_or(0) };
        tracing::error!("the newest index file is damaged: messages are indexed again from {from}");
        let is_known = |record: &View<'_>| self.queues.find(record.topic, record.queue).is_some();
        self.replay(recovery, Start::at(from), start.at, &is_known)?;
        Ok(())
    }

    /// Builds queues anew from the log before `start`, which must be whole for that.
    fn rebuild(
        &self,
        recovery: &Recovery<'_>,
        damaged: &[Arc<Queue>],
        start: Start,
    ) -> Result<(), Error> {
        if damaged.is_empty() {
            return Ok(());
        }
        let first = Start::at(recovery.segments.first().unwrap_or(0));
        let found = recovery.scan(first, start.at, &mut |_| {})?;
        if found.end < start.at {
            let behind = recovery.behind(found)?;
            return Err(recovery.damage(found.end, start.at, behind));
        }
        // Whatever comes in between, the next start reads everything again.
        self.marks.set_back(first.at, first.timestamp)?;
        for queue in damaged {
            self.queues.files.cut(queue, 0)?;
        }
        tracing::error!("{} damaged queues are built anew from the whole log", damaged.len());
        // There may be as many as records.
        let mut ids: HashMap<&str, HashSet<QueueId>> = HashMap::new();
        for queue in damaged {
            ids.entry(queue.topic.as_str()).or_default().insert(queue.id);
        }
        let wanted = |record: &View<'_>| {
            ids.get(record.topic).is_some_and(|ids| ids.contains(&record.queue))
        };
        self.replay(recovery, first, start.at, &wanted)?;
        Ok(())
    }

    fn finish(self, segments: Segments, found: Found) -> Result<Store, Error> {
        let Self { config, parts, marks, queues, index, dispatcher, shaper, signal } = self;
        let Found { end: to, last_timestamp: timestamp, last, .. } = found;
        dispatcher.start_at(Applied { to, timestamp, last });
        marks.set_abort()?;
        let follower: Arc<dyn Follower> = Arc::<Dispatcher>::clone(&dispatcher);
        let tick = Duration::from_millis(config.flush_interval_ms.max(1));
        let segment_room = usize::try_from(config.segment_size).unwrap_or(usize::MAX);
        let faults = Arc::new(Faults::default());
        let log = LocalLog::open(LogParts {
            segments,
            faults: Arc::clone(&faults),
            clock: Arc::clone(&parts.clock),
            follower,
            flush: config.flush,
            flush_interval: tick,
            sync_flush_timeout: Duration::from_millis(config.sync_flush_timeout_ms),
            tail_size: config.write_buffer_size,
            hot_bytes: config.hot_bytes,
            end: found.end,
            last_timestamp: found.last_timestamp,
        })?;
        let shared = Arc::new(Shared {
            max_record: config
                .max_message_size
                .saturating_add(RECORD_EXTRA)
                .min(segment_room - blockhouse_record::layout::FILLER_LEN),
            config,
            disk: parts.disk,
            clock: parts.clock,
            marks,
            queues,
            index,
            dispatcher,
            log: Box::new(log),
            shaper,
            faults,
            disk_full: AtomicBool::new(false),
            queues_trusted: AtomicBool::new(true),
            disk_used: AtomicU64::new(0),
            done: Mutex::default(),
            retained: Mutex::default(),
            replayed: found.replayed,
            lost_pages: AtomicU64::new(0),
        });
        shared.look_at_disk()?;
        let worked = Arc::clone(&shared);
        let behind = Worker::start("store-behind", signal, tick, move |_| worked.tick())?;
        let worked = Arc::clone(&shared);
        let checkpoints = Worker::start("store-checkpoint", Arc::default(), tick, move |_| {
            worked.checkpoint_if_due();
        })?;
        Ok(Store { shared, behind, checkpoints })
    }
}

impl Store {
    /// Opens a data directory, recovering it if the last stop was not clean.
    ///
    /// # Errors
    /// What is wrong with the directory or the options.
    pub fn open(config: Config, parts: Parts) -> Result<Self, Error> {
        let opening = Opening::new(config, parts)?;
        let log_dir = opening.config.log_dir();
        let disk = Arc::clone(&opening.parts.disk);
        let segments = Segments::open(disk, &log_dir, opening.config.segment_size)?;
        let found = opening.recover(&segments)?;
        opening.finish(segments, found)
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.config.dir
    }

    /// Tells `watcher` of syncs of the log from now on. `false`: sends do not wait for syncs (`flush = "async"`), or
    /// somebody else is told; then it never is.
    pub fn watch_flushes(&self, watcher: Arc<dyn FlushWatcher>) -> bool {
        self.shared.log.watch_flushes(watcher)
    }

    /// Sizes and positions.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let shared = &self.shared;
        let log = shared.log.stats();
        StoreStats {
            log_min: log.min,
            log_end: log.end,
            written: log.written,
            flushed: log.flushed,
            confirmed: shared.log.confirmed(),
            queues: shared.queues.count(),
            segments: log.segments,
            disk_used_percent: shared.disk_used.load(Ordering::Relaxed),
            disk_full: shared.is_disk_full(),
            flushes: log.flushes,
            waits: log.waits,
            poisoned: log.poisoned,
            index_backlog: shared.index.backlog(),
            replayed: shared.replayed,
            failed_reads: log.failed_reads,
            lost_pages: shared.lost_pages.load(Ordering::Relaxed),
        }
    }

    /// What the disk refuses at the moment, the worst first.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = self.shared.faults.list();
        if self.shared.is_disk_full() {
            let used = self.shared.disk_used.load(Ordering::Relaxed);
            let most = self.shared.config.disk_max_used_percent;
            let text = format!(
                "the disk is {used} % full; from {most} % (store.disk_max_used_percent) no messages are taken"
            );
            faults.push(Fault { name: "disk_full", text, refuses: true, lasting: false });
        }
        faults
    }

    /// A clean stop: no more appends, everything synced, `abort` removed. Reads still work.
    ///
    /// # Errors
    /// What the filesystem says; the stop is unclean then.
    pub fn close(&self) -> Result<(), Error> {
        self.close_by_steps(|_| {})
    }

    /// The same; `begin` hears what is waited for from then on.
    ///
    /// # Errors
    /// As there.
    pub fn close_by_steps(&self, begin: impl Fn(Closing)) -> Result<(), Error> {
        begin(Closing::Behind);
        self.behind.stop();
        begin(Closing::Checkpoint);
        self.checkpoints.stop();
        begin(Closing::Log);
        self.shared.log.close()?;
        begin(Closing::LastCheckpoint);
        self.shared.checkpoint(true)?;
        self.shared.marks.clear_abort()
    }
}
