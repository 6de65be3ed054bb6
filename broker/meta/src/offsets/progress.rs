//! A group's progress in the queues of one topic.

use std::collections::BTreeMap;

use blockhouse_model::{QueueId, QueueOffset};

/// A group's progress in one queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// What the group wants next.
    pub(super) committed: Option<QueueOffset>,
    /// What it has read; not kept.
    pub(super) pulled: Option<QueueOffset>,
    /// What an operator set and the group has not heard of; not kept.
    pub(super) reset: Option<QueueOffset>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Queues(BTreeMap<QueueId, Progress>);

impl Queues {
    pub(super) fn get(&self, queue: QueueId) -> Option<&Progress> {
        self.0.get(&queue)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn at(&mut self, queue: QueueId) -> &mut Progress {
        self.0.entry(queue).or_default()
    }

    /// What was committed, to be changed.
    pub(super) fn committed_mut(&mut self) -> impl Iterator<Item = (QueueId, &mut QueueOffset)> {
        self.0.iter_mut().filter_map(|(queue, p)| p.committed.as_mut().map(|o| (*queue, o)))
    }

    pub(super) fn committed(&self) -> Vec<(QueueId, QueueOffset)> {
        self.0.iter().filter_map(|(queue, p)| p.committed.map(|offset| (*queue, offset))).collect()
    }

    pub(super) fn any_committed(&self) -> bool {
        self.0.values().any(|p| p.committed.is_some())
    }
}
