//! Whether a log is what was signed. Reads only, also while a node writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use blockhouse_disk::{Disk, whole};

use crate::Error;
use crate::lines::{Line, Lines};
use crate::links::{Links, Misfit};
use crate::note::{Checkpoint, PublicKey};
use crate::segment::{self, Head, Notes};
use crate::tree::{Hash, Tree, leaf};

/// Findings after which no more are looked for.
const FINDINGS_MAX: usize = 100;

/// What is to be checked.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose signatures count.
    pub key: PublicKey,
    /// A checkpoint that was kept elsewhere.
    pub checkpoint: Option<String>,
}

/// Something that is not as it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In which file.
    pub file: String,
    /// The record, where it is about one.
    pub record: Option<u64>,
    /// What.
    pub what: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The first record that is there.
    pub first: u64,
    /// How many records the log has had.
    pub records: u64,
    /// Files of records.
    pub segments: usize,
    /// Checkpoints in the files.
    pub checkpoints: u64,
    /// Records that no checkpoint counts yet.
    pub unsigned: u64,
    /// Bytes at the end that are being written, or that a crash left.
    pub torn: u64,
    /// How many records the checkpoint from elsewhere counts; `None` without one, or if it is older than
    /// all that is there.
    pub anchored: Option<u64>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.record {
            Some(record) => write!(f, "{}: record {record}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// Why a line is not record `number`, in words.
pub(crate) fn misfit(number: u64, why: &Misfit) -> String {
    match why {
        Misfit::NoRecord(why) => format!("what should be record {number} is none: {why}"),
        Misfit::Number(found) if *found > number => {
            let count = found - number;
            format!("record {found} stands where {number} should: {count} were removed or moved")
        }
        Misfit::Number(found) => {
            format!("record {found} stands where {number} should: it was moved or put there")
        }
        Misfit::Prev => format!(
            "record {number} does not follow the one before it: one of them was changed or replaced"
        ),
    }
}

/// Checks the log in `dir`.
///
/// # Errors
/// There is no log, the disk fails, or the checkpoint to compare with is none of this key.
pub fn verify(disk: &dyn Disk, dir: &Path, request: &Request) -> Result<Report, Error> {
    let firsts = segment::list(disk, dir).map_err(Error::disk(dir))?;
    let Some(&first) = firsts.first() else { return Err(Error::Missing(dir.to_owned())) };
    let anchor = request.checkpoint.as_ref().map(|note| request.key.open(note)).transpose()?;
    let report = Report { first, segments: firsts.len(), ..Report::default() };
    let mut check = Check {
        disk,
        dir,
        key: &request.key,
        tree: Tree::default(),
        prev: None,
        signed: first,
        announced: 0,
        anchor,
        file: PathBuf::new(),
        report,
    };
    for (at, &first) in firsts.iter().enumerate() {
        let place = Place { first, is_first: at == 0, is_last: at + 1 == firsts.len() };
        check.segment(&place)?;
        if check.report.findings.len() >= FINDINGS_MAX {
            break;
        }
    }
    Ok(check.end())
}

struct Place {
    first: u64,
    is_first: bool,
    is_last: bool,
}

struct Check<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    key: &'a PublicKey,
    tree: Tree,
    prev: Option<Hash>,
    /// Up to here a checkpoint fits.
    signed: u64,
    /// The first record that retention kept, by its own words.
    announced: u64,
    anchor: Option<Checkpoint>,
    file: PathBuf,
    report: Report,
}

impl Check<'_> {
    fn found(&mut self, record: Option<u64>, what: impl Into<String>) {
        let file = self.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.report.findings.push(Finding { file, record, what: what.into() });
    }

    fn segment(&mut self, place: &Place) -> Result<(), Error> {
        let first = place.first;
        self.file = segment::tree_path(self.dir, first);
        let bytes = whole::read(self.disk, &self.file).map_err(Error::disk(&self.file))?;
        let bytes = bytes.unwrap_or_default();
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        };
        let parsed = Head::parse(text);
        let (head, rest) = if let Some((head, rest)) = parsed {
            (Some(head), rest)
        } else {
            self.found(None, "the tree before its records is gone");
            (None, "")
        };
        self.begin(place, head);
        let notes = self.notes(place, rest, bytes.len() - text.len());
        self.records(place, &notes)
    }

    /// Goes on where the segment says that it begins.
    fn begin(&mut self, place: &Place, head: Option<Head>) {
        let (first, size) = (place.first, self.tree.size());
        if !place.is_first && size < first {
            self.found(None, format!("records {size} to {} are in no file", first - 1));
        } else if !place.is_first && size > first {
            let what = format!("it begins with record {first}, but {size} come before it");
            self.found(None, what);
        }
        let Some(head) = head else { return };
        if head.tree.size() != first {
            self.found(None, format!("its tree has {} records, not {first}", head.tree.size()));
        }
        if !place.is_first && size == first && self.prev != Some(head.prev) {
            self.found(None, "it does not follow the last record of the segment before");
        }
        self.prev = Some(head.prev);
        self.tree = head.tree;
        self.anchor();
    }

    /// The checkpoints of a segment that are signed, by size.
    fn notes(&mut self, place: &Place, text: &str, broken: usize) -> BTreeMap<u64, Hash> {
        let mut signed = BTreeMap::new();
        let mut notes = Notes(text);
        let mut last = place.first;
        for (at, note) in notes.by_ref().enumerate() {
            match self.key.open(note) {
                Ok(checkpoint) if checkpoint.size < last => {
                    let Checkpoint { size, .. } = checkpoint;
                    self.found(
                        None,
                        format!("checkpoint {at} counts {size} records, after {last}"),
                    );
                }
                Ok(checkpoint) => {
                    last = checkpoint.size;
                    self.report.checkpoints += 1;
                    if signed
                        .insert(checkpoint.size, checkpoint.root)
                        .is_some_and(|root| root != checkpoint.root)
                    {
                        let what =
                            format!("two checkpoints of {last} records have different roots");
                        self.found(None, what);
                    }
                }
                Err(error) => self.found(None, format!("checkpoint {at}: {error}")),
            }
        }
        let torn = notes.0.len() + broken;
        if torn > 0 && !place.is_last {
            self.found(None, format!("its last {torn} bytes are no checkpoint"));
        }
        match signed.get(&place.first) {
            Some(root) if *root != self.tree.root() => {
                self.found(None, "the tree before its records is not the one that was signed");
            }
            Some(_) => {}
            None => self.found(None, "no checkpoint vouches for the tree before its records"),
        }
        signed
    }

    fn records(&mut self, place: &Place, notes: &BTreeMap<u64, Hash>) -> Result<(), Error> {
        self.file = segment::records_path(self.dir, place.first);
        let file = self.disk.open_read(&self.file).map_err(Error::disk(&self.file))?;
        let mut lines = Lines::of(file, 0);
        self.signed = self.signed.max(place.first);
        let mut is_sound = true;
        while self.report.findings.len() < FINDINGS_MAX {
            let at = lines.at();
            let line = lines.next().map_err(Error::disk(&self.file))?;
            let number = self.tree.size();
            match line {
                None => break,
                Some(Line::Torn(len)) if place.is_last => {
                    self.report.torn = len;
                    break;
                }
                Some(Line::Torn(_) | Line::TooLong) => {
                    self.found(Some(number), format!("at byte {at}: it has no end"));
                    return Ok(());
                }
                Some(Line::Whole(line)) => {
                    if !self.record(number, at, line) {
                        return Ok(());
                    }
                }
            }
            self.anchor();
            if let Some(root) = notes.get(&self.tree.size()) {
                if self.tree.root() == *root {
                    self.signed = self.tree.size();
                } else if is_sound {
                    is_sound = false;
                    let (from, to) = (self.signed, self.tree.size() - 1);
                    let what = format!("records {from} to {to} are not those that were signed");
                    self.found(None, what);
                }
            }
        }
        let (has, counts) = (self.tree.size(), notes.last_key_value().map_or(0, |(size, _)| *size));
        if counts > has {
            let what =
                format!("it ends with {has} records, but {counts} were signed: its end was cut");
            self.found(None, what);
        }
        Ok(())
    }

    /// Adds one record; false if nothing after it can be told.
    fn record(&mut self, number: u64, at: u64, line: &[u8]) -> bool {
        let checked = Links::parse(line)
            .and_then(|links| links.check(number, self.prev.as_ref()).map(|()| links));
        match checked {
            Ok(links) => {
                if let Some(below) = links.removed_below() {
                    self.announced = self.announced.max(below);
                }
            }
            Err(why) => {
                let what = format!("at byte {at}: {}", misfit(number, &why));
                self.found(Some(number), what);
                // Numbers behind it would all be wrong.
                if matches!(why, Misfit::Number(_)) {
                    return false;
                }
            }
        }
        let new = leaf(line);
        self.tree.push(new);
        self.prev = Some(new);
        true
    }

    /// Compares with the checkpoint from elsewhere, if it counts what has been seen.
    fn anchor(&mut self) {
        let Some(Checkpoint { size, root }) = self.anchor else { return };
        if size != self.tree.size() || self.report.anchored.is_some() {
            return;
        }
        if root == self.tree.root() {
            self.report.anchored = Some(size);
        } else {
            self.found(None, format!("the first {size} records are not those of the checkpoint that was kept elsewhere"));
            self.anchor = None;
        }
    }

    fn end(mut self) -> Report {
        let (first, size) = (self.report.first, self.tree.size());
        self.report.records = size;
        self.report.unsigned = size.saturating_sub(self.signed);
        if first > self.announced {
            self.file = segment::records_path(self.dir, first);
            let what = format!("records 0 to {} are gone, and no record announces that", first - 1);
            self.found(None, what);
        }
        if let Some(anchor) = self.anchor.take()
            && anchor.size > size
        {
            let counts = anchor.size;
            self.found(
                None,
                format!("the log has {size} records, but the checkpoint that was kept elsewhere counts {counts}: its end was cut, or an older copy put back"),
            );
        }
        self.report
    }
}
