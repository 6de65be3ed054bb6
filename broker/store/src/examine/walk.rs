//! Reading a log from end to end in spite of damage.
//!
//! Recovery stops at the first place that holds no whole record. Here the search goes on: if a
//! record of the same log follows, the place is damage inside the log; if not, the log ends there.
//! A record that follows belongs to the same log if it is not older than the last one before the
//! place, or if its queue points to it: both brokers cut queues when they cut the log, and times
//! in a log do not fall.

use std::sync::Arc;

use blockhouse_disk::DiskFile;
use blockhouse_record::{Checked, View, check, layout, view};
use serde::Serialize;

use super::log_files::LogFiles;
use super::queue_dirs::QueueDirs;
use crate::Error;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;
/// From here to there in a record is all that tells whether its sizes fit.
const HEAD: usize = layout::FIXED_LEN + 2 * layout::V6_EXTRA;
/// Topic, properties and their lengths at most.
const NAMES_MAX: usize = layout::TOPIC_V2_MAX + layout::PROPERTIES_MAX + 4;

/// A range inside the log that holds no readable records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Damaged {
    /// Where it begins.
    pub from: u64,
    /// Where the next readable record begins.
    pub to: u64,
    /// What is wrong at its beginning.
    pub problem: String,
    /// When the last record before it was stored; 0 if there is none.
    pub stored_before: i64,
}

/// What comes next in the log.
#[derive(Clone, Debug)]
pub(super) enum Next {
    /// A whole record.
    Record { at: u64, len: usize },
    /// The rest of the file is given up; `stated` is how long it says the rest is.
    Filler { at: u64, to: u64, stated: u64 },
    /// What is here cannot be read, and records follow.
    Damaged(Damaged),
}

/// How a log ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// Where.
    pub(super) at: u64,
    /// What is wrong with what is there, if it is more than zeros or a filler.
    pub(super) torn: Option<String>,
    /// A filler, without a record in the next file.
    pub(super) filler: bool,
    /// Whole records of an older end of the log that follow, and where the first is.
    pub(super) stale: u64,
    pub(super) stale_at: Option<u64>,
}

/// What lies at one place.
enum Look {
    Record(usize),
    Filler(u64),
    Zeros,
    Bad(String),
}

/// A piece of one file in memory.
#[derive(Default)]
struct Window {
    file: Option<(u64, Arc<dyn DiskFile>)>,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Up to `len` bytes from `at` on, within the file that holds it.
    fn bytes(&mut self, log: &LogFiles, at: u64, len: usize) -> Result<&[u8], Error> {
        let Some(file) = log.holding(at) else { return Ok(&[]) };
        let left = usize::try_from(file.base + log.size - at).unwrap_or(usize::MAX);
        let len = len.min(left);
        if !self.has(file.base, at, len) {
            self.fill(log, file.base, at, len.max(CHUNK).min(left))?;
        }
        let skip = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        let rest = self.bytes.get(skip..).unwrap_or(&[]);
        Ok(rest.get(..len).unwrap_or(rest))
    }

    fn has(&self, base: u64, at: u64, len: usize) -> bool {
        self.file.as_ref().is_some_and(|(of, _)| *of == base)
            && self.start <= at
            && at + len as u64 <= self.start + self.bytes.len() as u64
    }

    fn fill(&mut self, log: &LogFiles, base: u64, at: u64, len: usize) -> Result<(), Error> {
        let file = self.open(log, base)?;
        self.bytes.resize(len, 0);
        let read = file.read_at(&mut self.bytes, at - base);
        let n = read.map_err(Error::io("read", &log.path(base)))?;
        self.bytes.truncate(n);
        self.start = at;
        Ok(())
    }

    fn open(&mut self, log: &LogFiles, base: u64) -> Result<Arc<dyn DiskFile>, Error> {
        match &self.file {
            Some((of, file)) if *of == base => Ok(Arc::clone(file)),
            _ => {
                let file = log.open(base)?;
                self.file = Some((base, Arc::clone(&file)));
                self.bytes.clear();
                Ok(file)
            }
        }
    }
}

/// Walks through a log.
pub(super) struct Walker<'a> {
    log: &'a LogFiles,
    queues: &'a QueueDirs,
    window: Window,
    at: u64,
    stored: i64,
    end: Option<End>,
}

impl<'a> Walker<'a> {
    /// From the log's beginning.
    pub(super) fn new(log: &'a LogFiles, queues: &'a QueueDirs) -> Self {
        let window = Window::default();
        Self { log, queues, window, at: log.begin(), stored: 0, end: None }
    }

    /// From the first record at `from` or behind it.
    pub(super) fn from(log: &'a LogFiles, queues: &'a QueueDirs, from: u64) -> Result<Self, Error> {
        let mut walker = Self::new(log, queues);
        if from > log.begin() {
            walker.at = match walker.look(from)? {
                Look::Record(_) => from,
                _ => walker.resync(from, &mut End::default())?.unwrap_or(log.limit()),
            };
        }
        Ok(walker)
    }

    /// Where it is.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// How the log ends; known after [`Walker::step`] gave nothing more.
    pub(super) fn end(&self) -> End {
        self.end.clone().unwrap_or_default()
    }

    /// A record that [`Walker::step`] gave.
    pub(super) fn record(&mut self, at: u64, len: usize) -> Result<Option<View<'_>>, Error> {
        Ok(View::parse(self.window.bytes(self.log, at, len)?).ok())
    }

    /// What comes next, `None` at the end.
    pub(super) fn step(&mut self) -> Result<Option<Next>, Error> {
        if self.end.is_some() {
            return Ok(None);
        }
        let at = self.at;
        if at >= self.log.limit() {
            self.end = Some(End { at, ..End::default() });
            return Ok(None);
        }
        match self.look(at)? {
            Look::Record(len) => {
                self.at = at + len as u64;
                self.stored = self.time_of(at, len)?.max(self.stored);
                Ok(Some(Next::Record { at, len }))
            }
            Look::Filler(stated) => {
                let to = self.log.file_end(at);
                let mut end = End { at, filler: true, ..End::default() };
                if !matches!(self.look(to)?, Look::Record(_))
                    && self.resync(to, &mut end)?.is_none()
                {
                    self.end = Some(end);
                    return Ok(None);
                }
                self.at = to;
                Ok(Some(Next::Filler { at, to, stated }))
            }
            Look::Zeros => self.gap(at, None),
            Look::Bad(problem) => self.gap(at, Some(problem)),
        }
    }

    /// Whether a record, a filler or nothing begins at `at`.
    pub(super) fn is_boundary(&mut self, at: u64) -> Result<bool, Error> {
        Ok(!matches!(self.look(at)?, Look::Bad(_)))
    }

    /// When the record at `at` was stored, if one is there.
    pub(super) fn time_at(&mut self, at: u64) -> Result<Option<i64>, Error> {
        let Look::Record(len) = self.look(at)? else { return Ok(None) };
        self.time_of(at, len).map(Some)
    }

    fn time_of(&mut self, at: u64, len: usize) -> Result<i64, Error> {
        Ok(self.record(at, len)?.map_or(0, |record| record.store_timestamp.0))
    }

    /// At a place without a record: damage, or the end.
    fn gap(&mut self, at: u64, torn: Option<String>) -> Result<Option<Next>, Error> {
        let mut end = End { at, torn: torn.clone(), ..End::default() };
        let Some(to) = self.resync(at + 1, &mut end)? else {
            self.end = Some(end);
            return Ok(None);
        };
        let missing = self.log.holding(at).is_none();
        let problem = match torn {
            Some(problem) => problem,
            None if missing => "the file is missing".to_owned(),
            None => "zeros instead of a record".to_owned(),
        };
        self.at = to;
        Ok(Some(Next::Damaged(Damaged { from: at, to, problem, stored_before: self.stored })))
    }

    fn look(&mut self, at: u64) -> Result<Look, Error> {
        let left = usize::try_from(self.log.file_end(at) - at).unwrap_or(usize::MAX);
        let head = self.window.bytes(self.log, at, HEAD)?;
        if head.iter().take(8).all(|b| *b == 0) {
            return Ok(Look::Zeros);
        }
        let number = |at: usize| head.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b));
        if number(layout::MAGIC) == Some(layout::MAGIC_BLANK) {
            return Ok(Look::Filler(u64::from(number(0).unwrap_or(0))));
        }
        let size = match head_problem(head, at, left) {
            Ok(size) => size,
            Err(problem) => return Ok(Look::Bad(problem)),
        };
        Ok(match check(self.window.bytes(self.log, at, size)?) {
            Ok(Checked::Message(record)) => Look::Record(record.bytes.len()),
            Ok(Checked::Filler) => Look::Bad("a filler inside a record".to_owned()),
            Err(e) => Look::Bad(e.to_string()),
        })
    }

    /// The next place from `from` on where the log goes on; counts records of an older end.
    fn resync(&mut self, from: u64, end: &mut End) -> Result<Option<u64>, Error> {
        let mut at = from;
        while let Some(place) = self.next_candidate(at)? {
            let goes_on = match self.look(place)? {
                Look::Record(len) => {
                    let goes_on = self.is_same_log(place, len)?;
                    if !goes_on {
                        end.stale += 1;
                        end.stale_at.get_or_insert(place);
                        at = place + len as u64;
                        continue;
                    }
                    goes_on
                }
                Look::Filler(stated) => {
                    let to = self.log.file_end(place);
                    stated == to - place && matches!(self.look(to)?, Look::Record(_))
                }
                _ => false,
            };
            if goes_on {
                return Ok(Some(place));
            }
            at = place + 1;
        }
        Ok(None)
    }

    fn is_same_log(&mut self, at: u64, len: usize) -> Result<bool, Error> {
        let stored = self.stored;
        let queues = self.queues;
        let Some(record) = self.record(at, len)? else { return Ok(false) };
        if record.store_timestamp.0 >= stored {
            return Ok(true);
        }
        let (topic, queue, offset) = (record.topic.to_owned(), record.queue, record.queue_offset);
        let units = queues.read(&topic, queue.0, offset.0, 1)?;
        Ok(units
            .first()
            .is_some_and(|unit| unit.physical == at && u64::from(unit.size) == len as u64))
    }

    /// The next place from `at` on that has a magic number and, if of a record, its own position.
    fn next_candidate(&mut self, mut at: u64) -> Result<Option<u64>, Error> {
        loop {
            let Some(file) = self.log.holding(at) else {
                let Some(base) = self.log.next_base(at) else { return Ok(None) };
                at = base;
                continue;
            };
            let open = self.window.open(self.log, file.base)?;
            let data = open.next_data(at - file.base);
            let data = data.map_err(Error::io("read", &self.log.path(file.base)))?;
            let Some(data) = data else {
                at = file.base + self.log.size;
                continue;
            };
            // A record's first bytes are zeros: it may begin before what is known to be data.
            at = at.max((file.base + data).saturating_sub(8));
            let bytes = self.window.bytes(self.log, at, CHUNK)?;
            let found = first_used(bytes).and_then(|_| candidate(bytes, at));
            if let Some(skip) = found {
                return Ok(Some(at + skip as u64));
            }
            let seen = bytes.len() as u64;
            // The next piece begins where a head could have been cut.
            let step = seen.saturating_sub(HEAD as u64);
            let at_end = at + seen >= file.base + self.log.size || seen <= HEAD as u64;
            at = if at_end { file.base + self.log.size } else { at + step };
        }
    }
}

/// Where the first byte is that is not zero. Logs end in zeros for a gigabyte: whole blocks are
/// looked at, which the compiler does with wide registers.
pub(super) fn first_used(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 4096;
    let used = |block: &[u8]| block.iter().fold(0, |seen, b| seen | b) != 0;
    let block = bytes.chunks(BLOCK).position(used)?;
    let inside = bytes.get(block * BLOCK..)?.iter().position(|b| *b != 0)?;
    Some(block * BLOCK + inside)
}

/// The size of the record whose head this is, if all that a head says fits.
fn head_problem(head: &[u8], at: u64, left: usize) -> Result<usize, String> {
    let number = |at: usize| -> Result<u32, String> {
        let field = head.get(at..).and_then(<[u8]>::first_chunk);
        field.map(|b| u32::from_be_bytes(*b)).ok_or_else(|| "record is cut short".to_owned())
    };
    let magic = number(layout::MAGIC)?;
    if !matches!(magic, layout::MAGIC_V1 | layout::MAGIC_V2) {
        return Err(format!("unknown magic number {magic:#010x}"));
    }
    let high = u64::from(number(layout::PHYSICAL_OFFSET)?);
    let says = high << 32 | u64::from(number(layout::PHYSICAL_OFFSET + 4)?);
    if says != at {
        return Err(format!("the record says it is at {says}"));
    }
    let size = view::total_size(head).unwrap_or(0);
    if size.saturating_add(layout::FILLER_LEN) > left {
        return Err(format!("a record of {size} bytes where {left} are left in the file"));
    }
    let flags = blockhouse_model::SysFlag(number(layout::SYS_FLAG)?.cast_signed());
    let extra = |bit: i32| if flags.has(bit) { layout::V6_EXTRA } else { 0 };
    let hosts = extra(blockhouse_model::SysFlag::BORN_HOST_V6)
        + extra(blockhouse_model::SysFlag::STORE_HOST_V6);
    let body = usize::try_from(number(84 + hosts)?).unwrap_or(usize::MAX);
    // So that a wrong size is not read and checked first.
    let least = body.saturating_add(layout::FIXED_LEN + hosts);
    if size < least || size > least.saturating_add(NAMES_MAX) {
        return Err(format!("record of {size} bytes with a body of {body}"));
    }
    Ok(size)
}

/// The first place in `bytes`, which lie at `at`, that looks like a record's or filler's head.
fn candidate(bytes: &[u8], at: u64) -> Option<usize> {
    const SPAN: usize = layout::PHYSICAL_OFFSET + 8;
    bytes.windows(8).enumerate().position(|(i, head)| {
        // Magic numbers of records begin with DA, the filler's with CB.
        match head[layout::MAGIC] {
            0xDA => {
                let magic = head.get(layout::MAGIC..).and_then(<[u8]>::first_chunk);
                let magic = magic.map_or(0, |b| u32::from_be_bytes(*b));
                let place = bytes.get(i..i + SPAN).and_then(<[u8]>::last_chunk::<8>);
                matches!(magic, layout::MAGIC_V1 | layout::MAGIC_V2)
                    && place.is_some_and(|b| u64::from_be_bytes(*b) == at + i as u64)
            }
            0xCB => head.ends_with(&layout::MAGIC_BLANK.to_be_bytes()),
            _ => false,
        }
    })
}
