//! Everything against everything.

use blockhouse_model::java::java_hash_on;
use blockhouse_model::{SysFlag, Timestamp, names, properties};
use blockhouse_record::View;

use super::finding::{Findings, Kind, Remedy};
use super::index_check::{IndexCheck, Keys};
use super::index_files;
use super::log_files::LogFiles;
use super::marks;
use super::plan;
use super::queue_check::{Expected, Lost, QueueCheck};
use super::queue_dirs::QueueDirs;
use super::site::Site;
use super::survey::{Counter, Survey};
use super::walk::{Damaged, End, Next, Walker, first_used};
use crate::Error;
use crate::dispatch::is_visible;
use crate::index::{Shape as IndexShape, key_hash_on};
use crate::queue::Unit;
use crate::shape::{Shaper, TAG_KEY};

/// SYSFLAG of records that hold several messages, which have no plain entries.
const INNER_BATCH: i32 = 1 << 7;

/// What a check found.
#[non_exhaustive]
pub struct Report {
    /// What is there.
    pub survey: Survey,
    /// What is wrong with it.
    pub findings: Findings,
    /// Messages that lay in damaged ranges, as far as their queues know; of very many the first.
    pub lost: Vec<Lost>,
    /// How many there were.
    pub lost_count: u64,
    pub(super) facts: Facts,
}

/// What a repair needs to know besides.
pub(super) struct Facts {
    pub(super) end: End,
    /// Entries per ConsumeQueue file.
    pub(super) queue_file_entries: u64,
    pub(super) index_shape: IndexShape,
    pub(super) index_tags: bool,
    /// What is missing is taken care of by the next start.
    pub(super) queues_lag: bool,
    pub(super) index_lags: bool,
    pub(super) queues: Vec<QueueFacts>,
    /// Records whose queue offset cannot be right.
    pub(super) misplaced: std::collections::BTreeSet<u64>,
}

/// What is known of one queue.
pub(super) struct QueueFacts {
    pub(super) topic: String,
    pub(super) queue: u32,
    /// Its records before this are of a deleted topic of the same name; all are with the maximum.
    pub(super) began_at: u64,
    /// It has records in the log.
    pub(super) has_records: bool,
    /// Entries from here on are nobody's.
    pub(super) end: u64,
}

impl Report {
    /// Where queues end: the offset of the next message, with all messages before it that were
    /// there once.
    pub fn queue_ends(&self) -> impl Iterator<Item = (&str, u32, u64)> {
        self.facts.queues.iter().map(|q| (q.topic.as_str(), q.queue, q.end))
    }
}

/// The parts that look at each record.
struct Checks<'a> {
    counter: Counter,
    queues: QueueCheck<'a>,
    index: IndexCheck<'a>,
    shaper: Shaper,
    tags_matter: bool,
    replay_from: u64,
    hashes: Vec<u32>,
}

impl Checks<'_> {
    fn record(&mut self, record: &View<'_>, findings: &mut Findings) -> Result<(), Error> {
        self.counter.record(record);
        self.queues.log_is_whole &= !plan::is_placeholder(record.topic, record.sys_flag);
        judge_text(record, findings);
        let at = record.physical_offset.0;
        let state = self.queues.state(record.topic, record.queue.0);
        let hash = state.queue.key_hash;
        self.hashes.clear();
        let shape =
            self.shaper.shape(&state.queue, record.sys_flag, record.properties, &mut self.hashes);
        let plain = is_visible(record.sys_flag)
            && (!record.sys_flag.has(INNER_BATCH) || self.queues.has_files(record));
        if plain && !record.topic.starts_with(names::LMQ_PREFIX) {
            let mut unit = Unit {
                physical: at,
                size: u32::try_from(record.bytes.len()).unwrap_or(u32::MAX),
                tags_code: shape.tags_code(record.store_timestamp),
            };
            if !self.tags_matter {
                // ConsumeQueueExt: the field is a place in another file.
                unit.tags_code = self.queues.tags_code(record)?.unwrap_or(unit.tags_code);
            }
            let expected = Expected { offset: record.queue_offset.0, unit };
            self.queues.record(record, expected, findings)?;
        }
        let tag = record.property(properties::TAGS);
        let keys = Keys {
            at,
            hashes: &self.hashes,
            tag: tag.map(|tag| key_hash_on(java_hash_on(hash, TAG_KEY), tag)),
            lags: at >= self.replay_from,
        };
        self.index.record(keys, findings)
    }
}

/// Fields that no checksum covers.
fn judge_text(record: &View<'_>, findings: &mut Findings) {
    let what = (Kind::Record, Remedy::None);
    let mut add = |problem: String| {
        findings.damage(what, format!("topic {}", record.topic), record.physical_offset.0, problem);
    };
    let separator = char::from(properties::NAME_VALUE_SEPARATOR);
    let mut pairs = record.properties.split(char::from(properties::PAIR_SEPARATOR));
    if record.properties.is_empty() {
        // The length in front of no properties is the record's last two bytes.
        if !record.bytes.ends_with(&[0, 0]) {
            add("its properties are not UTF-8".to_owned());
        }
    } else if let Some(pair) = pairs.find(|p| !p.is_empty() && !p.contains(separator)) {
        let shown: String = pair.chars().take(40).collect();
        add(format!("its properties hold {shown:?}, which is no pair"));
    }
    if record.topic.is_empty() || record.topic.contains(['/', '\0']) {
        add("its topic is no name".to_owned());
    }
    if record.store_timestamp <= Timestamp(0) {
        add(format!("it says it was stored at {}", record.store_timestamp.0));
    }
    if record.sys_flag.has(SysFlag::TRANSACTION_PREPARED) && record.prepared_offset < 0 {
        add(format!("PREPAREDOFFSET is {}", record.prepared_offset));
    }
}

/// Reads the whole store and tells what is wrong. `progress` is told how many bytes of the log, of
/// how many, are read.
///
/// # Errors
/// What the filesystem says. What is wrong with the store is no error.
pub fn check(site: &Site, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, Error> {
    let mut findings = Findings::default();
    let log = LogFiles::list(site, &mut findings)?;
    let dirs = QueueDirs::list(site, &mut findings)?;
    let index_files = index_files::list(site, &mut findings)?;
    let marks = marks::Read::of(site)?;
    let mut walker = Walker::new(&log, &dirs);
    let replay_from = marks.replay_from(&log, &mut walker)?;
    let levels = site.options.delay_levels.clone();
    let mut checks = Checks {
        counter: Counter::new(&log),
        queues: QueueCheck::new(site, &dirs, log.begin(), replay_from)
            .with_table(marks.table(site)?.as_ref()),
        index: IndexCheck::new(site, &index_files, log.begin(), &mut findings)?,
        shaper: Shaper { levels, index: !site.options.no_index, index_tags: false },
        tags_matter: !site.disk.exists(&site.dir.join("consumequeue_ext")),
        replay_from,
        hashes: Vec::new(),
    };
    let mut damaged: Option<Damaged> = None;
    while let Some(next) = walker.step()? {
        match next {
            Next::Record { at, len } => {
                let Some(record) = walker.record(at, len)? else { continue };
                if let Some(mut damaged) = damaged.take() {
                    // Without a record before the damage, its time is the next one's.
                    if damaged.stored_before == 0 {
                        damaged.stored_before = record.store_timestamp.0;
                    }
                    add_damaged(site, damaged, &mut checks, &mut findings);
                }
                checks.record(&record, &mut findings)?;
            }
            Next::Damaged(range) => {
                if let Some(before) = damaged.replace(range) {
                    add_damaged(site, before, &mut checks, &mut findings);
                }
            }
            Next::Filler { at, to, stated } if stated != to - at => {
                let problem = format!("says that {stated} bytes are left, {} are", to - at);
                let what = (Kind::Filler, Remedy::None);
                findings.notice(what, site.name(&log.path(to - log.size)), at, problem);
            }
            Next::Filler { .. } => {}
        }
        progress(walker.at() - log.begin(), log.limit() - log.begin());
    }
    if let Some(damaged) = damaged {
        add_damaged(site, damaged, &mut checks, &mut findings);
    }
    let end = walker.end();
    judge_end(site, &log, (&end, marks.aborted), &mut findings)?;
    checks.queues.finish(&mut findings)?;
    checks.index.finish(&mut findings)?;
    let stored = checks.counter.log.last_stored;
    marks.judge((&log, &mut walker), (end.at, stored), &mut findings)?;
    let Checks { counter, queues, index, .. } = checks;
    let facts = Facts {
        end: end.clone(),
        queue_file_entries: dirs.per_file,
        index_shape: index_files
            .first()
            .map_or_else(|| index_files::shape_of_new(site.options.index_slots), |file| file.shape),
        index_tags: index.tags > 0,
        queues_lag: queues.lags,
        index_lags: index.lags,
        queues: queue_facts(site, &dirs, &queues),
        misplaced: queues.misplaced,
    };
    let survey = counter.finish(site, &end, &index_files, &marks)?;
    Ok(Report { survey, findings, lost: queues.lost, lost_count: queues.lost_count, facts })
}

fn add_damaged(site: &Site, range: Damaged, checks: &mut Checks<'_>, findings: &mut Findings) {
    let problem = format!("{} bytes cannot be read: {}", range.to - range.from, range.problem);
    let what = (Kind::DamagedRange, Remedy::SkipDamaged);
    findings.damage(what, site.name(&site.log_dir), range.from, problem);
    checks.queues.damaged.push(range.clone());
    checks.counter.log.damaged.push(range);
}

/// What lies behind the log's end.
fn judge_end(
    site: &Site,
    log: &LogFiles,
    (end, aborted): (&End, bool),
    findings: &mut Findings,
) -> Result<(), Error> {
    let name = |at: u64| {
        let base = log.holding(at).map_or(at, |file| file.base);
        site.name(&log.path(base))
    };
    let unclean = if aborted { ", as after a crash; the next start cuts it, too" } else { "" };
    if let Some(torn) = &end.torn {
        let problem = format!("the log ends with no whole record: {torn}{unclean}");
        findings.damage((Kind::TornTail, Remedy::ZeroTail), name(end.at), end.at, problem);
    } else if end.filler {
        let problem = "a filler, and no record in the next file";
        findings.notice((Kind::Filler, Remedy::NextStart), name(end.at), end.at, problem);
    }
    let mut behind = end.at;
    if end.filler {
        behind += blockhouse_record::layout::FILLER_LEN as u64;
    }
    if let (Some(at), None) = (first_byte(log, behind)?, &end.torn) {
        let problem = match end.stale_at {
            Some(first) => format!(
                "{} records of a former end of the log follow behind its end, the first at {first}",
                end.stale
            ),
            None => "something else than zeros follows the log's end".to_owned(),
        };
        findings.damage((Kind::StaleBytes, Remedy::ZeroTail), name(at), at, problem);
    }
    Ok(())
}

/// The first byte from `at` on that is not zero.
fn first_byte(log: &LogFiles, at: u64) -> Result<Option<u64>, Error> {
    let mut buffer = vec![0; 1 << 20];
    for file in log.list.iter().filter(|file| file.base + log.size > at) {
        let open = log.open(file.base)?;
        let path = log.path(file.base);
        let mut inside = at.saturating_sub(file.base);
        while let Some(data) = open.next_data(inside).map_err(Error::io("read", &path))? {
            let n = open.read_at(&mut buffer, data).map_err(Error::io("read", &path))?;
            let found = buffer.get(..n).and_then(first_used);
            if let Some(i) = found {
                return Ok(Some(file.base + data + i as u64));
            }
            if n == 0 {
                break;
            }
            inside = data + n as u64;
        }
    }
    Ok(None)
}

fn queue_facts(site: &Site, dirs: &QueueDirs, queues: &QueueCheck<'_>) -> Vec<QueueFacts> {
    let mut facts = Vec::new();
    for (topic, states) in &queues.states {
        let deleted = !site.has_topic(topic) && !dirs.has_topic(topic);
        for (id, state) in states {
            let former = deleted || queues.is_former(topic, *id);
            facts.push(QueueFacts {
                topic: topic.clone(),
                queue: *id,
                began_at: if former { u64::MAX } else { state.began_at },
                has_records: state.first.is_some(),
                end: state.end,
            });
        }
    }
    facts.sort_by(|a, b| (&a.topic, a.queue).cmp(&(&b.topic, b.queue)));
    facts
}
