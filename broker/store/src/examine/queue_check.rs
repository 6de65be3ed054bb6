//! Consume queues against the log: each record has its entry, and each entry its record.

mod beginning;
mod former;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use blockhouse_model::{QueueId, Topic, names};
use blockhouse_record::View;
use serde::Serialize;

use super::finding::{Finding, Findings, Kind, Remedy, Severity};
use super::queue_dirs::QueueDirs;
use super::site::Site;
use super::walk::Damaged;
use crate::Error;
use crate::queue::{BLANK_SIZE, Queue, Unit};
use crate::queue_table::QueueTable;

/// Entries that are read at once.
const WINDOW: u64 = 400;
/// Queues of which entries are in memory at a time.
const WINDOWS_MAX: usize = 4_096;
/// Lost messages that are named; more are only counted.
const LOST_MAX: usize = 1_000;
/// A queue offset so far behind the one before is taken for damage.
pub(super) const GAP_MAX: u64 = 1 << 20;

/// A message that an entry knows and the log has no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lost {
    /// Its topic.
    pub topic: String,
    /// Its queue.
    pub queue: u32,
    /// Its offset there.
    pub offset: u64,
    /// Where it was in the log.
    pub physical: u64,
    /// How long its record was.
    pub size: u32,
}

/// A number of entries with the same problem, and the first of them.
#[derive(Clone, Debug, Default)]
struct Problem {
    count: u64,
    first: Option<(u64, u64, String)>,
}

impl Problem {
    fn add(&mut self, offset: u64, physical: u64, problem: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((offset, physical, problem()));
        }
    }
}

/// What is known of one queue.
pub(super) struct State {
    /// For the shaper: topic and hash.
    pub(super) queue: Queue,
    /// The offset of its first record in the log.
    pub(super) first: Option<u64>,
    /// Where that lies.
    first_at: u64,
    /// The offset that comes next.
    pub(super) next: u64,
    /// Where its first record lies since its topic was made (again).
    pub(super) began_at: u64,
    /// Entries from here on are nobody's.
    pub(super) end: u64,
    /// Where its last record lies.
    pub(super) last_at: u64,
    window: (u64, Vec<Unit>),
    missing: Problem,
    lagging: Problem,
    wrong: Problem,
    stray: Problem,
    stray_lagging: Problem,
}

impl State {
    fn new(topic: &str, id: u32) -> Self {
        Self {
            queue: Queue::new(Topic::trusted(topic), QueueId(id), 0, 0, 0),
            first: None,
            first_at: 0,
            next: 0,
            began_at: 0,
            end: 0,
            last_at: 0,
            window: (0, Vec::new()),
            missing: Problem::default(),
            lagging: Problem::default(),
            wrong: Problem::default(),
            stray: Problem::default(),
            stray_lagging: Problem::default(),
        }
    }

    /// The topic was deleted and made again: what was before is nobody's.
    fn begin_again(&mut self, at: u64) {
        (self.first, self.next, self.began_at) = (None, 0, at);
        (self.missing, self.lagging, self.wrong) = Default::default();
    }
}

/// The entry that a record should have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) offset: u64,
    pub(super) unit: Unit,
}

/// Checks entries while the log is walked through.
pub(super) struct QueueCheck<'a> {
    site: &'a Site,
    dirs: &'a QueueDirs,
    /// Records from here on are dispatched by the next start.
    replay_from: u64,
    log_begin: u64,
    /// Every message of before is in the log: nothing was taken off it, or given up by a repair.
    pub(super) log_is_whole: bool,
    pub(super) states: HashMap<String, BTreeMap<u32, State>>,
    windows: usize,
    /// Damaged ranges so far.
    pub(super) damaged: Vec<Damaged>,
    pub(super) lost: Vec<Lost>,
    pub(super) lost_count: u64,
    /// Records whose queue offset cannot be right.
    pub(super) misplaced: BTreeSet<u64>,
    /// The queues that there were at the last checkpoint, and where that was.
    table: Option<(HashMap<String, BTreeSet<u32>>, u64)>,
    /// Some records wait for the next start to get their entries.
    pub(super) lags: bool,
}

impl<'a> QueueCheck<'a> {
    pub(super) fn new(
        site: &'a Site,
        dirs: &'a QueueDirs,
        log_begin: u64,
        replay_from: u64,
    ) -> Self {
        let mut states: HashMap<String, BTreeMap<u32, State>> = HashMap::new();
        for (topic, queues) in &dirs.topics {
            let states = states.entry(topic.clone()).or_default();
            states.extend(queues.keys().map(|id| (*id, State::new(topic, *id))));
        }
        Self {
            site,
            dirs,
            replay_from,
            log_begin,
            log_is_whole: log_begin == 0,
            states,
            windows: 0,
            damaged: Vec::new(),
            lost: Vec::new(),
            lost_count: 0,
            misplaced: BTreeSet::new(),
            table: None,
            lags: false,
        }
    }

    /// Knows which queues there were at the last checkpoint.
    pub(super) fn with_table(mut self, table: Option<&QueueTable>) -> Self {
        self.table = table.map(|table| {
            let mut known: HashMap<String, BTreeSet<u32>> = HashMap::new();
            for (topic, id) in table.places() {
                known.entry(topic.to_owned()).or_default().insert(id);
            }
            (known, table.scope.applied)
        });
        self
    }

    /// The queue of a record.
    pub(super) fn state(&mut self, topic: &str, id: u32) -> &mut State {
        if !self.states.contains_key(topic) {
            self.states.insert(topic.to_owned(), BTreeMap::new());
        }
        let queues = self.states.entry(topic.to_owned()).or_default();
        queues.entry(id).or_insert_with(|| State::new(topic, id))
    }

    /// Looks at a record's entry.
    pub(super) fn record(
        &mut self,
        record: &View<'_>,
        expected: Expected,
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let (topic, id, at) = (record.topic, record.queue.0, expected.unit.physical);
        let Expected { offset, unit } = expected;
        let state = self.state(topic, id);
        let (next, first) = (state.next, state.first);
        let actual = self.entry(topic, id, offset)?;
        let fits = actual == Some(unit);
        if first.is_some() && offset != next && !fits {
            // The offset has no checksum; the queue may know better.
            let known = self.entry(topic, id, next)?.is_some_and(|u| u.physical == at);
            let impossible = offset > next.saturating_add(GAP_MAX) || (offset < next && offset > 0);
            if known || impossible {
                let problem =
                    format!("{topic} {id}: the record says it is at offset {offset}, not {next}");
                let what = (Kind::Record, Remedy::None);
                findings.damage(what, self.log_name(at), at, problem);
                self.misplaced.insert(at);
                let state = self.state(topic, id);
                state.next += u64::from(known);
                return Ok(());
            }
        }
        if first.is_some() && offset < next {
            self.state(topic, id).begin_again(at);
        } else if first.is_some() && offset > next {
            self.gap(topic, id, (next, offset), unit)?;
        }
        let replay_from = self.replay_from;
        if first.is_none() {
            self.doubt_beginning(record, expected, findings)?;
        }
        let state = self.state(topic, id);
        if state.first.is_none() {
            (state.first, state.first_at) = (Some(offset), at);
        }
        (state.next, state.last_at) = (offset + 1, at);
        if !fits {
            let is_missing = actual.is_none_or(|u| u.size == 0 || u.size == BLANK_SIZE);
            let list = match (is_missing, at >= replay_from) {
                (true, true) => &mut state.lagging,
                (true, false) => &mut state.missing,
                _ => &mut state.wrong,
            };
            list.add(offset, at, || describe(actual, unit));
        }
        Ok(())
    }

    /// Entries between two records of a queue: of lost messages, they lead to the second, `then`.
    fn gap(
        &mut self,
        topic: &str,
        id: u32,
        (from, to): (u64, u64),
        then: Unit,
    ) -> Result<(), Error> {
        for offset in from..to.min(from.saturating_add(GAP_MAX)) {
            match self.entry(topic, id, offset)? {
                Some(unit) if unit == then => {}
                Some(unit) if unit.is_entry() => {
                    // The queue went on behind it: no start will bring its record.
                    self.without_record(topic, id, (offset, unit), false);
                }
                Some(unit) if unit.size == BLANK_SIZE => {}
                _ => {
                    let state = self.state(topic, id);
                    state.wrong.add(offset, 0, || "neither entry nor blank".to_owned());
                }
            }
        }
        Ok(())
    }

    /// An entry that has no record; if it `may_lag`, the next start takes it away where it lies behind the checkpoint.
    fn without_record(&mut self, topic: &str, id: u32, (offset, unit): (u64, Unit), may_lag: bool) {
        if unit.physical < self.log_begin {
            return;
        }
        let lies_in = |d: &Damaged| unit.physical >= d.from && unit.physical < d.to;
        if self.damaged.iter().any(lies_in) {
            self.lost_count += 1;
            if self.lost.len() < LOST_MAX {
                let (physical, size) = (unit.physical, unit.size);
                let topic = topic.to_owned();
                self.lost.push(Lost { topic, queue: id, offset, physical, size });
            }
        }
        let replay_from = self.replay_from;
        let state = self.state(topic, id);
        let lags = may_lag && unit.physical >= replay_from;
        let list = if lags { &mut state.stray_lagging } else { &mut state.stray };
        list.add(offset, unit.physical, || {
            format!(
                "points to {} ({} bytes), where none of its records is",
                unit.physical, unit.size
            )
        });
    }

    fn entry(&mut self, topic: &str, id: u32, offset: u64) -> Result<Option<Unit>, Error> {
        let dirs = self.dirs;
        let at = |window: &(u64, Vec<Unit>)| -> Option<Unit> {
            let i = usize::try_from(offset.checked_sub(window.0)?).ok()?;
            window.1.get(i).copied()
        };
        if let Some(unit) = at(&self.state(topic, id).window) {
            return Ok(Some(unit));
        }
        if self.windows >= WINDOWS_MAX {
            self.windows = 0;
            for state in self.states.values_mut().flat_map(BTreeMap::values_mut) {
                state.window = (0, Vec::new());
            }
        }
        let units = dirs.read(topic, id, offset, WINDOW)?;
        let state = self.state(topic, id);
        let was_empty = state.window.1.is_empty();
        state.window = (offset, units);
        let unit = at(&state.window);
        self.windows += usize::from(was_empty);
        Ok(unit)
    }

    /// Whether the record's queue is an ordinary one that has files.
    pub(super) fn has_files(&self, record: &View<'_>) -> bool {
        !self.dirs.files(record.topic, record.queue.0).is_empty()
    }

    /// The tags code that a record's entry has, if the entry is the record's.
    pub(super) fn tags_code(&mut self, record: &View<'_>) -> Result<Option<i64>, Error> {
        let unit = self.entry(record.topic, record.queue.0, record.queue_offset.0)?;
        let unit = unit.filter(|unit| unit.physical == record.physical_offset.0);
        Ok(unit.map(|unit| unit.tags_code))
    }

    fn log_name(&self, at: u64) -> String {
        self.site.name(&self.site.log_dir) + &format!(" at {at}")
    }

    /// After the last record: what is left in the queues, and the findings of all.
    pub(super) fn finish(&mut self, findings: &mut Findings) -> Result<(), Error> {
        let mut names: Vec<(String, u32)> = self
            .states
            .iter()
            .flat_map(|(topic, queues)| queues.keys().map(|id| (topic.clone(), *id)))
            .collect();
        names.sort();
        for (topic, id) in names {
            if !topic.starts_with(names::LMQ_PREFIX) {
                self.rest(&topic, id)?;
            }
            self.state(&topic, id).window = (0, Vec::new());
            self.report(&topic, id, findings);
        }
        Ok(())
    }

    /// Entries before the first and behind the last record. Those of messages that had gone from the log
    /// before a start made entries for them lead to the first.
    fn rest(&mut self, topic: &str, id: u32) -> Result<(), Error> {
        let (first, first_at, next) = {
            let state = self.state(topic, id);
            (state.first, state.first_at, state.next)
        };
        let leads_on = |at: u64, unit: Unit| {
            first.is_some_and(|first| at < first) && unit.physical == first_at
        };
        let mut end = next;
        for start in self.dirs.files(topic, id).to_vec() {
            let stop = start + self.dirs.per_file;
            let mut at = start;
            while at < stop {
                if first.is_some_and(|first| at >= first) && at < next {
                    at = next;
                    continue;
                }
                let Some(data) = self.dirs.next_data(topic, id, at)? else { break };
                at = at.max(data);
                let units = self.dirs.read(topic, id, at, WINDOW)?;
                if units.is_empty() {
                    break;
                }
                for unit in units {
                    let covered = first.is_some_and(|first| at >= first) && at < next;
                    if unit.is_entry() && !covered && !leads_on(at, unit) {
                        self.without_record(topic, id, (at, unit), true);
                    }
                    let expired = unit.is_entry() && unit.physical < self.log_begin;
                    if first.is_none() && (expired || unit.size == BLANK_SIZE) {
                        end = at + 1;
                    }
                    at += 1;
                }
            }
        }
        self.state(topic, id).end = end;
        Ok(())
    }

    fn report(&mut self, topic: &str, id: u32, findings: &mut Findings) {
        let file = self.site.name(&self.dirs.dir(topic, id));
        // Its queues may be there still: a crash can leave half a deletion.
        let deleted = !self.site.has_topic(topic) || self.is_former(topic, id);
        let state = self.state(topic, id);
        let mut add = |some: &Problem, what: &str, severity, remedy| {
            let Some((offset, physical, problem)) = &some.first else { return };
            let place =
                if *physical > 0 { format!(" (record at {physical})") } else { String::new() };
            findings.add(Finding {
                kind: Kind::QueueEntry,
                severity,
                file: file.clone(),
                offset: Some(*offset),
                problem: format!("{} {what}: {problem}{place}", some.count),
                remedy,
            });
        };
        let (damage, notice) = (Severity::Damage, Severity::Notice);
        if deleted {
            for left in [&state.missing, &state.lagging, &state.wrong] {
                add(left, "records of a deleted topic", notice, Remedy::None);
            }
        } else {
            add(&state.missing, "records have no entry", damage, Remedy::RebuildQueues);
            add(&state.lagging, "entries are not written yet", notice, Remedy::NextStart);
            add(&state.wrong, "entries are wrong", damage, Remedy::RebuildQueues);
        }
        add(&state.stray, "entries have no record", damage, Remedy::RebuildQueues);
        add(&state.stray_lagging, "entries have no record", notice, Remedy::NextStart);
        let lags = state.lagging.count + state.stray_lagging.count > 0;
        self.lags |= lags && !deleted;
    }
}

fn describe(actual: Option<Unit>, expected: Unit) -> String {
    match actual {
        None => "there is no such file".to_owned(),
        Some(unit) if unit.size == 0 => "nothing is there".to_owned(),
        Some(unit) if unit.size == BLANK_SIZE => "a blank is there".to_owned(),
        Some(unit) if unit.physical == expected.physical && unit.size == expected.size => {
            format!("tags code is {}, not {}", unit.tags_code, expected.tags_code)
        }
        Some(unit) => format!(
            "points to {} ({} bytes), not {} ({} bytes)",
            unit.physical, unit.size, expected.physical, expected.size
        ),
    }
}
