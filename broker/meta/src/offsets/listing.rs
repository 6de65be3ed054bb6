//! Who has progress where, forgetting it, and setting it back.

use blockhouse_model::{Group, QueueId, QueueOffset, Topic};
use std::collections::{BTreeMap, BTreeSet};

use super::Offsets;
use super::progress::Queues;
use super::record::Change;
use crate::ahead::{End, SetBack};

impl Offsets {
    /// The topics in which the group has progress.
    #[must_use]
    pub fn topics_of(&self, group: &str) -> BTreeSet<Topic> {
        let part = self.table.read(group);
        let topics = part.get(group).into_iter().flatten();
        topics.filter(|(_, queues)| queues.any_committed()).map(|(t, _)| t.clone()).collect()
    }

    /// The groups that have progress in the topic.
    #[must_use]
    pub fn groups_of(&self, topic: &str) -> BTreeSet<Group> {
        let mut groups = BTreeSet::new();
        for part in self.table.parts() {
            let part = part.read();
            let here = part
                .iter()
                .filter(|(_, topics)| topics.get(topic).is_some_and(Queues::any_committed));
            groups.extend(here.map(|(group, _)| group.clone()));
        }
        groups
    }

    /// Forgets the progress of a group.
    pub fn remove_group(&self, group: &str) {
        let mut part = self.table.write(group);
        for (topic, queues) in &part.remove(group).unwrap_or_default() {
            self.gone(queues);
            self.changed(&Change::Remove { topic, group });
        }
    }

    /// Forgets all progress in a topic.
    pub fn remove_topic(&self, topic: &str) {
        for part in self.table.parts() {
            part.write().retain(|group, topics| {
                if let Some(queues) = topics.remove(topic) {
                    self.gone(&queues);
                    self.changed(&Change::Remove { topic, group });
                }
                !topics.is_empty()
            });
        }
    }

    /// Forgets the pairs of group and topic that `keep` refuses, given what was committed there.
    pub fn retain(&self, keep: impl Fn(&Group, &Topic, &[(QueueId, QueueOffset)]) -> bool) {
        for part in self.table.parts() {
            part.write().retain(|group, topics| {
                topics.retain(|topic, queues| {
                    let kept = keep(group, topic, &queues.committed());
                    if !kept {
                        self.gone(queues);
                        self.changed(&Change::Remove { topic, group });
                    }
                    kept
                });
                !topics.is_empty()
            });
        }
    }

    /// Sets what was committed and is ahead of its queue's end back to that end, in memory and for
    /// the journal. For a start: what only a running broker knows is not looked at.
    pub fn set_back(&self, end: &End<'_>) -> SetBack {
        let mut back = SetBack::default();
        for part in self.table.parts() {
            for (group, topics) in part.write().iter_mut() {
                for (topic, queues) in topics {
                    for (queue, committed) in queues.committed_mut() {
                        let from = *committed;
                        let Some(to) = end(topic, queue).filter(|to| from > *to) else { continue };
                        *committed = to;
                        self.changed(&Change::Set { topic, group, queue, offset: to });
                        back.note((topic.as_str(), Some(group.as_str()), queue), (from, to));
                    }
                }
            }
        }
        back
    }

    /// Everything that was committed, by topic and group.
    #[must_use]
    pub fn all(&self) -> BTreeMap<(Topic, Group), Vec<(QueueId, QueueOffset)>> {
        let mut all = BTreeMap::new();
        for part in self.table.parts() {
            for (group, topics) in part.read().iter() {
                for (topic, queues) in topics.iter().filter(|(_, queues)| queues.any_committed()) {
                    all.insert((topic.clone(), group.clone()), queues.committed());
                }
            }
        }
        all
    }
}
