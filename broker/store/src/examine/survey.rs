//! What is in a store.

use std::collections::{BTreeMap, HashMap};

use blockhouse_model::{SysFlag, names};
use blockhouse_record::View;
use serde::Serialize;

use super::finding::Findings;
use super::log_files::LogFiles;
use super::marks::{self, MarksSurvey};
use super::queue_dirs::QueueDirs;
use super::site::Site;
use super::walk::{Damaged, End, Next, Walker};
use super::{index_files, plan};
use crate::Error;
use crate::dispatch::is_visible;

/// The CommitLog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LogSurvey {
    /// How many files there are.
    pub files: usize,
    /// Bytes per file.
    pub file_size: u64,
    /// Where the log begins.
    pub begin: u64,
    /// Where it ends.
    pub end: u64,
    /// Whole records.
    pub records: u64,
    /// Their bytes.
    pub record_bytes: u64,
    /// When the first record was stored; 0 without records.
    pub first_stored: i64,
    /// When the last one was.
    pub last_stored: i64,
    /// Ranges inside the log that hold no readable records.
    pub damaged: Vec<Damaged>,
}

/// Records by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Kinds {
    /// Messages for consumers.
    pub normal: u64,
    /// Messages that wait for a delay level.
    pub delayed: u64,
    /// Messages that wait for RocketMQ's timer.
    pub timer: u64,
    /// Halves of transactions.
    pub half: u64,
    /// Outcomes of halves.
    pub op: u64,
    /// Rolled back, which no queue holds.
    pub rolled_back: u64,
    /// Placeholders of `repair --skip-damaged`.
    pub placeholders: u64,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueSurvey {
    /// The topic.
    pub topic: String,
    /// The queue.
    pub queue: u32,
    /// The offset of its first record in the log.
    pub min: u64,
    /// The offset of the next message.
    pub max: u64,
    /// Records in the log.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last one was stored; 0 without records.
    pub last_stored: i64,
}

/// One IndexFile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IndexSurvey {
    /// Its file.
    pub file: String,
    /// Entries in use.
    pub entries: u32,
    /// Entries that there is room for.
    pub capacity: u32,
    /// Slots in use.
    pub slots_used: u32,
    /// Slots that there are.
    pub slots: u32,
    /// When its first message was stored.
    pub first_stored: i64,
    /// When its last message was stored.
    pub last_stored: i64,
    /// Where its first message is.
    pub begin: u64,
    /// Where its last message is.
    pub end: u64,
}

/// What is in a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Survey {
    /// The CommitLog.
    pub log: LogSurvey,
    /// Its records by kind.
    pub kinds: Kinds,
    /// The queues, by topic and number.
    pub queues: Vec<QueueSurvey>,
    /// The index files, oldest first.
    pub index: Vec<IndexSurvey>,
    /// The small files.
    pub marks: MarksSurvey,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    min: Option<u64>,
    max: u64,
    records: u64,
    bytes: u64,
    last_stored: i64,
}

/// Counts records.
#[derive(Debug, Default)]
pub(super) struct Counter {
    pub(super) log: LogSurvey,
    kinds: Kinds,
    queues: HashMap<String, BTreeMap<u32, Tally>>,
}

impl Counter {
    pub(super) fn new(log: &LogFiles) -> Self {
        let log = LogSurvey {
            files: log.list.len(),
            file_size: log.size,
            begin: log.begin(),
            end: log.begin(),
            ..LogSurvey::default()
        };
        Self { log, ..Self::default() }
    }

    pub(super) fn record(&mut self, record: &View<'_>) {
        let bytes = record.bytes.len() as u64;
        let stored = record.store_timestamp.0;
        if self.log.records == 0 {
            self.log.first_stored = stored;
        }
        self.log.records += 1;
        self.log.record_bytes += bytes;
        self.log.last_stored = stored.max(self.log.last_stored);
        *self.kind(record) += 1;
        if !is_visible(record.sys_flag) {
            return;
        }
        if !self.queues.contains_key(record.topic) {
            self.queues.insert(record.topic.to_owned(), BTreeMap::new());
        }
        let queues = self.queues.entry(record.topic.to_owned()).or_default();
        let tally = queues.entry(record.queue.0).or_default();
        let offset = record.queue_offset.0;
        if offset == 0 {
            // The first, or the first after its topic was deleted and made again.
            *tally = Tally::default();
        }
        tally.min.get_or_insert(offset);
        tally.max = tally.max.max(offset.saturating_add(1));
        tally.records += 1;
        tally.bytes += bytes;
        tally.last_stored = stored;
    }

    const fn kind_of_flags(&mut self, flags: SysFlag) -> &mut u64 {
        match flags.transaction() {
            SysFlag::TRANSACTION_ROLLBACK => &mut self.kinds.rolled_back,
            SysFlag::TRANSACTION_PREPARED => &mut self.kinds.half,
            _ => &mut self.kinds.normal,
        }
    }

    fn kind(&mut self, record: &View<'_>) -> &mut u64 {
        match record.topic {
            names::SCHEDULE_TOPIC => &mut self.kinds.delayed,
            names::TIMER_TOPIC => &mut self.kinds.timer,
            names::TRANS_HALF_TOPIC => &mut self.kinds.half,
            names::TRANS_OP_HALF_TOPIC => &mut self.kinds.op,
            topic if plan::is_placeholder(topic, record.sys_flag) => &mut self.kinds.placeholders,
            _ => self.kind_of_flags(record.sys_flag),
        }
    }

    pub(super) fn finish(
        mut self,
        site: &Site,
        end: &End,
        index: &[index_files::IndexFileAt],
        marks: &marks::Read,
    ) -> Result<Survey, Error> {
        self.log.end = end.at;
        let mut queues: Vec<QueueSurvey> = Vec::new();
        for (topic, tallies) in self.queues {
            queues.extend(tallies.into_iter().map(|(queue, tally)| QueueSurvey {
                topic: topic.clone(),
                queue,
                min: tally.min.unwrap_or(tally.max),
                max: tally.max,
                records: tally.records,
                bytes: tally.bytes,
                last_stored: tally.last_stored,
            }));
        }
        queues.sort_by(|a, b| (&a.topic, a.queue).cmp(&(&b.topic, b.queue)));
        let index = index.iter().map(|file| IndexSurvey {
            file: file.name.clone(),
            entries: file.header.next_entry - 1,
            capacity: file.shape.entries.saturating_sub(1),
            slots_used: file.header.slots_used,
            slots: file.shape.slots,
            first_stored: file.header.begin_timestamp,
            last_stored: file.header.end_timestamp,
            begin: file.header.begin_physical,
            end: file.header.end_physical,
        });
        let index = index.collect();
        let marks = marks.survey(site)?;
        Ok(Survey { log: self.log, kinds: self.kinds, queues, index, marks })
    }
}

/// Reads the whole log and tells what is in the store. `progress` is told how many bytes of how
/// many are read.
///
/// # Errors
/// What the filesystem says.
pub fn survey(site: &Site, progress: &mut dyn FnMut(u64, u64)) -> Result<Survey, Error> {
    let mut findings = Findings::default();
    let log = LogFiles::list(site, &mut findings)?;
    let dirs = QueueDirs::list(site, &mut findings)?;
    let index = index_files::list(site, &mut findings)?;
    let marks = marks::Read::of(site)?;
    let mut counter = Counter::new(&log);
    let mut walker = Walker::new(&log, &dirs);
    while let Some(next) = walker.step()? {
        match next {
            Next::Record { at, len } => {
                if let Some(record) = walker.record(at, len)? {
                    counter.record(&record);
                }
            }
            Next::Damaged(damaged) => counter.log.damaged.push(damaged),
            Next::Filler { .. } => {}
        }
        progress(walker.at() - log.begin(), log.limit() - log.begin());
    }
    counter.finish(site, &walker.end(), &index, &marks)
}
