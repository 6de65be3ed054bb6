//! What a repair would do about a report.

use blockhouse_model::SysFlag;
use serde::Serialize;

use super::check::Report;
use super::finding::Remedy;
use super::walk::Damaged;

/// The topic of records that stand where nothing could be read.
pub(super) const PLACEHOLDER_TOPIC: &str = "DAMAGED";

/// Whether a record stands where nothing could be read. In a narrow place its name is cut.
pub(crate) fn is_placeholder(topic: &str, flags: SysFlag) -> bool {
    PLACEHOLDER_TOPIC.starts_with(topic) && flags.transaction() == SysFlag::TRANSACTION_ROLLBACK
}

/// A step of a repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
#[non_exhaustive]
pub enum Step {
    /// CommitLog files are given their length.
    ResizeLogFiles,
    /// Everything from here on becomes zeros, files behind are removed.
    ZeroTail {
        /// The log's end.
        from: u64,
    },
    /// Placeholder records over unreadable ranges.
    SkipDamaged {
        /// The ranges.
        ranges: Vec<Damaged>,
    },
    /// Consume queues anew from the log.
    RebuildQueues,
    /// Index files anew from the log.
    RebuildIndex,
    /// Checkpoints anew, and no `abort`.
    RewriteCheckpoint,
}

impl Step {
    /// What is done, for people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::ResizeLogFiles => "give CommitLog files their length".to_owned(),
            Self::ZeroTail { from } => format!("end the log at {from}: zeros behind it"),
            Self::SkipDamaged { ranges } => {
                let bytes: u64 = ranges.iter().map(|range| range.to - range.from).sum();
                let count = ranges.len();
                format!("overwrite {bytes} unreadable bytes in {count} ranges with placeholders")
            }
            Self::RebuildQueues => "write the ConsumeQueues anew from the log".to_owned(),
            Self::RebuildIndex => "write the IndexFiles anew from the log".to_owned(),
            Self::RewriteCheckpoint => "write checkpoints, remove abort".to_owned(),
        }
    }
}

/// What a repair would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// Why nothing of it is done.
    pub refused: Option<String>,
}

/// What a repair would do about what a check found. Without `skip_damaged` a log that is damaged
/// inside is not touched.
#[must_use]
pub fn plan(report: &Report, skip_damaged: bool) -> Plan {
    let needs = |remedy| report.findings.remedies.contains(&remedy);
    let facts = &report.facts;
    let mut steps = Vec::new();
    if needs(Remedy::ResizeLogFile) {
        steps.push(Step::ResizeLogFiles);
    }
    let skips = needs(Remedy::SkipDamaged);
    if skips {
        steps.push(Step::SkipDamaged { ranges: report.survey.log.damaged.clone() });
    }
    if needs(Remedy::ZeroTail) {
        steps.push(Step::ZeroTail { from: facts.end.at });
    }
    if needs(Remedy::RebuildQueues) || skips {
        steps.push(Step::RebuildQueues);
    }
    if needs(Remedy::RebuildIndex) || skips {
        steps.push(Step::RebuildIndex);
    }
    if steps.is_empty() && !needs(Remedy::RewriteCheckpoint) {
        return Plan::default();
    }
    // The checkpoint is going to say that everything is there.
    if facts.end.filler && !needs(Remedy::ZeroTail) {
        steps.push(Step::ZeroTail { from: facts.end.at });
    }
    if facts.queues_lag && !steps.contains(&Step::RebuildQueues) {
        steps.push(Step::RebuildQueues);
    }
    if facts.index_lags && !steps.contains(&Step::RebuildIndex) {
        steps.push(Step::RebuildIndex);
    }
    steps.push(Step::RewriteCheckpoint);
    let refused = (skips && !skip_damaged).then(|| {
        let ranges = report.survey.log.damaged.len();
        format!(
            "the CommitLog is damaged inside, in {ranges} ranges, with readable records behind: \
             {} messages that are known from their queues are lost. Get them from a replica or a \
             backup if there is one; or add --skip-damaged, which keeps all readable messages",
            report.lost_count
        )
    });
    Plan { steps, refused }
}
