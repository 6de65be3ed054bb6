//! Index files against the log: both are in the log's order, so that they are read side by side.

use super::finding::{Findings, Kind, Remedy};
use super::index_files::{Entries, IndexFileAt};
use super::site::Site;
use crate::Error;
use crate::index::Entry;

/// What a record's properties ask the index for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys<'a> {
    /// The record's position.
    pub(super) at: u64,
    /// Hashes that must be there.
    pub(super) hashes: &'a [u32],
    /// A hash that may be there: whether tags are indexed is an option.
    pub(super) tag: Option<u32>,
    /// The next start takes care of what is missing.
    pub(super) lags: bool,
}

/// A count, and what the first was.
#[derive(Debug, Default)]
struct Count {
    count: u64,
    first: Option<(String, u64, String)>,
}

impl Count {
    fn add(&mut self, file: &str, offset: u64, problem: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((file.to_owned(), offset, problem()));
        }
    }
}

/// The file that is being read.
struct Current {
    entries: Entries,
    /// The newest entry of each hash slot so far.
    newest: Vec<u32>,
    chain: Count,
    last: Entry,
}

/// Checks the index while the log is walked through.
pub(super) struct IndexCheck<'a> {
    site: &'a Site,
    files: &'a [IndexFileAt],
    log_begin: u64,
    number: usize,
    current: Option<Current>,
    /// The entry that comes next, and its number.
    ahead: Option<(u32, Entry)>,
    here: Vec<u32>,
    physical: u64,
    missing: Count,
    lagging: Count,
    stray: Count,
    order: Count,
    /// How many tags were found in the index.
    pub(super) tags: u64,
    /// Some keys wait for the next start.
    pub(super) lags: bool,
}

impl<'a> IndexCheck<'a> {
    pub(super) fn new(
        site: &'a Site,
        files: &'a [IndexFileAt],
        log_begin: u64,
        findings: &mut Findings,
    ) -> Result<Self, Error> {
        let mut check = Self {
            site,
            files,
            log_begin,
            number: 0,
            current: None,
            ahead: None,
            here: Vec::new(),
            physical: 0,
            missing: Count::default(),
            lagging: Count::default(),
            stray: Count::default(),
            order: Count::default(),
            tags: 0,
            lags: false,
        };
        check.advance(findings)?;
        Ok(check)
    }

    fn file_name(&self) -> &'a str {
        self.files.get(self.number).map_or("index", |file| file.name.as_str())
    }

    /// Moves to the next entry, over the ends of files.
    fn advance(&mut self, findings: &mut Findings) -> Result<(), Error> {
        loop {
            let Some(file) = self.files.get(self.number) else {
                self.ahead = None;
                return Ok(());
            };
            if self.current.is_none() {
                self.current = Some(Current {
                    entries: Entries::open(self.site, file)?,
                    newest: vec![0; file.shape.slots as usize],
                    chain: Count::default(),
                    last: Entry { hash: 0, physical: 0, seconds: 0, previous: 0 },
                });
            }
            let Some(current) = &mut self.current else { return Ok(()) };
            if let Some((number, entry)) = current.entries.take()? {
                current.link(&file.name, file.shape.slots, number, entry);
                if entry.physical < self.physical {
                    let before = self.physical;
                    self.order.add(&file.name, number.into(), || {
                        format!("points to {}, the one before it to {before}", entry.physical)
                    });
                }
                self.physical = self.physical.max(entry.physical);
                self.ahead = Some((number, entry));
                return Ok(());
            }
            current.finish(file, findings)?;
            self.current = None;
            self.number += 1;
        }
    }

    /// Compares a record's keys with its entries.
    pub(super) fn record(&mut self, keys: Keys<'_>, findings: &mut Findings) -> Result<(), Error> {
        if self.site.options.no_index {
            return Ok(());
        }
        self.pass(keys.at, findings)?;
        self.here.clear();
        while let Some((number, entry)) = self.ahead.filter(|(_, e)| e.physical == keys.at) {
            self.here.push(entry.hash);
            if keys.tag == Some(entry.hash) {
                self.tags += 1;
            } else if !keys.hashes.contains(&entry.hash) {
                let file = self.file_name();
                self.stray.add(file, number.into(), || {
                    format!("the record at {} has no key of that hash", keys.at)
                });
            }
            self.advance(findings)?;
        }
        let file = self.file_name();
        for hash in keys.hashes {
            if !self.here.contains(hash) {
                let list = if keys.lags { &mut self.lagging } else { &mut self.missing };
                list.add(file, keys.at, || format!("first the record at {}", keys.at));
            }
        }
        Ok(())
    }

    /// Passes over the entries of places before `at`.
    fn pass(&mut self, at: u64, findings: &mut Findings) -> Result<(), Error> {
        while let Some((number, entry)) = self.ahead.filter(|(_, e)| e.physical < at) {
            // What an older, shorter log left behind its beginning has expired.
            if entry.physical >= self.log_begin {
                let file = self.file_name();
                self.stray.add(file, number.into(), || {
                    format!("points to {}, where no record is", entry.physical)
                });
            }
            self.advance(findings)?;
        }
        Ok(())
    }

    /// After the last record.
    pub(super) fn finish(&mut self, findings: &mut Findings) -> Result<(), Error> {
        self.pass(u64::MAX, findings)?;
        let damage = (Kind::IndexEntry, Remedy::RebuildIndex);
        let counts = [
            (&self.missing, "keys are not in the index"),
            (&self.stray, "entries are of no record"),
            (&self.order, "entries are out of the log's order"),
        ];
        for (count, what) in counts {
            if let Some((file, offset, problem)) = &count.first {
                let problem = format!("{} {what}: {problem}", count.count);
                findings.damage(damage, file.as_str(), *offset, problem);
            }
        }
        if let Some((file, offset, problem)) = &self.lagging.first {
            self.lags = true;
            let problem = format!("{} keys are not indexed yet: {problem}", self.lagging.count);
            let what = (Kind::IndexEntry, Remedy::NextStart);
            findings.notice(what, file.as_str(), *offset, problem);
        }
        Ok(())
    }
}

impl Current {
    /// An entry names the one before it in its slot.
    fn link(&mut self, file: &str, slots: u32, number: u32, entry: Entry) {
        let slot = entry.hash % slots;
        if let Some(newest) = self.newest.get_mut(slot as usize) {
            let before = std::mem::replace(newest, number);
            if before != entry.previous {
                self.chain.add(file, number.into(), || {
                    format!(
                        "names {} as the one before it in slot {slot}, not {before}",
                        entry.previous
                    )
                });
            }
        }
        self.last = entry;
    }

    fn finish(&self, file: &IndexFileAt, findings: &mut Findings) -> Result<(), Error> {
        let damage = (Kind::IndexFile, Remedy::RebuildIndex);
        if let Some((name, number, problem)) = &self.chain.first {
            let problem =
                format!("{} entries are not in their chains: {problem}", self.chain.count);
            findings.damage(damage, name.as_str(), *number, problem);
        }
        let (wrong, used) = self.entries.compare_slots(&self.newest)?;
        if let Some(slot) = wrong {
            let problem = format!("hash slot {slot} does not hold its newest entry");
            findings.damage(damage, file.name.as_str(), None, problem);
        }
        let header = file.header;
        if header.next_entry > 1 && header.end_physical != self.last.physical {
            let problem = format!(
                "the header says that the last entry points to {}, it points to {}",
                header.end_physical, self.last.physical
            );
            findings.damage(damage, file.name.as_str(), None, problem);
        }
        if header.slots_used != used {
            let problem =
                format!("the header says that {} slots are used, {used} are", header.slots_used);
            findings.damage(damage, file.name.as_str(), None, problem);
        }
        Ok(())
    }
}
