//! What the policies of a node did, at one moment.

use crate::Sample;
use crate::catalogue as c;

/// What policies did.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolicyCounts {
    /// Requests that were allowed, denied, and those of super users.
    pub decisions: [u64; 3],
    /// Rules in force.
    pub rules: usize,
    /// All changes that the node has seen.
    pub generation: u64,
    /// Changes since the start.
    pub done: u64,
    /// Refused; nothing changed.
    pub refused: u64,
}

/// Tells what policies did.
pub type PolicySource = Box<dyn Fn() -> PolicyCounts + Send + Sync>;

pub(crate) fn read(counts: &PolicyCounts, visit: &mut dyn FnMut(&Sample<'_>)) {
    for (outcome, count) in ["allowed", "denied", "super"].iter().zip(counts.decisions) {
        let (metric, labels) = (&c::POLICY_DECISIONS, &[*outcome]);
        visit(&Sample { metric, labels, value: count as f64 });
    }
    visit(&Sample { metric: &c::POLICY_RULES, labels: &[], value: counts.rules as f64 });
    let generation = counts.generation as f64;
    visit(&Sample { metric: &c::POLICY_GENERATION, labels: &[], value: generation });
    for (outcome, count) in [("done", counts.done), ("refused", counts.refused)] {
        let (metric, labels) = (&c::POLICY_CHANGES, &[outcome]);
        visit(&Sample { metric, labels, value: count as f64 });
    }
}
