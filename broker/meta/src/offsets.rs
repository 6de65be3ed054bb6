//! How far each consumer group is in each queue, `config/consumerOffset.json`.
//!
//! A Java broker writes the file every few seconds and forgets what was committed since when it is
//! killed. Here each commit is also put into a journal (`blockhouse/offsets.log`), which
//! [`Offsets::flush_journal`] writes: call it before commits are acknowledged, once per burst. The
//! journal is not synced, so it outlives the process but not a power failure, and counts only as far as
//! the log of messages does; [`Offsets::persist`] writes and syncs the file and begins a new journal.
//!
//! The journal names the contents of the file that it continues. If a Java broker has rewritten the
//! file in between, the journal does not apply and is dropped.

mod codec;
mod journal;
mod listing;
mod progress;
mod record;
mod saving;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use blockhouse_model::{Clock, DataVersion, Group, QueueId, QueueOffset, Topic};
use parking_lot::Mutex;

use crate::config_file::ConfigFile;
use crate::failure::Failure;
use crate::table::Table;
use crate::topics::QUEUES_MAX;
use crate::{Error, Home, LogEnd};

use journal::{Digest, Journal};
use progress::Queues;
use record::Change;

/// Most pairs of group and topic with progress.
pub const PAIRS_MAX: usize = 1_000_000;
/// Most queues in which there is progress, over all pairs.
pub const PLACES_MAX: usize = 4_000_000;

/// After so many commits the version rises, as in RocketMQ (`consumerOffsetUpdateVersionStep`).
const VERSION_STEP: u64 = 500;

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The progress is now what was committed.
    Moved {
        /// From here; `None` if there was none.
        from: Option<QueueOffset>,
    },
    /// It was that already.
    Same,
    /// It went back, which RocketMQ allows: clients do so on purpose.
    Back {
        /// From here.
        from: QueueOffset,
    },
    /// Not a possible name or queue, or no room for another pair of group and topic.
    Refused,
}

/// Topic, group, queue and offset.
pub(crate) type Line = (String, String, QueueId, QueueOffset);

/// What the texts of the file and of the journal say, sorted.
pub(crate) fn progress_in(text: &[u8], journal: Option<&[u8]>) -> Result<Vec<Line>, String> {
    let state = codec::decode(text)?;
    let key = |(topic, group, queue, offset): Line| ((topic, group, queue), offset);
    let mut all: BTreeMap<_, _> = state.offsets.into_iter().map(key).collect();
    let replay = journal::replay(journal.unwrap_or_default(), Digest::of(text), u64::MAX);
    for change in replay.changes() {
        match change {
            Change::Set { topic, group, queue, offset } => {
                all.insert((topic.to_owned(), group.to_owned(), queue), offset);
            }
            Change::Remove { topic, group } => {
                all.retain(|(of_topic, of_group, _), _| of_topic != topic || of_group != group);
            }
        }
    }
    Ok(all
        .into_iter()
        .map(|((topic, group, queue), offset)| (topic, group, queue, offset))
        .collect())
}

type ByTopic = HashMap<Topic, Queues>;

/// The progress of all groups.
pub struct Offsets {
    table: Table<Group, ByTopic>,
    pairs: AtomicUsize,
    places: AtomicUsize,
    /// As [`PAIRS_MAX`] and [`PLACES_MAX`].
    most: [usize; 2],
    /// How many found no room.
    refused: AtomicU64,
    version: Mutex<DataVersion>,
    changes: AtomicU64,
    pub(crate) file: ConfigFile,
    journal: Journal,
    journal_failure: Failure,
    /// The contents of the file; held while it is written.
    base: Mutex<Digest>,
    clock: Arc<dyn Clock>,
}

impl Offsets {
    /// As [`Offsets::open_with`], where there are no messages to be compared with.
    ///
    /// # Errors
    /// As there.
    pub fn open(home: &Home) -> Result<Self, Error> {
        Self::open_with(home, None)
    }

    /// Reads the file and, if it continues that file and as far as the log goes, the journal.
    ///
    /// # Errors
    /// The file and its `.bak` are unusable, or the disk fails.
    pub fn open_with(home: &Home, log: Option<LogEnd>) -> Result<Self, Error> {
        let path = home.config_file("consumerOffset.json");
        let file = ConfigFile::new(Arc::clone(&home.disk), path);
        let version = DataVersion { timestamp: home.clock.now().0, ..DataVersion::default() };
        let loaded = file.load(codec::decode)?;
        let base = loaded.as_ref().map_or(Digest::of(b""), |l| Digest::of(&l.bytes));
        let state = loaded.map_or(codec::State { version, offsets: Vec::new() }, |l| l.value);

        let path = home.own_file("offsets.log");
        let (journal, replay) = Journal::open(Arc::clone(&home.disk), path, base, log)?;
        let offsets = Self {
            table: Table::default(),
            pairs: AtomicUsize::new(0),
            places: AtomicUsize::new(0),
            most: [PAIRS_MAX, PLACES_MAX],
            refused: AtomicU64::new(0),
            version: Mutex::new(state.version),
            changes: AtomicU64::new(u64::from(!replay.is_empty())),
            file,
            journal,
            journal_failure: Failure::default(),
            base: Mutex::new(base),
            clock: Arc::clone(&home.clock),
        };
        for (topic, group, queue, offset) in state.offsets {
            offsets.restore(&Change::Set { topic: &topic, group: &group, queue, offset });
        }
        for change in replay.changes() {
            offsets.restore(&change);
        }
        Ok(offsets)
    }

    fn restore(&self, change: &Change<'_>) {
        match *change {
            Change::Set { topic, group, queue, offset } => {
                let set = |queues: &mut Queues| queues.at(queue).committed = Some(offset);
                self.edit(&Group::trusted(group), &Topic::trusted(topic), set);
            }
            Change::Remove { topic, group } => self.take_out(group, topic),
        }
    }

    /// Sets how far a group is in a queue: the offset it wants next.
    pub fn commit(
        &self,
        group: &str,
        topic: &str,
        queue: QueueId,
        offset: QueueOffset,
    ) -> Committed {
        if queue.0 >= QUEUES_MAX {
            return Committed::Refused;
        }
        let done = self.edit_checked(group, topic, queue, |queues| {
            let before = queues.at(queue).committed.replace(offset);
            if before != Some(offset) {
                self.changed(&Change::Set { topic, group, queue, offset });
            }
            before
        });
        match done {
            None => Committed::Refused,
            Some(Some(before)) if before == offset => Committed::Same,
            Some(Some(from)) if from > offset => {
                tracing::warn!(group, topic, %queue, %from, to = %offset, "progress goes back");
                Committed::Back { from }
            }
            Some(from) => Committed::Moved { from },
        }
    }

    /// The offset that the group wants next: what an operator set and the group has not heard of
    /// yet, or what was committed.
    #[must_use]
    pub fn query(&self, group: &str, topic: &str, queue: QueueId) -> Option<QueueOffset> {
        self.look(group, topic, |q| q.get(queue).and_then(|p| p.reset.or(p.committed))).flatten()
    }

    /// What was committed, in each queue.
    #[must_use]
    pub fn of(&self, group: &str, topic: &str) -> Vec<(QueueId, QueueOffset)> {
        self.look(group, topic, Queues::committed).unwrap_or_default()
    }

    /// Notes how far a group has read, which is ahead of what it has committed.
    pub fn pulled(&self, group: &str, topic: &str, queue: QueueId, offset: QueueOffset) {
        if queue.0 < QUEUES_MAX {
            let pulled = |q: &mut Queues| q.at(queue).pulled = Some(offset);
            let _read = self.edit_checked(group, topic, queue, pulled);
        }
    }

    /// How far a group has read; what it wants next where that is not known.
    #[must_use]
    pub fn query_pulled(&self, group: &str, topic: &str, queue: QueueId) -> Option<QueueOffset> {
        let pulled = self.look(group, topic, |q| q.get(queue).and_then(|p| p.pulled)).flatten();
        pulled.or_else(|| self.query(group, topic, queue))
    }

    /// Sets a group's progress for it: the next pull is told to start there. Also commits it, for
    /// groups that are not connected.
    pub fn assign_reset(&self, group: &str, topic: &str, queue: QueueId, offset: QueueOffset) {
        if queue.0 < QUEUES_MAX {
            let _known = self.edit_checked(group, topic, queue, |queues| {
                let progress = queues.at(queue);
                (progress.reset, progress.committed) = (Some(offset), Some(offset));
                self.changed(&Change::Set { topic, group, queue, offset });
            });
        }
    }

    /// Whether an operator set the group's progress and the group has not heard of it. Its own
    /// commits do not count until it has.
    #[must_use]
    pub fn has_reset(&self, group: &str, topic: &str, queue: QueueId) -> bool {
        self.look(group, topic, |q| q.get(queue).is_some_and(|p| p.reset.is_some())) == Some(true)
    }

    /// What an operator set, to be told to the group once.
    #[must_use]
    pub fn take_reset(&self, group: &str, topic: &str, queue: QueueId) -> Option<QueueOffset> {
        // Resets are rare and this is asked for each pull: look before taking the lock for change.
        if !self.has_reset(group, topic, queue) {
            return None;
        }
        let mut part = self.table.write(group);
        part.get_mut(group)?.get_mut(topic)?.at(queue).reset.take()
    }

    /// Gives `to` the progress of `from` in `topic`.
    pub fn clone_group(&self, from: &str, to: &str, topic: &str) {
        for (queue, offset) in self.of(from, topic) {
            self.commit(to, topic, queue, offset);
        }
    }

    /// The version of the progress; it rises once in 500 commits.
    #[must_use]
    pub fn version(&self) -> DataVersion {
        *self.version.lock()
    }

    /// Everything that was committed as JSON, as one broker sends it to another.
    #[must_use]
    pub fn to_json(&self) -> String {
        codec::encode(self.version(), &self.all(), false)
    }

    /// Looks at a pair of group and topic.
    fn look<T>(&self, group: &str, topic: &str, look: impl FnOnce(&Queues) -> T) -> Option<T> {
        let part = self.table.read(group);
        part.get(group)?.get(topic).map(look)
    }

    /// Changes what a pair has of a queue, adding both if the names are good and there is room.
    fn edit_checked<T>(
        &self,
        group: &str,
        topic: &str,
        queue: QueueId,
        edit: impl FnOnce(&mut Queues) -> T,
    ) -> Option<T> {
        let [pairs_max, places_max] = self.most;
        let has_place = self.places.load(Ordering::Relaxed) < places_max;
        let refused = || {
            self.refused.fetch_add(1, Ordering::Relaxed);
            None
        };
        let mut part = self.table.write(group);
        if let Some(queues) = part.get_mut(group).and_then(|topics| topics.get_mut(topic)) {
            if !has_place && queues.get(queue).is_none() {
                return refused();
            }
            return Some(self.count(queues, edit));
        }
        drop(part);
        let (group, topic) = (Group::new(group).ok()?, Topic::new(topic).ok()?);
        if !has_place || self.pairs.load(Ordering::Relaxed) >= pairs_max {
            return refused();
        }
        Some(self.edit(&group, &topic, edit))
    }

    /// Changes a pair, and counts the queues that it has more by then.
    fn count<T>(&self, queues: &mut Queues, edit: impl FnOnce(&mut Queues) -> T) -> T {
        let before = queues.len();
        let edited = edit(queues);
        self.places.fetch_add(queues.len() - before, Ordering::Relaxed);
        edited
    }

    /// How often progress was not taken since the start for lack of room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn edit<T>(&self, group: &Group, topic: &Topic, edit: impl FnOnce(&mut Queues) -> T) -> T {
        let mut part = self.table.write(group);
        let topics = part.entry(group.clone()).or_default();
        let queues = topics.entry(topic.clone()).or_insert_with(|| {
            self.pairs.fetch_add(1, Ordering::Relaxed);
            Queues::default()
        });
        self.count(queues, edit)
    }

    fn take_out(&self, group: &str, topic: &str) {
        let mut part = self.table.write(group);
        if let Some(queues) = part.get_mut(group).and_then(|topics| topics.remove(topic)) {
            self.gone(&queues);
        }
    }

    /// A pair was taken out.
    fn gone(&self, queues: &Queues) {
        self.pairs.fetch_sub(1, Ordering::Relaxed);
        self.places.fetch_sub(queues.len(), Ordering::Relaxed);
    }

    /// Notes a change. Called under the lock of the changed part, so that the journal has changes
    /// of one queue in the order in which they were made.
    fn changed(&self, change: &Change<'_>) {
        self.journal.push(change);
        if self.changes.fetch_add(1, Ordering::AcqRel) % VERSION_STEP == VERSION_STEP - 1 {
            let mut version = self.version.lock();
            *version = version.next(self.clock.now());
        }
    }
}

#[cfg(test)]
mod tests;
