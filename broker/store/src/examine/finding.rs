//! What can be wrong with a store, and what mends it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// Findings of one kind that are kept; more are only counted.
const KEPT: u64 = 100;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// A CommitLog file has a wrong length or place.
    LogFile,
    /// A range inside the log holds no readable records.
    DamagedRange,
    /// The log ends with something that is not a whole record.
    TornTail,
    /// Something else than zeros follows the log's end.
    StaleBytes,
    /// The filler at a file's end is not as it should be.
    Filler,
    /// A record is whole, but a field that no checksum covers cannot be right.
    Record,
    /// A ConsumeQueue file has a wrong length or place.
    QueueFile,
    /// A ConsumeQueue entry is missing, wrong, or of no record.
    QueueEntry,
    /// An IndexFile's length, header or hash slots are wrong.
    IndexFile,
    /// An index entry is missing or of no record.
    IndexEntry,
    /// A checkpoint does not fit the log.
    Checkpoint,
}

impl Kind {
    /// Its name, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogFile => "log-file",
            Self::DamagedRange => "damaged-range",
            Self::TornTail => "torn-tail",
            Self::StaleBytes => "stale-bytes",
            Self::Filler => "filler",
            Self::Record => "record",
            Self::QueueFile => "queue-file",
            Self::QueueEntry => "queue-entry",
            Self::IndexFile => "index-file",
            Self::IndexEntry => "index-entry",
            Self::Checkpoint => "checkpoint",
        }
    }
}

/// Whether something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing is wrong: the next start takes care of it, or it needs none.
    Notice,
    /// Something is wrong.
    Damage,
}

/// What mends a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Nothing does.
    None,
    /// The next start does.
    NextStart,
    /// The CommitLog file is given its length.
    ResizeLogFile,
    /// Zeros behind the log's end.
    ZeroTail,
    /// The range is covered by placeholder records, if that is allowed.
    SkipDamaged,
    /// Consume queues are written anew from the log.
    RebuildQueues,
    /// Index files are written anew from the log.
    RebuildIndex,
    /// Checkpoints are written anew.
    RewriteCheckpoint,
}

impl Remedy {
    /// What is done, for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "cannot be mended",
            Self::NextStart => "the next start mends it",
            Self::ResizeLogFile => "repair: give the file its length",
            Self::ZeroTail => "repair: zeros behind the log's end",
            Self::SkipDamaged => "repair --skip-damaged: placeholders over the range",
            Self::RebuildQueues => "repair: ConsumeQueues anew from the log",
            Self::RebuildIndex => "repair: IndexFiles anew from the log",
            Self::RewriteCheckpoint => "repair: write checkpoints anew",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// Whether something is wrong.
    pub severity: Severity,
    /// Which file, below the data directory where it is there.
    pub file: String,
    /// Where: a position in the log, an offset in the queue, the number of an index entry.
    pub offset: Option<u64>,
    /// What was found there.
    pub problem: String,
    /// What mends it.
    pub remedy: Remedy,
}

/// All findings; of very many of one kind only the first are kept.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Findings {
    /// Those that were kept.
    pub list: Vec<Finding>,
    /// How many there were of each kind.
    pub counts: BTreeMap<Kind, u64>,
    /// How many of them are damage.
    pub damage: u64,
    /// What would mend all damage.
    pub remedies: BTreeSet<Remedy>,
}

impl Findings {
    /// How many were not kept.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.counts.values().sum::<u64>().saturating_sub(self.list.len() as u64)
    }

    pub(super) fn add(&mut self, finding: Finding) {
        if finding.severity == Severity::Damage {
            self.damage += 1;
            self.remedies.insert(finding.remedy);
        }
        let count = self.counts.entry(finding.kind).or_default();
        *count += 1;
        if *count <= KEPT {
            self.list.push(finding);
        }
    }

    /// Adds damage.
    pub(super) fn damage(
        &mut self,
        what: (Kind, Remedy),
        file: impl Into<String>,
        offset: impl Into<Option<u64>>,
        problem: impl Into<String>,
    ) {
        self.tell(Severity::Damage, what, (file.into(), offset.into()), problem.into());
    }

    /// Adds a notice.
    pub(super) fn notice(
        &mut self,
        what: (Kind, Remedy),
        file: impl Into<String>,
        offset: impl Into<Option<u64>>,
        problem: impl Into<String>,
    ) {
        self.tell(Severity::Notice, what, (file.into(), offset.into()), problem.into());
    }

    fn tell(
        &mut self,
        severity: Severity,
        (kind, remedy): (Kind, Remedy),
        (file, offset): (String, Option<u64>),
        problem: String,
    ) {
        self.add(Finding { kind, severity, file, offset, problem, remedy });
    }
}
