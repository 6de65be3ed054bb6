//! What happens in the background: writing behind and retention on one thread, checkpoints on
//! another, because a checkpoint waits for the disk and keys for the index pile up meanwhile. (A
//! third, of the log, prepares its files.)

use std::sync::atomic::Ordering;
use std::time::Duration;

use blockhouse_model::PhysicalOffset;

use crate::Error;
use crate::checkpoint::{JavaCheckpoint, OwnCheckpoint};
use crate::dispatch::Applied;
use crate::faults::{Part, is_out_of_descriptors};
use crate::queue_table::{self, Scope};
use crate::store::{Shared, Store};

/// How often retention looks (RocketMQ: `cleanResourceInterval`).
const RETENTION_INTERVAL: Duration = Duration::from_secs(10);
/// Files that one round of retention removes at most (RocketMQ: `deleteFileBatchMax`).
const REMOVED_MAX: usize = 10;
const MS_PER_HOUR: i64 = 3_600_000;

/// What the last checkpoint did. Held while one is made.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// When it was, by the monotonic clock.
    at: Duration,
    /// Up to where the last checkpoint went.
    applied: Option<u64>,
    /// A sync failed: what it left unwritten is unknown, so checkpoints stay where they are.
    sync_failed: bool,
}

/// How hard retention tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// By the hour and by how full the disk is.
    Scheduled,
    /// Whatever is expired.
    Expired,
}

impl Store {
    /// What the background threads do: writes entries behind, absorbs index keys, prepares files,
    /// and when it is time makes a checkpoint and removes old files. For tests and for hurrying.
    pub fn tick(&self) {
        self.shared.checkpoint_if_due();
        self.shared.faults.report(Part::CommitLog, self.shared.log.upkeep());
        self.shared.tick();
    }

    /// Writes and syncs everything, and makes `checkpoint` current.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn flush(&self) -> Result<(), Error> {
        self.shared.checkpoint(false)
    }

    /// Writes and syncs the log alone, up to what is stored by now. Queues and index can be made again
    /// of it.
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn sync_log(&self) -> Result<(), Error> {
        self.shared.log.flush()
    }

    /// Where the log ends for those who were told that their message is stored.
    #[must_use]
    pub fn confirmed(&self) -> PhysicalOffset {
        self.shared.log.confirmed()
    }

    /// Removes the topic's queues. Its messages leave the log with time.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn delete_topic(&self, topic: &str) -> Result<(), Error> {
        let shared = &self.shared;
        let mut done = shared.done.lock();
        if shared.queues.list(Some(topic)).is_empty() {
            // It may have been removed by one whose checkpoint failed.
            let is_known = done.applied.is_some() && !shared.queues.has_changed();
            return if is_known { Ok(()) } else { shared.checkpoint_with(&mut done, false) };
        }
        // A crash in between must find no table with queues whose files are gone, and no checkpoint
        // may write one.
        shared.marks.forget_queues()?;
        if shared.queues.remove_topic(topic)? {
            // Or a restart would dispatch the topic's messages again.
            shared.checkpoint_with(&mut done, false)?;
        }
        Ok(())
    }

    /// Removes expired CommitLog files now, whatever the hour, and what points into them; returns
    /// how many files.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn delete_expired(&self) -> Result<usize, Error> {
        self.shared.retain(Effort::Expired)
    }

    /// Removes ConsumeQueue files that point before the log's beginning; returns how many.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn clean_expired_queues(&self) -> Result<usize, Error> {
        self.shared.queues.expire(self.shared.log.min().0)
    }
}

impl Shared {
    pub(crate) fn tick(&self) {
        let flushed = self.log.stats().flushed;
        self.faults.report(Part::ConsumeQueue, self.queues.write_behind(flushed.0));
        // Only a help for the next start; what fails here fails the next checkpoint as well.
        if let Err(e) = self.marks.note_flushed(flushed.0) {
            tracing::debug!("noting the flush: {e}");
        }
        // Usually a checkpoint writes the index. While that fails, each tick tries.
        let failing = self.faults.has(Part::Index);
        let indexed = if failing { self.index.write_out() } else { self.index.absorb() };
        if failing || indexed.is_err() {
            self.faults.report(Part::Index, indexed);
        }
        let now = self.clock.monotonic();
        let due = {
            let mut last = self.retained.lock();
            let due = now.saturating_sub(*last) >= RETENTION_INTERVAL;
            *last = if due { now } else { *last };
            due
        };
        if due {
            self.faults.report(Part::Retention, self.retain(Effort::Scheduled).map(|_| ()));
        }
    }

    pub(crate) fn checkpoint_if_due(&self) {
        let interval = Duration::from_millis(self.config.checkpoint_interval_ms);
        let last = self.done.lock().at;
        if self.clock.monotonic().saturating_sub(last) >= interval {
            self.faults.report(Part::Checkpoint, self.checkpoint(false));
        }
    }

    /// Makes queues and index durable and says so.
    pub(crate) fn checkpoint(&self, clean: bool) -> Result<(), Error> {
        self.checkpoint_with(&mut self.done.lock(), clean)
    }

    fn checkpoint_with(&self, done: &mut Done, clean: bool) -> Result<(), Error> {
        done.at = self.clock.monotonic();
        self.queues.cool();
        let applied = self.dispatcher.applied();
        self.log.flush()?;
        let log = self.log.stats();
        self.queues.write_behind(log.flushed.0)?;
        if let Err(e) = self.index.write_out() {
            self.faults.refuse(Part::Index, &e);
            return Err(e);
        }
        if done.sync_failed {
            return Err(Error::Poisoned);
        }
        let changed = self.queues.take_changed();
        if done.applied == Some(applied.to) && !clean && !changed {
            return Ok(());
        }
        // What is in files now, the sync makes durable.
        let scope = Scope {
            applied: applied.to,
            log_min: self.queues.expired(),
            per_file: self.queues.files.per_file(),
        };
        let table = queue_table::encode(&self.queues, scope);
        // No poison: nothing that was acknowledged is in doubt. A message is acknowledged by a write
        // and by `fdatasync` of its own log file, which report that file's lost writes themselves,
        // and poison. What only this sync makes durable, queues and index, is made again from the
        // log behind the last good checkpoint, which stays where it is until a restart; the stop is
        // not clean, and deleting a topic, which waits for a checkpoint, fails.
        //
        // If anything fails from here on, the next checkpoint must not find that nothing is to do.
        done.applied = None;
        if let Err(e) = self.disk.sync_all(&self.config.dir) {
            // Without a descriptor the disk was asked for nothing, and nothing of it is lost.
            done.sync_failed = !is_out_of_descriptors(&e);
            let e = Error::io("sync", &self.config.dir)(e);
            // After a sync that failed there is no other attempt that could be reported.
            self.faults.note(Part::Checkpoint, &e);
            return Err(e);
        }
        let Applied { to, timestamp, last } = applied;
        let java =
            JavaCheckpoint { physical: log.flushed_timestamp, queues: timestamp, index: timestamp };
        let clean = clean && to == log.end.0;
        let trusted = self.queues_trusted.load(Ordering::Acquire);
        let queues = trusted.then_some(table.crc);
        if trusted {
            self.marks.write_queues(&table.bytes)?;
        }
        self.marks.write(java, OwnCheckpoint { applied: to, clean, timestamp, last, queues })?;
        if trusted && !self.queues_trusted.load(Ordering::Acquire) {
            self.marks.forget_queues()?;
        }
        done.applied = Some(to);
        self.marks.note_flushed(log.flushed.0)
    }

    /// An entry of a queue is damaged: the next start is to look at the files of all queues.
    pub(crate) fn distrust_queues(&self) {
        if self.queues_trusted.swap(false, Ordering::AcqRel)
            && let Err(e) = self.marks.forget_queues()
        {
            tracing::warn!("the table of queues is damaged and cannot be removed: {e}");
        }
    }

    /// Looks at the disk's room and removes old files.
    fn retain(&self, effort: Effort) -> Result<usize, Error> {
        let used = self.look_at_disk()?;
        let hour = self.clock.now().0.div_euclid(MS_PER_HOUR).rem_euclid(24);
        let is_time = self.config.hours().is_some_and(|hours| hours.contains(&hour));
        let forced = self.config.disk_force_clean_percent.is_some_and(|most| used >= most);
        let expired = is_time || used >= self.config.disk_clean_percent;
        let mut removed = 0;
        while removed < REMOVED_MAX {
            let wanted = match effort {
                Effort::Expired => self.is_first_expired(),
                Effort::Scheduled => forced || (expired && self.is_first_expired()),
            };
            if !wanted || !self.log.remove_first()? {
                break;
            }
            removed += 1;
        }
        if removed > 0 {
            let min = self.log.min().0;
            self.queues.expire(min)?;
            self.index.expire(min)?;
            self.look_at_disk()?;
        }
        Ok(removed)
    }

    /// How full the disk is, in percent; decides whether sends are taken.
    pub(crate) fn look_at_disk(&self) -> Result<u64, Error> {
        let dir = self.config.log_dir();
        let used = self.disk.space(&dir).map_err(Error::io("look at", &dir))?.used_percent();
        self.disk_used.store(used, Ordering::Relaxed);
        let full = used >= self.config.disk_max_used_percent;
        if self.disk_full.swap(full, Ordering::AcqRel) != full {
            tracing::warn!(
                "the disk is {used} % full; sends are {}",
                if full { "refused" } else { "taken again" }
            );
        }
        Ok(used)
    }

    /// Whether the newest message of the first file is older than files are kept: the message that
    /// begins the next file is not older than it.
    fn is_first_expired(&self) -> bool {
        let next: PhysicalOffset = self.log.next_file(self.log.min());
        let Some(stored) = self.time_at(next) else { return false };
        let kept = Duration::from_secs(self.config.file_reserved_hours.saturating_mul(3_600));
        self.clock.now().since(stored) >= kept
    }
}
